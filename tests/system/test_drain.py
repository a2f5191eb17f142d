"""A stop: what becomes of each kind of request, and what the report says of it. And reloads. (Under load: tests/drain.)"""
import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from lib.case import check, equal, test
from lib.proc import wait_for


class Client:
    """One raw connection, to see what http.client would hide."""

    def __init__(self, m, seconds=40):
        self.m = m
        self.socket = socket.create_connection((m.address, m.port), timeout=seconds)
        self.file = self.socket.makefile("rb")

    def send(self, path, method="GET", version="1.1", headers=(), body=b""):
        lines = [f"{method} {path} HTTP/{version}", f"Host: {self.m.site.url.split('//')[1]}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)
        return self

    def answer(self):
        """(status, headers, body); status 0: the connection was closed without an answer."""
        line = self.file.readline()
        if not line:
            return 0, {}, b""
        headers = {}
        while (h := self.file.readline().strip()):
            name, _, value = h.decode().partition(":")
            headers[name.lower()] = value.strip()
        if "content-length" in headers:
            body = self.file.read(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b""
            while (n := int(self.file.readline() or b"0", 16)):
                body += self.file.read(n)
                self.file.readline()
            self.file.readline()
        else:
            body = self.file.read()
        return int(line.split()[1]), headers, body

    def is_closed(self):
        self.socket.settimeout(5)
        return self.socket.recv(1) == b""


def report(m):
    """The numbers of drain.end, from its metrics line."""
    for line in m.raw_log().split("\n"):
        if '"DrainDuration"' in line:
            return json.loads(line)
    raise AssertionError(f"no report of the drain\n{m.tail()}")


@test(dbs=("pgsql",), standin=True)
def every_answer_says_close_and_none_is_lost(t):
    """In the lame duck: scripts, static files, downloads, errors, a body, HTTP/1.0; each on a connection that was kept before."""
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="4s")
    m, = site.serve((1,))
    asked = {"script": ("/login/index.php", "GET", 200), "static": ("/theme/boost/style/moodle.css", "GET", 200), "download": ("/pluginfile.php/1/local_standin/hello/0/hello.txt", "GET", 200),
             "folder": ("/login/", "GET", 200), "redirect": ("/login", "GET", 301), "no file": ("/nowhere.png", "GET", 404), "no script": ("/nowhere.php", "GET", 404),
             "hidden": ("/config.php", "GET", 404), "dot": ("/.git/config", "GET", 404), "health": ("/-/ready", "GET", None), "form": ("/login/index.php", "POST", None)}
    clients = {}
    for what, (path, method, _) in asked.items():
        clients[what] = Client(m).send("/login/index.php")
        status, headers, _ = clients[what].answer()
        equal((status, headers.get("connection")), (200, "keep-alive"), f"before the stop, {what}")
    old = Client(m)
    wait_for("these requests are in the log", lambda: len(m.log(src="nginx.access")) == len(asked), 5)
    m.signal(signal.SIGTERM)
    m.wait_phase("LAME", 5)
    for what, (path, method, wanted) in asked.items():
        body = b"a=" + b"b" * 100000 if method == "POST" else b""
        head = ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"] if body else []
        status, headers, _ = clients[what].send(path, method, headers=head, body=body).answer()
        check(wanted is None or status == wanted, f"{what}: status {status}, should be {wanted}")
        equal(headers.get("connection"), "close", f"{what}: Connection, with status {status}")
        check(clients[what].is_closed(), f"{what}: the connection is still open")
    status, headers, body = old.send("/login/index.php", version="1.0", headers=["Connection: keep-alive"]).answer()
    equal((status, headers.get("connection"), b"</html>" in body), (200, "close", True), "HTTP/1.0")
    equal(m.wait_exit(20), 0, "exit status")
    r = report(m)
    equal((r["RequestsAborted"], r["RequestsCut"], r["DrainClean"]), (0, 0, 1), f"report {r}")
    equal(r["RequestsCompleted"], len(asked), f"completed, all but the health check and with HTTP/1.0: {r}")


@test(dbs=("pgsql",), standin=True)
def what_outlives_the_budget_is_cut_and_counted(t):
    """At its second, with the log naming it: a long script, an upload that stalls, an open stream. A client that goes away is told apart."""
    with open(os.path.join(t.code.path("base"), "stream.php"), "w") as f:
        f.write('<?php header("Content-Type: text/event-stream"); header("X-Accel-Buffering: no");\n'
                'while (true) { echo "data: on and on\\n\\n"; while (ob_get_level()) ob_end_flush(); flush(); usleep(200000); }\n')
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="1s", MOODLECTL_STOP_TIMEOUT="10s")
    m, = site.serve((1,))
    idle = Client(m).send("/login/index.php")
    equal(idle.answer()[0], 200, "a page before")
    long, gone = Client(m).send("/local/slow.php?ms=60000"), Client(m).send("/local/slow.php?ms=60001")
    stream = Client(m).send("/stream.php", version="1.0")
    upload = Client(m).send("/login/index.php", "POST", headers=["Content-Length: 100000", "Content-Type: text/plain"], body=b"x" * 1000)
    time.sleep(0.5)
    began = time.monotonic()
    m.signal(signal.SIGTERM)
    begin = m.wait_log("the stop has begun", lambda o: o.get("event") == "drain.begin", 5)
    check("4 requests in flight, 1 kept connections" in begin["msg"], begin["msg"])
    check("until 1000," in begin["msg"] and "until 7000," in begin["msg"] and "SIGKILL at 9000" in begin["msg"], begin["msg"])
    m.wait_phase("QUIESCE", 5)
    gone.socket.shutdown(socket.SHUT_RDWR)
    ended = {}
    threads = [threading.Thread(target=lambda n=n, c=c: ended.update({n: (c.answer()[0], time.monotonic() - began)})) for n, c in (("long", long), ("upload", upload), ("stream", stream))]
    for one in threads:
        one.start()
    equal(m.wait_exit(20), 12, "exit status")
    for one in threads:
        one.join(10)
    for name, (status, seconds) in ended.items():
        equal(status, 200 if name == "stream" else 0, f"{name}: an answer")  # of the stream there was a beginning
        check(6.5 < seconds < 9, f"{name} was cut after {seconds:.1f} s instead of 7")
    r = report(m)
    equal((r["RequestsCut"], r["RequestsAborted"], r["DrainClean"]), (3, 1, 0), f"report {r}")
    check(7000 <= r["LongestRequest"] < 9000, f"the longest: {r}")
    check(m.log(id="E-DRAIN-DIRTY"), "no line with E-DRAIN-DIRTY")
    lines = [o["data"] for o in m.log(src="nginx.access") if not o["data"]["completed"]]
    equal(sorted(o["status"] for o in lines), [0, 0, 200, 499], "access lines of what was not completed")


