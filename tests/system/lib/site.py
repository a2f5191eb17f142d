"""A site: one empty database, one moodledata, one Redis, releases of the code, and the members that share them."""
import os
import pwd
import random
import re
import shutil
import threading
import time
import http.client

from .member import Member, http_get
from .proc import Failure, run, wait_for
from .servers import HAProxy

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
STANDIN = os.path.join(TOP, "tests", "standin")
ADMIN_PASSWORD = "Adm1n-pass 'q\"x\\$"


class Code:
    """Code trees by name, each copied once (hard links where the file system allows) with our config.php in it."""

    def __init__(self, folder, source=None, old_source=None):
        self.folder, self.source, self.old_source, self.trees = folder, source, old_source, {}

    @property
    def real(self):
        return bool(self.source)

    def _copy(self, source, dest):
        if run(["cp", "-al", source, dest], check=False, seconds=300).returncode != 0:
            shutil.rmtree(dest, ignore_errors=True)
            run(["cp", "-a", source, dest], seconds=300)

    def _make(self, name, dest):
        if self.real and name in ("base", "older"):
            source = self.source if name == "base" else self.old_source
            if not source:
                raise Failure(f"no real tree for the release '{name}': set MOODLE_OLD_SRC")
            self._copy(source, dest)
        elif self.real and name == "plugin":  # the same Moodle with one plugin more
            self._copy(self.source, dest)
            os.makedirs(f"{dest}/local/extra/lang/en")
            with open(f"{dest}/local/extra/version.php", "w") as f:
                f.write("<?php\ndefined('MOODLE_INTERNAL') || die();\n$plugin->component = 'local_extra';\n$plugin->version = 2024100700;\n"
                        "$plugin->requires = 2022041900;\n")
            with open(f"{dest}/local/extra/lang/en/local_extra.php", "w") as f:
                f.write("<?php\n$string['pluginname'] = 'One more';\n")
        else:
            run([os.path.join(STANDIN, "make-release.sh"), dest, name], seconds=60)

    def path(self, name):
        if name not in self.trees:
            dest = os.path.join(self.folder.make("code", mode=0o755), name)
            self._make(name, dest)
            for old in (f"{dest}/config.php",):
                if os.path.lexists(old):
                    os.unlink(old)
            shutil.copy(os.path.join(TOP, "templates", "config-stub.php"), f"{dest}/config.php")
            os.chmod(f"{dest}/config.php", 0o644)
            os.chmod(dest, 0o755)
            self.trees[name] = dest
        return self.trees[name]

    def version(self, name):
        with open(os.path.join(self.path(name), "version.php"), errors="replace") as f:
            return re.search(r"\$version\s*=\s*([0-9.]+)", f.read()).group(1)


class Programs:
    """moodlectl, moodlectl-role and the templates, copied to where every user can read them."""

    def __init__(self, folder, build):
        self.bin, self.templates = folder.make("bin", mode=0o755), os.path.join(folder.path, "templates")
        for name in ("moodlectl", "moodlectl-role"):
            source = os.path.join(build, name)
            if not os.path.exists(source):
                raise Failure(f"{source} is not there: ./dev build makes it")
            shutil.copy(source, self.bin)
            os.chmod(os.path.join(self.bin, name), 0o755)
        shutil.copytree(os.path.join(TOP, "templates"), self.templates, dirs_exist_ok=True)
        run(["chmod", "-R", "a+rX", self.templates])


