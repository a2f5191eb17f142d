"""Members made by hand: moodle.json, lead.json and a config.php around a code tree, so that the roles of coord/ can be run
without prepare and without PID 1."""
import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
from lib.proc import Failure, RunFolder, cpu_seconds, Server, free_port, run, user_or, wait_for  # noqa: E402,F401
from lib.servers import MariaDB, Postgres, Redis, database  # noqa: E402,F401

WEB = pwd.getpwnam("www-data") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
TEMPLATES = os.path.join(ROOT, "templates")

CONFIG = """<?php
unset($CFG);
global $CFG;
$CFG = new stdClass();
(function () use (&$CFG) {
    $m = json_decode(file_get_contents(getenv('MOODLECTL_RUN_DIR') . '/moodle.json'), true);
    $d = $m['db'];
    $CFG->dbtype = $d['type'];
    $CFG->dblibrary = 'native';
    $CFG->dbhost = $d['host'];
    $CFG->dbname = $d['name'];
    $CFG->dbuser = $d['user'];
    $CFG->dbpass = $d['password'];
    $CFG->prefix = $d['prefix'];
    $CFG->dboptions = ['dbpersist' => false, 'dbport' => $d['port'], 'dbsocket' => '', 'connecttimeout' => 5,
        'dbcollation' => 'utf8mb4_unicode_ci'];
    $CFG->wwwroot = $m['wwwroot'];
    $CFG->localcachedir = $m['localcachedir'];
    $CFG->localrequestdir = $m['localcachedir'] . '/request';
})();
$CFG->dataroot = '%s';
$CFG->admin = 'admin';
$CFG->directorypermissions = 02770;
require_once(__DIR__ . '/lib/setup.php');
require_once('%s/fence.php');
"""

HASH = r"""<?php define('CLI_SCRIPT',1); define('CACHE_DISABLE_ALL',true); define('IGNORE_COMPONENT_CACHE',true);
define('PHPUNIT_TEST',false); define('MOODLE_INTERNAL',1); define('MATURITY_ALPHA',50); define('MATURITY_BETA',100);
define('MATURITY_RC',150); define('MATURITY_STABLE',200); define('ANY_VERSION','any');
$CFG=new stdClass; $CFG->dirroot=$argv[1]; $CFG->libdir="$CFG->dirroot/lib"; $CFG->admin='admin';
$CFG->dataroot=$CFG->cachedir='/nonexistent';
require "$CFG->libdir/classes/component.php"; require "$CFG->dirroot/version.php";
$c=class_exists('\core\component',false)?'\core\component':'core_component';
echo json_encode(['version'=>preg_match('/^\s*\$version\s*=\s*([0-9.]+)/m',file_get_contents("$CFG->dirroot/version.php"),$m)?$m[1]:'',
 'release'=>$release,'branch'=>$branch,'hash'=>$c::get_all_versions_hash()]);
"""


TESTS = []


def test(f):
    TESTS.append(f)
    return f


def check(condition, what):
    if not condition:
        raise Failure(what)


def runs(site, action=None):
    return [r[2] for r in site.deploy_runs() if action is None or r[1] == action]


def installed(site, count=1, **over):
    """Members on an installed database, all serving."""
    leads = [site.member(f"m{i}", **over).start() for i in range(count)]
    for r in leads:
        r.wait_state("current", 40)
    return leads


def holders(crons):
    return [c for c in crons if (lambda e: e and e[-1]["holder"])([x for x in c.events() if x["event"] == "cron"])]


def version_text(text):
    """2024100706.00 is stored by Moodle as 2024100706"""
    return re.sub(r"\.?0+$", "", text) if "." in text else text


class Code:
    """A tree with our config.php in it. `source`: an existing tree (hard links), or what make-release.sh knows."""

    def __init__(self, folder, name, source, data_dir):
        self.path = os.path.join(folder.path, name)
        if os.path.isabs(source):
            run(["cp", "-al", source, self.path], seconds=120)
        else:
            run(["sh", os.path.join(ROOT, "tests", "standin", "make-release.sh"), self.path, source])
        with open(os.path.join(self.path, "config.php"), "w") as f:
            f.write(CONFIG % (data_dir, TEMPLATES))
        script = os.path.join(folder.path, name + "-hash.php")
        with open(script, "w") as f:
            f.write(HASH)
        self.info = json.loads(run(["php", "-d", "max_input_vars=5000", script, self.path], seconds=60).stdout)
        self.info["version"] = version_text(self.info["version"])


class Site:
    """One database and one moodledata, shared by members."""

    def __init__(self, folder, server, role, name="moodle", prefix="mdl_", redis=None):
        self.folder, self.server, self.role, self.name, self.prefix, self.redis = folder, server, role, name, prefix, redis
        server.create(name)
        self.data = folder.make(f"data-{server.kind}-{name}-{prefix}", WEB.pw_name, 0o770)
        self.codes, self.members = {}, []

    def code(self, source):
        if source not in self.codes:
            tag = hashlib.sha1(source.encode()).hexdigest()[:8]
            self.codes[source] = Code(self.folder, f"code-{self.server.kind}-{self.name}-{self.prefix}-{tag}", source, self.data)
        return self.codes[source]

    def member(self, name, source="base", **over):
        m = Member(self, name, self.code(source), over)
        self.members.append(m)
        return m

    def sql(self, query):
        return self.server.sql(query, db=self.name)

    def config(self, name):
        return self.sql(f"SELECT value FROM {self.prefix}config WHERE name='{name}'")

    def deploy_runs(self):
        rows = self.sql("SELECT epoch, action, result FROM sup_run WHERE purpose='deploy' ORDER BY epoch")
        return [tuple(r.split("|")) for r in rows.splitlines()]

    def standin(self, **what):
        path = os.path.join(self.data, "standin.json")
        with open(path + ".new", "w") as f:
            json.dump(what, f)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def end(self):
        for m in self.members:
            m.end()