@test(dbs=("pgsql",), standin=True)
def the_last_signal_kills(t):
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="10s")
    m, = site.serve((1,))
    waits = Client(m).send("/local/slow.php?ms=60000")
    time.sleep(0.5)
    began = time.monotonic()
    for phase in ("LAME", "QUIESCE"):
        m.signal(signal.SIGTERM)
        m.wait_phase(phase, 5)
    m.signal(signal.SIGTERM)
    equal(m.wait_exit(20), 12, "exit status")
    equal(waits.answer()[0], 0, "an answer")
    check(time.monotonic() - began < 3, "three signals and still there")


@test(dbs=("pgsql",), standin=True)
def a_second_signal_gives_two_seconds_more(t):
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="10s", MOODLECTL_LOG_ACCESS="false")
    m, = site.serve((1,))
    short, long = Client(m).send("/local/slow.php?ms=1500"), Client(m).send("/local/slow.php?ms=60000")
    time.sleep(0.5)
    m.signal(signal.SIGTERM)
    m.wait_phase("LAME", 5)
    began = time.monotonic()
    m.signal(signal.SIGTERM)
    equal(short.answer()[0], 200, "a request that ends within two seconds")
    equal(long.answer()[0], 0, "one that does not")
    equal(m.wait_exit(20), 12, "exit status")
    check(time.monotonic() - began < 6, "the second signal did not hurry")
    equal((m.log(src="nginx.access"), report(m)["RequestsCompleted"]), ([], 1), "access lines that are not wanted, and what was counted by them")


