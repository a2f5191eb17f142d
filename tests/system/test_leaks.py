"""Nobody sees a secret: a member with all of them set is searched, from its first line to its last, in every place that others can read."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time

from lib.case import Skip, check, equal, test
from lib.leaks import Needles, Watch, forms, mode_of, process_leaks, tree_files
from lib.proc import CLEAN_ENV, Failure, run, send, wait_for
from lib.site import TOP
from test_aws import ARN, FakeAws
from test_rotation import set_password

ODD = "'\"\\/ &ü%"  # what JSON, URLs, SQL and shells write otherwise


def unique(name):
    return f"{name}{os.urandom(6).hex()}{ODD}{os.urandom(6).hex()}"


# PHP that shows the database's password in every way that it knows, as a broken plugin would: in the log of PHP-FPM, of cron's and of
# any script.
BLABBER = r"""<?php
define('NO_MOODLE_COOKIES', true); define('CLI_SCRIPT', PHP_SAPI === 'cli');
require(__DIR__ . '/PLACEconfig.php');
foreach ([$CFG->dbpass, $CFG->session_redis_auth ?? ''] as $v) {
    $ways = [$v, "connection failed for $v!", json_encode($v), json_encode(['password' => $v]), rawurlencode($v), urlencode($v), base64_encode($v),
        base64_encode("user:$v"), base64_encode("us:$v"), bin2hex($v), str_repeat('x', 12280) . $v];
    foreach ($ways as $way) { error_log($way); if (CLI_SCRIPT) { fwrite(STDOUT, $way . "\n"); } }
}
if (CLI_SCRIPT && ($argv[1] ?? '') === '--wait') { chdir($argv[2]); fwrite(STDERR, "ready\n"); sleep(60); }
echo "said\n";
"""


class Place:
    """Servers, a site and a member whose secrets come by ARN, by file and by variable, each a value that is nowhere else."""

    def __init__(self, t):
        self.t, self.aws = t, FakeAws(t)
        self.values = {name: unique(name) for name in ("database", "redis", "admin", "smtp", "upgradekey")}
        self.values["authtoken"] = f"Bearer authtoken{os.urandom(6).hex()}/+=%&"  # an HTTP header: ASCII
        self.needles = Needles(self.values)
        self.server = t.server(password=self.values["database"])
        self.redis = t.redis(password=self.values["redis"])
        folder = t.folder.make(f"{t.name}-secret", mode=0o755)
        self.redis_file = os.path.join(folder, "redis")
        self.write_redis(self.values["redis"])
        self.serve_secrets(self.values["database"])
        self.site = t.site(db=self.server, redis=self.redis, MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_PASSWORD_ARN=ARN + ":password::",
                           MOODLE_REDIS_PASSWORD=None, MOODLE_REDIS_PASSWORD_FILE=self.redis_file, MOODLE_PASSWORD=self.values["admin"],
                           MOODLE_SMTP_HOST="127.0.0.1", MOODLE_SMTP_USER="mailer", MOODLE_SMTP_PASSWORD=self.values["smtp"],
                           MOODLE_UPGRADE_KEY=self.values["upgradekey"], AWS_CONTAINER_AUTHORIZATION_TOKEN=self.values["authtoken"],
                           MOODLECTL_LOG_LEVEL="debug", **self.aws.env())

    def serve_secrets(self, password):
        self.aws.ask("/-/control", {"token": self.values["authtoken"], "secrets": {ARN: [{"string": json.dumps({"password": password}), "id": os.urandom(16).hex()}]}})
        for name, value in (("awskey", "temporary/key+1="), ("awstoken", "session//token+1==")):
            self.needles.add(name, value)

    def write_redis(self, value):
        with open(self.redis_file, "w") as f:
            f.write(value + "\n")
        os.chmod(self.redis_file, 0o600)

    def rotate(self):
        """New values in the servers and in the sources; the old ones stay secrets."""
        self.values.update(database=unique("database2"), redis=unique("redis2"))
        for name in ("database", "redis"):
            self.needles.add(name + "2", self.values[name])
        set_password(self.server, "moodle", self.values["database"])
        self.server.password = self.values["database"]
        run(["redis-cli", "-h", self.redis.host, "-p", str(self.redis.port), "--no-auth-warning", "-x", "CONFIG", "SET", "requirepass"],
            env={"REDISCLI_AUTH": self.redis.password}, stdin=stdin_of(self.t, self.values["redis"]))
        self.redis.password = self.values["redis"]
        self.serve_secrets(self.values["database"])
        self.write_redis(self.values["redis"])

    def release(self, name):
        """That release with two scripts that tell secrets."""
        tree = self.t.folder.make(f"{self.t.name}-code-{name}", mode=0o755)
        shutil.rmtree(tree)
        run(["cp", "-a", self.t.code.path(name), tree], seconds=300)
        for path, place in (("local/blab.php", "../"), ("admin/cli/blab.php", "../../")):
            with open(os.path.join(tree, path), "w") as f:
                f.write(BLABBER.replace("PLACE", place))
        return tree


def stdin_of(t, text):
    path = os.path.join(t.folder.make(f"{t.name}-stdin"), "text")
    with open(path, "w") as f:
        f.write(text)
    return open(path, "rb")  # noqa: SIM115 - the child reads it


def check_nothing(place, what, data):
    equal(place.needles.found(data), set(), f"secrets in {what}")


def check_commands(place, m):
    """What an operator can ask, and what the control socket answers, whatever command process 1 knows."""
    for words in (["status"], ["status", "--json"], ["config", "show"], ["config", "show", "--json"], ["config", "check"], ["config", "env"],
                  ["render", "--diff"], ["render", "--check"], ["upgrade", "plan"], ["upgrade", "plan", "--json"], ["cron", "status", "--json"],
                  ["maintenance", "status"], ["secrets", "list"], ["secrets", "check"], ["doc", "settings"], ["version"]):
        p = m.exec(["moodlectl"] + words, check=False)
        check_nothing(place, f"the output of moodlectl {' '.join(words)}", p.stdout + p.stderr)
    with open(os.path.join(TOP, "supervisor", "control.c")) as f:
        known = set(re.findall(r'\{"([a-z-]+)", do_', f.read()))
    check(len(known) >= 7, f"commands found in control.c: {known}")
    for command in known - {"drain", "reload"}:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(m.inside("/run/moodlectl/control.sock"))
            s.sendall(json.dumps({"cmd": command, "what": "ready", "msg": "audited"}).encode() + b"\n")
            check_nothing(place, f"the answer to {command}", b"".join(iter(lambda: s.recv(65536), b"")))


def check_files(place, m):
    """Only two files hold secrets, and nobody but PHP's group gets near them. Other places of the member hold none."""
    web, root = place.site.gid("www-data"), m.inside("/run/moodlectl")
    equal(mode_of(os.stat(root)), f"0750 0:{web}", "mode of the run directory")
    holders, modes = set(), {}
    for path, st, data in tree_files(root):
        modes[path] = mode_of(st)
        if place.needles.found(data):
            holders.add(path)
        check(st.st_mode & 0o007 == 0 or path.startswith(("www/", "state/")) or path.endswith((".pid", "ca.pem")), f"{path}: {mode_of(st)}")
    equal(holders, {"moodle.json", "lead.json"}, "files of the run directory with secrets in them")
    equal(modes["lead.json"], "0400 0:0", "mode of lead.json")
    for name in ("moodle.json", "config.php", "nginx.conf", "php-fpm.conf", "php.ini", "fence.php", "warm.php", "muc-stores.php"):
        equal(modes[name], f"0440 0:{web}", f"mode of {name}")
    for top in ("/var/cache/moodlectl", "/var/www/moodledata"):
        for path, _, data in tree_files(m.inside(top)):
            check_nothing(place, f"{top}/{path}", data)
    for name in ("moodle.json", "lead.json"):
        p = m.exec(["cat", f"/run/moodlectl/{name}"], user="nobody", check=False)
        check(p.returncode != 0 and not p.stdout, f"anybody can read {name}")