class Member:
    def __init__(self, site, name, code, over):
        self.site, self.name, self.code = site, name, code
        self.run_dir = site.folder.make(f"run-{site.server.kind}-{site.name}-{site.prefix}-{name}", "root" if os.geteuid() == 0 else WEB.pw_name, 0o755)
        self.local = site.folder.make(f"local-{site.server.kind}-{site.name}-{site.prefix}-{name}", WEB.pw_name, 0o770)
        self.roles = []
        with open(os.path.join(self.run_dir, "php.ini"), "w") as f:
            f.write("max_input_vars=5000\nmemory_limit=512M\nzend.exception_ignore_args=On\n")
        s = site.server
        self.moodle = {"wwwroot": "http://127.0.0.1:8080", "dirroot": code.path, "dataroot": site.data, "localcachedir": self.local,
                       "db": {"type": "pgsql" if s.kind == "pgsql" else "mariadb", "host": s.host, "port": s.port, "name": site.name, "user": s.db_user,
                              "password": s.password, "prefix": site.prefix, "tls": "prefer", "ca": ""}, "redis": site.redis}
        self.lead = {"member": name, "release": "test", "run_dir": self.run_dir, "code_dir": code.path, "data_dir": site.data, "template_dir": TEMPLATES,
                     "php": shutil.which("php"), "php_ini": self.run_dir + "/php.ini", "web_uid": WEB.pw_uid, "web_gid": WEB.pw_gid, "web_home": "/",
                     "code": code.info, "install": "auto", "upgrade": "auto", "cron": True, "cron_keepalive_s": 10, "watch_ms": 1000, "lease_scale": 100,
                     "outage_wait_ms": 500, "site": {"name": "Contract", "shortname": "c", "lang": "en", "admin_user": "boss", "admin_password": "Secret-1 'x\"\\ö",
                                                     "admin_email": "boss@example.org", "support_email": "help@example.org"}}
        for key, value in over.items():
            (self.moodle["db"] if key.startswith("db_") else self.lead)[key.removeprefix("db_")] = value
        self.write()

    def write(self):
        for name, value, mode in (("moodle.json", self.moodle, 0o644), ("lead.json", self.lead, 0o600)):
            path = os.path.join(self.run_dir, name)
            with open(path + ".new", "w") as f:
                json.dump(value, f)
            os.chmod(path + ".new", mode)
            os.rename(path + ".new", path)

    def start(self, role="lead", wrapper=()):
        r = Role(self, role, wrapper)
        self.roles.append(r)
        return r

    def run(self, *words, seconds=60):
        return subprocess.run([self.site.role, *words, "--run-dir", self.run_dir], capture_output=True, text=True, timeout=seconds, env={"PATH": os.environ["PATH"]})

    def end(self):
        for r in self.roles:
            r.end()


class Role:
    """A running role: its events are lines of `log`."""

    def __init__(self, member, role, wrapper=()):
        self.member, self.role = member, role
        self.log = os.path.join(member.run_dir, f"{role}-{len(member.roles)}.log")
        with open(self.log, "w") as out:
            self.proc = subprocess.Popen([*wrapper, member.site.role, role, "--run-dir", member.run_dir], stdin=subprocess.PIPE, stdout=out,
                                         stderr=subprocess.STDOUT, start_new_session=True, env={"PATH": os.environ["PATH"]})

    def events(self):
        found = []
        with open(self.log, errors="replace") as f:
            for line in f:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    found.append({"event": "raw", "text": line})
        return found

    def states(self):
        return [(e["state"], e.get("id") or "") for e in self.events() if e["event"] == "state"]

    def state(self):
        s = self.states()
        return s[-1] if s else ("", "")

    def texts(self):
        return [e.get("msg", "") for e in self.events() if e["event"] == "log"]

    def wait_state(self, state, seconds=30, id=None):
        def there():
            if self.proc.poll() is not None:
                return self.state()[0] == state
            return self.state()[0] == state and (id is None or self.state()[1] == id)
        try:
            wait_for(f"{self.member.name}: {state} {id or ''}", there, seconds)
        except Failure as e:
            raise Failure(f"{e}; states {self.states()}; log tail {self.tail()}") from None

    def tail(self, n=12):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-n:])

    def say(self, cmd):
        self.proc.stdin.write((json.dumps({"cmd": cmd}) + "\n").encode())
        self.proc.stdin.flush()

    def php(self):
        """Pids of PHP scripts of this member (they carry its run directory in the environment), keepers excluded."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    env = f.read()
                with open(f"/proc/{pid}/comm") as f:
                    comm = f.read()
            except OSError:
                continue
            if b"MOODLECTL_RUN_DIR=" + self.member.run_dir.encode() + b"\0" in env and comm.startswith("php"):
                found.append(int(pid))
        return found

    def signal(self, sig):
        os.kill(self.proc.pid, sig)

    def stop(self, seconds=20):
        self.signal(signal.SIGTERM)
        return self.proc.wait(seconds)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.proc.wait(10)

    def end(self):
        if self.proc.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self.proc.wait(10)
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except OSError:
            pass
        self.proc.stdin.close()