@test(dbs=("pgsql",), standin=True)
def simulate_tells_and_changes_nothing(t):
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="5s", MOODLECTL_STOP_TIMEOUT="30s", MOODLECTL_FPM_CHILDREN=2)
    m, = site.serve((1,))
    kept = Client(m).send("/login/index.php")
    equal(kept.answer()[0], 200, "a page")
    slow = [Client(m).send(f"/local/slow.php?ms=6000&token=secret{i}") for i in range(3)]  # the third waits for a worker
    time.sleep(1)
    o = json.loads(m.exec(["moodlectl", "drain", "--simulate", "--json"]).stdout)
    equal([o[k] for k in ("phase", "lame_ms", "quiesce_ms", "finish_ms", "kill_ms", "end_ms")], ["SERVE", 5000, 27000, 28000, 29000, 30000], "the plan")
    equal((o["in_flight"], o["keep_alive"], len(o["php"])), (3, 1, 2), f"what is under way: {o}")
    for p in o["php"]:
        check(p["script"].endswith("/local/slow.php") and p["so_far_ms"] > 500 and p["cut_at_ms"] == p["so_far_ms"] + 27000, f"a request: {p}")
    text = m.exec(["moodlectl", "drain", "--simulate"]).stdout
    check("In flight: 3 requests" in text and "slow.php: runs for" in text and "secret" not in text, text)
    equal([c.answer()[0] for c in slow], [200] * 3, "the requests")
    equal((m.phase(), m.get("/-/ready").status, kept.send("/login/index.php").answer()[1]["connection"]), ("SERVE", 200, "keep-alive"), "after it")


def rendered(m):
    """{file: bytes} of what a reload may replace."""
    found = {}
    for name in ("nginx.conf", "php-fpm.conf", "php.ini", "config.php", "moodle.json", "lead.json"):
        with open(m.inside(f"/run/moodlectl/{name}"), "rb") as f:
            found[name] = f.read()
    return found