class Site:
    web_user = "www-data"

    def __init__(self, folder, programs, code, db, redis, block, name="site", settings=None):
        self.folder, self.programs, self.codes, self.db, self.redis, self.block, self.name = folder, programs, code, db, redis, block, name
        self.db_name = re.sub(r"[^a-z0-9]", "_", name.lower()) + f"_{random.randint(0, 99999)}"
        self.prefix = f"{name[:12]}{random.randint(0, 9999)}_"  # of the keys in Redis
        db.create(self.db_name)
        self.data = folder.make(f"{name}-moodledata", self.web_user, 0o770)
        self.front_port, self.url = block.port, f"http://{block.address(1)}:{block.port}"
        self.settings, self.members, self.haproxy = dict(settings or {}), {}, None

    def env(self):
        e = {
            "MOODLE_URL": self.url, "MOODLE_SITE_NAME": "Test & <site>", "MOODLE_SITE_SHORTNAME": "test", "MOODLE_PASSWORD": ADMIN_PASSWORD,
            "MOODLE_EMAIL": "admin@example.org", "MOODLE_DATABASE_TYPE": self.db.kind, "MOODLE_DATABASE_HOST": self.db.host,
            "MOODLE_DATABASE_PORT_NUMBER": self.db.port, "MOODLE_DATABASE_NAME": self.db_name, "MOODLE_DATABASE_USER": self.db.db_user,
            "MOODLE_DATABASE_PASSWORD": self.db.password, "MOODLECTL_TEMPLATE_DIR": self.programs.templates, "MOODLECTL_FPM_CHILDREN": 4,
            "MOODLECTL_WATCH_INTERVAL": "1s", "MOODLECTL_LAME_DUCK": "2s", "MOODLECTL_LOG_FORMAT": "json",
        }
        if self.redis:
            e.update({"MOODLE_REDIS_HOST": self.redis.host, "MOODLE_REDIS_PORT_NUMBER": self.redis.port, "MOODLE_REDIS_PREFIX": self.prefix})
            if self.redis.password:
                e["MOODLE_REDIS_PASSWORD"] = self.redis.password
            if self.redis.acl_user:
                e["MOODLE_REDIS_USER"] = self.redis.acl_user
            if self.redis.tls:
                e.update({"MOODLE_REDIS_TLS": "true", "MOODLE_REDIS_CA_FILE": self.redis.ca})
        e.update(self.settings)
        return {k: str(v) for k, v in e.items() if v is not None}

    def program(self, name):
        return os.path.join(self.programs.bin, name)

    def code(self, release):
        return release if release.startswith("/") else self.codes.path(release)

    def network_words(self, number):
        """The words that bring a command into the member's network; here every member is at home on loopback."""
        return []

    @staticmethod
    def uid(user):
        return pwd.getpwnam(user).pw_uid

    @staticmethod
    def gid(user):
        return pwd.getpwnam(user).pw_gid

    def member(self, number, **more):
        m = Member(self, number, **more)
        self.members[m.name] = m
        return m

    def start(self, numbers=(1, 2, 3), **more):
        """Members started at the same instant; not waited for."""
        found = [self.member(n, **more) for n in numbers]
        for m in found:
            m.start()
        return found

    def serve(self, numbers=(1,), seconds=120, **more):
        found = self.start(numbers, **more)
        for m in found:
            m.wait_phase("SERVE", seconds)
        return found

    def front(self, numbers=(1, 2, 3)):
        """HAProxy before these members (which need not exist yet)."""
        if not self.haproxy:
            self.haproxy = HAProxy(self.folder, (self.block.address(1), self.front_port),
                                   {f"m{n}": (self.block.address(10 + n), self.block.port) for n in numbers}, name=f"{self.name}-haproxy")
            self.haproxy.start()
        return self.haproxy

    def wait_up(self, names, seconds=20):
        wait_for(f"HAProxy sends to exactly {sorted(names)}",
                 lambda: sorted(n for n, s in self.haproxy.states().items() if s == "UP") == sorted(names), seconds)

    def sql(self, query, **more):
        return self.db.sql(query, db=self.db_name, **more)

    def config(self, name):
        return self.sql(f"SELECT value FROM mdl_config WHERE name='{name}'")

    def cron_members(self):
        return [m for m in self.members.values() if m.alive() and m.status()["cron"]["holder"]]

    def wait_cron(self, seconds=60, but=None):
        """The one member that runs cron (another than `but`)."""
        def look():
            found = [m for m in self.cron_members() if m is not but]
            return found[0] if len(found) == 1 else None
        return wait_for("one member runs cron", look, seconds, pause=0.3)

    def standin(self, **keys):
        """The stand-in's own knobs (tests/standin/README.md)."""
        import json
        path = os.path.join(self.data, "standin.json")
        with open(path + ".new", "w") as f:
            json.dump(keys, f)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def end(self):
        """Everything of this site that costs something while other tests run."""
        for m in self.members.values():
            m.stop()
        if self.haproxy:
            self.haproxy.stop()
        self.db.drop(self.db_name)


class Load:
    """A bounded load: so many threads, one request at a time each, half of them on kept-alive connections. Counts what fails, by kind."""

    def __init__(self, address, port, path="/login/index.php", threads=4, pause=0.05, headers=None):
        self.address, self.port, self.path, self.pause, self.headers = address, port, path, pause, headers or {}
        self.good, self.failed, self.first, self.slowest = 0, {}, {}, 0.0
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(i % 2 == 0,), daemon=True) for i in range(threads)]

    def _one(self, connection):
        connection.request("GET", self.path, headers=self.headers)
        r = connection.getresponse()
        body = r.read()
        if r.status != 200:
            return f"status {r.status}", not r.will_close
        if b"</html>" not in body.lower():
            return "cut body", not r.will_close
        return None, not r.will_close

    def _work(self, keep_alive):
        connection = None
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection(self.address, self.port, timeout=20)
                failure, reusable = self._one(connection)
            except (OSError, http.client.HTTPException) as e:
                failure, reusable = type(e).__name__, False
            if not (keep_alive and reusable) and connection:
                connection.close()
                connection = None
            with self._lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                if failure:
                    self.failed[failure] = self.failed.get(failure, 0) + 1
                    self.first.setdefault(failure, time.strftime("%H:%M:%S"))
                else:
                    self.good += 1
            self._stop.wait(self.pause)

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def stop(self):
        self._stop.set()
        for t in self._threads:
            t.join(30)

    def __exit__(self, *_):
        self.stop()

    def summary(self):
        return f"{self.good} good, {sum(self.failed.values())} failed{f' {self.failed}' if self.failed else ''}, slowest {self.slowest * 1000:.0f} ms"


class Browser:
    """As much of a browser as a login needs: cookies and forms."""

    def __init__(self, address, port, host=None):
        self.address, self.port, self.cookies, self.host = address, port, {}, host

    def get(self, path, method="GET", body=None):
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} if self.cookies else {}
        if self.host:
            headers["Host"] = self.host
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        r = http_get(self.address, self.port, path, method=method, headers=headers, body=body)
        for value in r.headers.get_all("Set-Cookie") or []:
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.split(";")[0]
        return r

    def login(self, user, password):
        from urllib.parse import urlencode
        page = self.get("/login/index.php")
        token = re.search(r'name="logintoken" value="([^"]*)"', page.text)
        return self.get("/login/index.php", "POST", urlencode({"username": user, "password": password, "anchor": "",
                                                              "logintoken": token.group(1) if token else ""}))

    @property
    def session(self):
        return next((v for k, v in self.cookies.items() if k.startswith("MoodleSession")), None)


__all__ = ["ADMIN_PASSWORD", "Browser", "Code", "Load", "Programs", "Site", "TOP"]