def blab(place, m):
    """PHP-FPM's and a script's log lines with the secrets, in all ways: what arrives has marks in their place."""
    before = m.raw_log().count("<secret>")
    equal(m.get("/local/blab.php").status, 200, "the page that tells secrets")
    wait_for("the told secrets as marks", lambda: m.raw_log().count("<secret>") >= before + 22, 20)


def core_of(m, pid, folder):
    """The core file of a process that is killed with its limit lifted from outside; b"" when there is none."""
    with open("/proc/sys/kernel/core_pattern") as f:
        pattern = f.read().strip()
    if pattern != "core":
        raise Skip(f"cores do not come into the working directory here (core_pattern is {pattern})")
    # to raise a hard limit takes CAP_SYS_RESOURCE (setrlimit(2)); without it the member's own limit of 0 is what is tried
    subprocess.run(["prlimit", f"--pid={pid}", "--core=unlimited:unlimited"], stderr=subprocess.DEVNULL, check=False)
    cwd = os.readlink(f"/proc/{pid}/cwd")
    send(pid, 6)
    wait_for(f"{pid} is gone", lambda: not os.path.exists(f"/proc/{pid}") or open(f"/proc/{pid}/stat").read().split(")")[1].split()[0] in "ZX", 20)
    for top in {folder, m.inside(cwd) if m.alive() else folder}:
        for name in ("core", f"core.{pid}"):
            path = os.path.join(top, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    data = f.read()
                os.unlink(path)
                return data
    return b""


def waiting_script(m, folder, words, **more):
    """A PHP of the member that has read the secrets and waits; (Popen, its number outside). `folder` is its working directory."""
    shell = f"cd '{folder}' && exec \"$@\""
    p = subprocess.Popen(["nsenter", "-t", str(m.init_pid), "--mount", "--pid", "--uts", "--", "sh", "-c", shell, "sh"] + words, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=CLEAN_ENV, **more)
    while (line := p.stderr.readline()) and b"ready" not in line:
        pass
    with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
        children = f.read().split()
    return p, int(children[0]) if children else p.pid


def check_cores(place, m):
    """Forced cores of PHP, which holds the database's password, and of all roles: none, or nothing in it. And that the search can fail."""
    folder = place.t.folder.make(f"{place.t.name}-cores", "www-data", 0o777)
    shutil.copy("/bin/sh", folder)  # the folder is seen inside: only some places of the file system are covered
    script = ["-c", "/run/moodlectl/php.ini", "/srv/moodle/admin/cli/blab.php", "--wait", folder]
    php = m.exec(["sh", "-c", "readlink -f /usr/bin/php"]).stdout.strip()
    bare = ["prlimit", "--core=unlimited", "setpriv"]
    p, pid = waiting_script(m, folder, bare + [f"--reuid={place.site.uid('www-data')}", f"--regid={place.site.gid('www-data')}", "--clear-groups", php] + script)
    naked = core_of(m, pid, folder)
    p.wait(20)
    check(place.needles.found(naked), f"a core of PHP without protection, {len(naked)} bytes, shows no secret: this test could not fail")
    p, pid = waiting_script(m, folder, [place.site.program("moodlectl"), "moodle", "blab", "--wait", folder])
    check_nothing(place, "a core of a script", core_of(m, pid, folder))
    p.wait(20)
    for pid, words in m.processes().items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/coredump_filter") as f:
            equal(int(f.read(), 16), 0, f"coredump_filter of {words}")
        with contextlib.suppress(OSError), open(f"/proc/{pid}/limits") as f:
            check(re.search(r"Max core file size +0 +0 ", f.read()), f"core limit of {words}")
    cores = {name: core_of(m, pid, folder) for name in ("lead", "cron", "php") for pid in [role_pid(m, name)]}
    for name, core in cores.items():
        check_nothing(place, f"a core of {name}", core)
    m.wait_phase("SERVE", 60)


def role_pid(m, name):
    inner = next(c["pid"] for c in m.status()["children"] if c["name"] == name)
    for pid in m.processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
            if re.search(rf"NSpid:.*\t{inner}\n", f.read()):
                return pid
    raise Failure(f"{name} ({inner}) is not running")


@test(dbs=("pgsql",), seconds=60)
def the_search_finds_what_is_there(t):
    """The self-test: a planted secret is found in every place and in every way of writing."""
    value = unique("planted")
    needles = Needles({"planted": value})
    for form, way in forms(value).items():
        equal({n for _, n in needles.found(b"before " + form + b" behind")} >= {way}, True, f"{way} is found")
    equal(needles.found("before planted behind"), set(), "another text")
    with subprocess.Popen(["sh", "-c", "sleep 30; :", value], env={"HIDDEN": value}, stdin=subprocess.DEVNULL) as p:
        try:
            with Watch(p.pid, needles) as watch:
                wait_for("the planted leaks are found", lambda: {leak[:2] for leak in watch.leaks} >= {("sh", "cmdline"), ("sh", "environ"), ("sleep", "environ")}, 10)
        finally:
            for pid in [p.pid] + [int(c) for c in open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()]:
                send(pid, 9)
    folder = t.folder.make(f"{t.name}-files")
    with open(os.path.join(folder, "file"), "w") as f:
        f.write(json.dumps({"password": value}))
    equal([path for path, _, data in tree_files(folder) if needles.found(data)], ["file"], "files with the secret")


@test(seconds=180)
def a_whole_life(t):
    """Install by an older release, upgrade by a newer one, rotation, broken plugins, forced cores, drain: no secret anywhere."""
    place = Place(t)
    older, newer = place.release("older"), place.release("base")
    t.real or place.site.standin(slow_ms=20)
    first, = place.site.start((1,), release=older)
    first.wait_log("its first words", lambda o: o.get("event") == "start")
    with Watch(first.pid, place.needles) as watch:
        first.wait_phase("SERVE", 600 if t.real else 90)
        blab(place, first)
        check_commands(place, first)
        check_files(place, first)
        equal(first.drain(), 0, "exit status of the first member")
    m, = place.site.start((2,), release=newer)
    m.wait_log("its first words", lambda o: o.get("event") == "start")
    with Watch(m.pid, place.needles) as second_watch:
        m.wait_phase("SERVE", 600 if t.real else 90)
        wait_for("cron runs", lambda: m.status()["cron"]["holder"], 60)
        place.rotate()
        check_commands(place, m)  # the rendered files differ from what a new rendering would be
        m.exec(["moodlectl", "reload"])
        m.wait_log("it is rendered anew", lambda o: o.get("event") == "reload")
        wait_for("the new passwords serve", lambda: m.get("/login/index.php").status == 200, 30)
        blab(place, m)
        m.exec(["moodlectl", "moodle", "blab"])
        check_files(place, m)
        check_cores(place, m)
        equal(m.drain(), 0, "exit status of the second member")
    equal(watch.leaks | second_watch.leaks, set(), "secrets in /proc")
    programs = watch.programs | second_watch.programs
    check({"moodlectl", "moodlectl-role", "nginx", "php"} <= programs and any(p.startswith("php-fpm") for p in programs), f"programs seen: {programs}")
    check(watch.rounds > 50 and second_watch.rounds > 50, f"rounds: {watch.rounds}, {second_watch.rounds}")
    for one in (first, m):
        check_nothing(place, f"the log of {one.name}", one.raw_log() + one.errors())
        equal([o["msg"] for o in one.log() if o.get("not_json")], [], "lines that are no JSON")


@test(seconds=90)
def what_libraries_say_when_refused(t):
    """Wrong passwords at the database, at Redis and at AWS: libpq, MariaDB's library, hiredis and libcurl are quoted, the values are not."""
    wrong = {"database": unique("wrong"), "redis": unique("wrong"), "token": f"Bearer wrong{os.urandom(6).hex()}/+="}
    needles = Needles(wrong)
    redis = t.redis(password="another one entirely")
    for id_, settings in (("E-DB-AUTH", {"MOODLE_DATABASE_PASSWORD": wrong["database"]}), ("E-REDIS-AUTH", {"MOODLE_REDIS_PASSWORD": wrong["redis"]})):
        m = t.site(installed="base", redis=redis, MOODLECTL_LOG_LEVEL="debug", **settings).member(1)
        m.start()
        m.wait_log(id_, lambda o, id_=id_: o.get("id") == id_, 40)
        said = "".join(m.exec(["moodlectl"] + words, check=False).stdout for words in (["status"], ["status", "--json"], ["config", "show"]))
        equal(needles.found(m.raw_log() + m.errors() + said), set(), f"secrets beside {id_}")
        m.stop()
    aws = FakeAws(t)
    aws.ask("/-/control", {"token": "another"})
    m = t.site(installed="base", MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_PASSWORD_ARN=ARN, AWS_CONTAINER_AUTHORIZATION_TOKEN=wrong["token"],
               MOODLECTL_LOG_LEVEL="debug", **aws.env()).member(1)
    m.start()
    equal(m.wait_exit(60), 77, "exit status")
    equal(needles.found(m.raw_log() + m.errors()), set(), "secrets beside E-SEC-CREDENTIALS")