@test(dbs=("pgsql",))
def a_reload_with_a_wrong_file_changes_nothing(t):
    """One wrong line, of nginx or of PHP-FPM: all old files stay, both services run on, the command names the line. Mended, all follow."""
    site = t.site(installed="base")
    templates = site.folder.make(f"{site.name}-templates", mode=0o755)
    shutil.copytree(site.programs.templates, templates, dirs_exist_ok=True)
    m, = site.serve((1,), env={"MOODLECTL_TEMPLATE_DIR": templates})
    before, pids = rendered(m), {c["name"]: c["pid"] for c in m.status()["children"]}
    for name, wrong, word in (("nginx.conf", "    no_such_directive on;", "no_such_directive"), ("php-fpm.conf", "no_such_key = 1", "no_such_key")):
        path = os.path.join(templates, name + ".tmpl")
        with open(path) as f:
            good = f.read()
        bad = good.replace("http {\n", f"http {{\n{wrong}\n") if name == "nginx.conf" else good.replace("[global]\n", f"[global]\n{wrong}\n")
        with open(path, "w") as f:
            f.write(bad)
        p = m.exec(["moodlectl", "reload"], check=False)
        number = next(i for i, line in enumerate(bad.split("\n")[1:], 1) if word in line)  # the first line is the template's own
        equal(p.returncode, 65, f"exit status with a wrong {name}: {p.stderr}")
        check("E-RENDER-TEST" in p.stderr and word in p.stderr and f"{name}.new:{number}" in p.stderr, f"a wrong {name}: {p.stderr}")
        check(m.log(event="reload.failed", id="E-RENDER-TEST"), "no line in the log")
        equal(rendered(m), before, f"files after a wrong {name}")
        equal(m.get("/login/index.php").status, 200, "a page")
        with open(path, "w") as f:
            f.write(good.replace("gzip_min_length 1024", "gzip_min_length 1025") if name == "nginx.conf" else good)
    equal({c["name"]: c["pid"] for c in m.status()["children"] if c["name"] in ("nginx", "php")}, {n: pids[n] for n in ("nginx", "php")}, "services")
    p = m.exec(["moodlectl", "reload"])
    check("nginx follows" in p.stdout, p.stdout)
    check(b"gzip_min_length 1025" in rendered(m)["nginx.conf"], "the new nginx.conf is not there")
    check(not os.path.exists(m.inside("/run/moodlectl/nginx.conf.new")), "a file of the test was left")
    check("neither nginx nor php-fpm" in m.exec(["moodlectl", "reload"]).stdout, "a reload without a change")
    with open(os.path.join(templates, "nginx.conf.tmpl"), "r+") as f:
        text = f.read().replace("gzip_min_length 1025", "gzip_min_length 1026")
        f.seek(0)
        f.write(text)
    m.exec(["moodlectl", "render"])
    check("nginx and php-fpm follow" in m.exec(["moodlectl", "reload"]).stdout, "a reload after moodlectl render")
    check("neither nginx nor php-fpm" in m.exec(["moodlectl", "reload"]).stdout, "a second reload")
    for what in ("nginx", "php-fpm"):
        workers = {p for p, c in m.processes().items() if ("nginx: worker" if what == "nginx" else "php-fpm: pool") in c}
        m.exec(["moodlectl", "restart", what])
        wait_for(f"new workers of {what}", lambda: not workers & set(m.processes()), 10)
        equal(m.get("/login/index.php").status, 200, f"a page after restart {what}")
    equal(m.exec(["moodlectl", "restart", "redis"], check=False).returncode, 64, "restart of something else")


@test(dbs=("pgsql",))
def cron_is_handed_over_from_the_first_second(t):
    """Not at the end of the stop: while the member still serves, another one runs cron already."""
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="14s", MOODLECTL_LEASE_SCALE="30")  # the others look for the lease that often
    first, other = site.serve((1, 2))
    holder = site.wait_cron()
    heir = other if holder is first else first
    began = time.monotonic()
    holder.signal(signal.SIGTERM)
    wait_for("the other member runs cron", lambda: heir.status()["cron"]["holder"], 12)
    took = time.monotonic() - began
    equal((holder.phase(), holder.get("/login/index.php").status), ("LAME", 200), f"the stopping member, {took:.1f} s after the signal")
    equal(holder.wait_exit(30), 0, "exit status")


STORM = """import collections, socket, sys, time
found, end = collections.Counter(), time.monotonic() + 20
while found["ConnectionRefusedError"] < 20 and time.monotonic() < end:
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as s:
            s.sendall(b"GET /theme/boost/style/moodle.css HTTP/1.0\\r\\n\\r\\n")
            found["good" if s.recv(4096).startswith(b"HTTP/1.1 200") else "no answer"] += 1
    except OSError as e:
        found[type(e).__name__] += 1
print(dict(found))
"""


@test(dbs=("pgsql",))
def who_never_learns_is_refused_and_never_cut(t):
    """Thousands of connections a second while nginx closes its sockets: each is served or refused, none is taken and then reset."""
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="1s")
    m, = site.serve((1,))
    clients = [subprocess.Popen([sys.executable, "-c", STORM, m.address, str(m.port)], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    wait_for("they are being served", lambda: len(m.log(src="nginx.access")) > 200, 10)
    m.signal(signal.SIGTERM)
    found = [ast.literal_eval(c.communicate(timeout=30)[0]) for c in clients]
    equal(m.wait_exit(20), 0, "exit status")
    equal({how for f in found for how in f}, {"good", "ConnectionRefusedError"}, f"what became of them: {found}")
