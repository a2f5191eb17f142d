"""One Moodle tree (the stand-in's or a real one) with its database, moodledata and web server, to ask questions of."""

import html
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

PLUGIN = pathlib.Path(__file__).parent / "plugin"


DIES_WITH_US = ["setpriv", "--pdeathsig=KILL", "--"]  # also when we are killed: nothing is left behind


class Site:
    """kind is 'standin' or 'real'; server is one of databases.py."""

    def __init__(self, kind, source, folder, server, redis, port):
        self.kind, self.server, self.redis, self.port = kind, server, redis, port
        self.folder = pathlib.Path(folder)
        self.tree = self.folder / "tree"
        self.data = self.folder / "data"
        self.name = f"check_{kind}"
        self.folder.mkdir(parents=True)
        copy = ["cp", "-a", str(source), str(self.tree)]
        if kind == "standin" or subprocess.run([*copy, "--link"], capture_output=True).returncode:
            shutil.rmtree(self.tree, ignore_errors=True)       # Another file system.
            subprocess.run(copy, check=True)
        (self.tree / "config.php").unlink(missing_ok=True)
        if kind == "real":
            shutil.copytree(PLUGIN, self.tree / "local" / "standincheck")
        self.base = f"http://127.0.0.1:{port}"
        self.extra = ""
        self.web_process = None
        self.started = []
        self.fresh()

    # -- life ---------------------------------------------------------------------------------------------------

    def fresh(self):
        """An empty database and an empty moodledata."""
        self.server.empty(self.name)
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir()
        self.configure("")

    def configure(self, extra, **overrides):
        """Write config.php; extra is PHP put before setup.php."""
        lines = ["<?php", "unset($CFG);", "global $CFG;", "$CFG = new stdClass();"]
        settings = dict(self.server.config(self.name), dblibrary="native", prefix="mdl_", wwwroot=self.base,
                        dataroot=str(self.data), admin="admin")
        settings.update(overrides)
        for name, value in settings.items():
            lines.append(f"$CFG->{name} = {value if isinstance(value, Raw) else php_string(str(value))};")
        lines += ["$CFG->directorypermissions = 02770;", extra, "require_once(__DIR__ . '/lib/setup.php');", ""]
        self.write("config.php", "\n".join(lines))

    def write(self, path, text):
        """Replace a file of the tree; a hard link to the source tree is broken, never written through."""
        target = self.tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temp = target.with_name(target.name + ".new")
        temp.write_text(text)
        temp.rename(target)

    def edit(self, path, pattern, replacement):
        text = (self.tree / path).read_text()
        new, count = re.subn(pattern, replacement, text, count=1)
        assert count, f"{path}: no {pattern}"
        self.write(path, new)

    def close(self):
        self.web_stop()
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()

    # -- asking -------------------------------------------------------------------------------------------------

    def environment(self):
        keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return dict(keep, LC_ALL="C.UTF-8", TZ="UTC", PGAPPNAME="standin-check")

    def start(self, script, *args, inputvars=5000):
        command = [*DIES_WITH_US, "php", "-d", f"max_input_vars={inputvars}", script, *args]
        process = subprocess.Popen(command, cwd=self.tree, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        self.started.append(process)
        return process

    def finish(self, process, timeout=300):
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"exit": "timeout"}
        return {"exit": process.returncode, "out": self.lines(out), "err": self.lines(err)}

    def php(self, script, *args, **kw):
        return self.finish(self.start(script, *args, **kw))

    def snippet(self, code, defines="define('NO_UPGRADE_CHECK', true);"):
        """Run PHP after the bootstrap; the file lies outside the tree."""
        path = self.folder / "snippet.php"
        path.write_text(f"<?php define('CLI_SCRIPT', true); {defines} require '{self.tree}/config.php';\n{code}\n")
        return self.php(str(path))

    def lines(self, raw):
        text = raw.decode("utf-8", "replace")
        text = text.replace(str(self.tree), "TREE").replace(str(self.data), "DATA").replace(self.base, "WWW")
        text = html.unescape(text.replace(self.name, "DBNAME"))
        text = re.sub(r"port \d+", "port N", re.sub(r" in TREE/\S+ on line \d+", " in FILE", text)).replace(f":{self.redis.port}", ":REDIS")
        return [line.rstrip() for line in text.splitlines() if line.strip()]

    def sql(self, text):
        return self.server.rows(self.name, text)

    def config(self, *names):
        """Values of settings straight from the database, missing ones as None."""
        rows = dict(self.sql("SELECT name, value FROM mdl_config"))
        return {name: rows.get(name) for name in names}

    def set_row(self, name, value):
        self.sql(f"DELETE FROM mdl_config WHERE name = '{name}'")
        if value is not None:
            self.sql(f"INSERT INTO mdl_config (name, value) VALUES ('{name}', '{value}')")

    def wait_for(self, condition, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if condition():
                    return True
            except Exception:       # Tables that are not there yet.
                pass
            time.sleep(0.02)
        return False

    def wait_row(self, name):
        return self.wait_for(lambda: self.config(name)[name] is not None)

    # -- web ----------------------------------------------------------------------------------------------------

    def web_start(self):
        if self.web_process:
            return
        log = open(self.folder / "web.log", "ab")
        command = [*DIES_WITH_US, "php", "-d", "max_input_vars=5000", "-d", "display_errors=0", "-d", "opcache.enable=0", "-S", f"127.0.0.1:{self.port}", "-t", str(self.tree)]
        self.web_process = subprocess.Popen(command, cwd=self.tree, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        for _ in range(100):
            try:
                http.client.HTTPConnection("127.0.0.1", self.port, timeout=1).connect()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("php -S did not start")

    def web_stop(self):
        if self.web_process:
            self.web_process.send_signal(signal.SIGKILL)
            self.web_process.wait()
            self.web_process = None

    def get(self, path, body=None, headers=None, cookies=None):
        """Status, chosen headers and body of one request; cookies is a dict that is kept up to date."""
        self.web_start()
        headers = dict(headers or {})
        if cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        if body is not None:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, value = header.split(";")[0].partition("=")
            if cookies is not None:
                cookies[name] = value
        location = response.headers.get("Location")
        return {"status": response.status, "location": location and location.replace(self.base, "WWW"), "headers": response.headers,
                "body": text}

    def status(self, path, **kw):
        answer = self.get(path, **kw)
        return [answer["status"], answer["location"]] if answer["location"] else answer["status"]


class Raw(str):
    """PHP code that configure() writes as it is."""


def php_string(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
