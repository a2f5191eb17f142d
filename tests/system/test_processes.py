"""What process 1 is there for: signals, children, orphans, secrets, and the commands over its socket."""
import json
import os
import re
import shutil
import signal
import socket
import time

from lib.case import check, equal, test
from lib.member import command_output
from lib.proc import free_port, run, send, wait_for
from lib.site import ADMIN_PASSWORD


def child(m, name):
    return next(c for c in m.status()["children"] if c["name"] == name)


def outer(m, pid):
    """The number outside of a process that the member knows by another."""
    for p in m.processes():
        try:
            with open(f"/proc/{p}/status") as f:
                if re.search(rf"^NSpid:.*\s{pid}$", f.read(), re.M):
                    return p
        except OSError:
            continue
    raise AssertionError(f"no process {pid} in {m.name}")


def stops_quickly(m, seconds=10):
    began = time.monotonic()
    m.signal(signal.SIGTERM)
    equal(m.wait_exit(seconds + 20), 0, f"exit status after SIGTERM\n{m.tail()}")
    took = time.monotonic() - began
    check(took < seconds, f"the stop took {took:.1f} s")



def wait_until_process_1(m):
    wait_for("moodlectl is process 1", lambda: b"moodlectl" in open(f"/proc/{m.init_pid}/cmdline", "rb").read().split(b"\0")[0], 5, pause=0.005)


@test(dbs=("pgsql",))
def stop_while_it_boots(t):
    site = t.site(MOODLECTL_STOP_TIMEOUT="12s")  # a real install may have begun: all but 10 s is patience with it
    for pause in (0.02, 0.08, 0.15, 0.3, 0.6):
        m = site.member(1)
        m.start()
        time.sleep(0.05)
        wait_until_process_1(m)
        time.sleep(pause)
        stops_quickly(m)


@test()
def stop_while_it_waits_for_the_database(t):
    m, = t.site(MOODLE_DATABASE_PORT_NUMBER=free_port()).start((1,))
    m.wait_log("E-DB-REFUSED", lambda o: o.get("id") == "E-DB-REFUSED", 30)
    stops_quickly(m)


@test(dbs=("pgsql",), seconds=60)
def stop_while_a_packet_eating_database_is_waited_for(t):
    server = t.server()
    site = t.site(db=server)
    server.freeze()
    m, = site.start((1,))
    m.wait_phase("LEAD", 20)
    time.sleep(2)
    stops_quickly(m)
    server.thaw()


@test(seconds=120)
def stop_while_it_installs(t):
    """The install is ended, the lock is free, and the next member can heal what is there."""
    site = t.site(MOODLECTL_LEASE_SCALE="30", MOODLECTL_STOP_TIMEOUT="12s")  # all but 10 s of it is patience with the job
    t.real or site.standin(slow_ms=400)
    m, = site.start((1,))
    m.wait_log("it leads", lambda o: o.get("event") == "state" and o["msg"].startswith("leading"), 30)
    wait_for("tables are made", lambda: site.db.tables(site.db_name) > 8, 60)
    stops_quickly(m, 15)
    t.real or site.standin()
    m2, = site.serve((2,), seconds=600 if t.real else 100)
    equal(site.sql("SELECT count(*) FROM mdl_user WHERE username = 'admin'"), "1", "administrators")
    equal(m2.get("/login/index.php").status, 200, "login page")


@test(dbs=("pgsql",))
def stop_while_secrets_are_fetched(t):
    """Secrets Manager takes the connection and never says a word; nginx shows the holding page meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf"
        m, = t.site().start((1,), env={"MOODLE_DATABASE_PASSWORD": None, "MOODLE_DATABASE_PASSWORD_ARN": arn, "AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "secret",
                                       "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://127.0.0.1:{mute.getsockname()[1]}"})
        m.wait_phase("PREPARE", 20)
        mute.settimeout(20)
        waiting, _ = mute.accept()
        equal(m.get("/").status, 503, "the holding page")
        stops_quickly(m, 5)
        waiting.close()


@test(dbs=("pgsql",))
def stop_while_it_warms_up(t):
    """The script that warms the caches hangs, with a child of its own."""
    site = t.site(installed="base")
    folder = site.folder.make(f"{site.name}-bin", mode=0o755)
    with open(f"{folder}/php", "w") as f:
        f.write('#!/bin/sh\ncase "$*" in *warm.php*) sleep 300; esac\nexec /usr/bin/php "$@"\n')
    os.chmod(f"{folder}/php", 0o755)
    m, = site.start((1,), env={"MOODLECTL_PHP": f"{folder}/php"})
    m.wait_phase("WARM", 30)
    wait_for("the script hangs", lambda: any(c.startswith("sleep 300") for c in m.processes().values()), 20)
    stops_quickly(m, 5)


@test(dbs=("pgsql",), standin=True)
def what_php_says_is_one_message(t):
    """The real php-fpm: a chain of exceptions, a warning and a backtrace, each one line of the log with its severity, and none twice."""
    m, = t.site(installed="base").serve((1,))
    equal(m.get("/local/fail.php").status, 500, "status")
    m.wait_log("the exception", lambda o: "LogicException: outer" in o.get("msg", ""), 10)
    said = [o for o in m.log() if any(w in o.get("msg", "") for w in ("something old", "watch out", "RuntimeException", "Stack trace", "* line", "thrown in"))]
    equal([(o["src"], o["level"]) for o in said], [("php", "notice"), ("php", "warn"), ("php", "error")], "sources and levels")
    check("* line 3 of /y.php" in said[0]["msg"], f"the backtrace: {said[0]}")
    for part in ("inner,\nof two lines", "Stack trace:\n#0", "Next LogicException: outer", "thrown in"):
        check(part in said[2]["msg"], f"{part!r} in {said[2]}")


@test(dbs=("pgsql",))
def other_stop_signals(t):
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="1s")
    members = site.serve((1, 2, 3))
    for m, sig in zip(members, (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)):
        m.signal(sig)
    for m in members:
        equal(m.wait_exit(30), 0, f"exit status of {m.name}")


@test(dbs=("pgsql",))
def a_second_signal_hurries(t):
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="10s")
    m, = site.serve((1,))
    began = time.monotonic()
    m.signal(signal.SIGTERM)
    m.wait_phase("LAME", 5)
    m.signal(signal.SIGTERM)
    equal(m.wait_exit(20), 0, "exit status")
    check(time.monotonic() - began < 8, "the second signal did not hurry")


@test(dbs=("pgsql",))
def services_come_back(t):
    """nginx and php-fpm are killed, masters and workers: the member goes on."""
    site = t.site(installed="base")
    m, = site.serve((1,))
    for name, word in (("php", "php-fpm: master"), ("nginx", "nginx: master")):
        before = child(m, name)
        send(outer(m, before["pid"]), signal.SIGKILL)
        wait_for(f"{name} runs anew", lambda: child(m, name)["pid"] not in (0, before["pid"]) and child(m, name)["starts"] > before["starts"], 15)
        wait_for("the login page is back", lambda: m.get("/login/index.php").status == 200, 20, pause=0.2)
        equal(len([c for c in m.processes().values() if c.startswith(word)]), 1, f"processes of {name}")
    check(m.alive(), "the member ended")


@test(dbs=("pgsql",))
def a_crash_loop_ends_the_container(t):
    site = t.site(installed="base")
    m, = site.serve((1,))
    end = time.monotonic() + 70
    while m.alive() and time.monotonic() < end:
        for pid, words in m.processes().items():
            if words.startswith("php-fpm: master"):
                send(pid, signal.SIGKILL)
        time.sleep(0.1)
    equal(m.wait_exit(20), 10, f"exit status\n{m.tail()}")
    check(m.log(id="E-CHILD-FAILED"), "no line with E-CHILD-FAILED")


@test(dbs=("pgsql",))
def orphans_are_reaped(t):
    site = t.site(installed="base")
    m, = site.serve((1,))
    m.exec(["sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.2; :) & done; (setsid sleep 300 >/dev/null 2>&1 &)"])

    def zombies():
        found = []
        for p in m.processes():
            try:
                with open(f"/proc/{p}/stat") as f:
                    if f.read().rpartition(")")[2].split()[0] == "Z":
                        found.append(p)
            except OSError:
                continue
        return found
    time.sleep(0.6)
    wait_for("no process waits to be reaped", lambda: not zombies(), 5)
    check(any("sleep 300" in c for c in m.processes().values()), "the orphan is not below process 1")
    equal(m.drain(), 0, "exit status, with a stray in the container")


@test(dbs=("pgsql",))
def as_subreaper(t):
    """Not process 1: under a shell, as with an init that the platform brings along."""
    site = t.site(installed="base")
    m, = site.serve((1,), pid1=False)
    check(m.pid != m.init_pid, "this is no test of the subreaper")
    check(any("subreaper" in o["msg"] for o in m.log(event="start")), "it does not say that it is a subreaper")
    m.exec(["sh", "-c", "(sleep 300 >/dev/null 2>&1 &)"])
    equal(m.get("/login/index.php").status, 200, "login page")
    m.signal(signal.SIGTERM)
    equal(m.wait_exit(30), 0, "exit status")


@test(dbs=("pgsql",))
def without_root(t):
    site = t.site(installed="base")
    m, = site.serve((1,), user="www-data")
    equal(m.get("/login/index.php").status, 200, "login page")
    for pid in m.processes():
        equal(os.stat(f"/proc/{pid}").st_uid in (site.uid("www-data"), 0), True, f"user of {pid}")
    p = m.exec(["moodlectl", "status"], user="www-data")
    check("SERVE" in p.stdout, f"status: {p.stdout}")
    p = m.exec(["moodlectl", "status"], user="nobody", check=False)
    check(p.returncode in (69, 77), f"status of a stranger: {p.returncode} {p.stdout}{p.stderr}")
    equal(m.drain(), 0, "exit status")


@test()
def secrets_stay_secret(t):
    """Not in any argument list, not in the environment of a service or a script, not in the log; files only for those who need them."""
    site = t.site()
    t.real or site.standin(slow_ms=60)
    m, = site.start((1,))
    values = {k: v for k, v in m.env().items() if k.endswith("_PASSWORD")}
    equal(sorted(values), ["MOODLE_DATABASE_PASSWORD", "MOODLE_PASSWORD", "MOODLE_REDIS_PASSWORD"], "secrets of this test")
    wait_until_process_1(m)  # before it: the harness's own mount programs, with the environment of the task
    found, seen = set(), set()
    end = time.monotonic() + (600 if t.real else 90)
    settled = None
    while time.monotonic() < end and (settled is None or time.monotonic() - settled < 5):
        if settled is None and m.phase() == "SERVE":
            settled = time.monotonic()
            m.get("/login/index.php")
        for pid, words in m.processes().items():
            program = os.path.basename(words.split(" ")[0].rstrip(":"))
            seen.add(program)
            places = ["cmdline"] if pid == m.pid or program in ("moodlectl", "moodlectl-role", "") else ["cmdline", "environ"]
            for place in places:
                try:
                    with open(f"/proc/{pid}/{place}", "rb") as f:
                        data = f.read()
                except OSError:
                    continue
                found |= {(program, place, k) for k, v in values.items() if v.encode() in data}
        time.sleep(0.02)
    check(settled, f"it did not come to serve\n{m.tail()}")
    equal(found, set(), "secrets in /proc")
    check({"nginx", "php-fpm", "php"} <= seen, f"programs that were looked at: {seen}")
    log = m.raw_log() + m.errors()
    for name, value in values.items():
        check(value not in log and json.dumps(value)[1:-1] not in log, f"the value of {name} is in the log")
    for name in ("moodle.json", "lead.json", "config.php"):
        p = m.exec(["cat", f"/run/moodlectl/{name}"], user="nobody", check=False)
        check(p.returncode != 0, f"anybody can read {name}")
    p = m.exec(["cat", "/run/moodlectl/lead.json"], user="www-data", check=False)
    check(p.returncode != 0, "the web user can read lead.json")
    shown = m.exec(["moodlectl", "config", "show"]).stdout
    for name, value in values.items():
        check(value not in shown, f"config show shows {name}")


@test(dbs=("pgsql",))
def commands(t):
    site = t.site(installed="base")
    m, = site.serve((1,))
    site.wait_cron()
    status = m.status()
    equal((status["phase"], status["ready"], status["live"], status["member"]), ("SERVE", True, True, "m1"), "status")
    equal({c["name"]: c["state"] for c in status["children"] if c["name"] in ("nginx", "php")}.keys(), {"nginx", "php"}, "children")
    check("SERVE" in m.exec(["moodlectl", "status"]).stdout, "status for people")
    for what in ("live", "ready", "startup"):
        m.exec(["moodlectl", "healthcheck", what])
    equal(m.exec(["moodlectl", "upgrade", "plan"], check=False).returncode, 0, "upgrade plan when nothing is pending")
    check("m1" in m.exec(["moodlectl", "cron", "status"]).stdout, "cron status does not name the member")
    m.exec(["moodlectl", "cron", "run-now"])
    p = m.exec(["moodlectl", "moodle", "cfg", "--name=release"])
    check(p.stdout.strip() == site.config("release"), f"moodle cfg: {p.stdout!r}")
    equal(m.exec(["moodlectl", "moodle", "no_such_script"], check=False).returncode, 127, "a script that does not exist")
    m.exec(["moodlectl", "version"])
    p = m.exec(["moodlectl", "statsu"], check=False)
    equal(p.returncode, 64, "a wrong word")
    check("status" in p.stdout + p.stderr, f"no proposal: {p.stderr}")
    equal(m.exec(["moodlectl", "render", "--check"], check=False).returncode, 0, "render --check of fresh files")
    m.exec(["moodlectl", "maintenance", "on", "--message", "Back <soon>"])
    equal(m.exec(["moodlectl", "maintenance", "status"], check=False).returncode, 1, "maintenance status")
    page = m.get("/login/index.php")
    equal(page.status, 503, "page in maintenance")
    m.exec(["moodlectl", "maintenance", "off"])
    equal(m.get("/login/index.php").status, 200, "page after maintenance")
    m.exec(["moodlectl", "reload"])
    wait_for("rendered anew", lambda: any(o.get("event") == "reload" for o in m.log()), 20)
    wait_for("the page is there after a reload", lambda: m.get("/login/index.php").status == 200, 10)
    strangers_are_turned_away(m)
    m.exec(["moodlectl", "drain"])
    equal(m.wait_exit(30), 0, "exit status after moodlectl drain")


def strangers_are_turned_away(m):
    """The socket's mode keeps others out; and were it open to all, process 1 asks the kernel who is calling."""
    equal(m.exec(["stat", "-c", "%a", "/run/moodlectl/control.sock"]).stdout.strip(), "600", "mode of the control socket")
    check(m.exec(["moodlectl", "drain"], user="nobody", check=False).returncode != 0, "anybody can drain")
    m.exec(["chmod", "0755", "/run/moodlectl"])
    m.exec(["chmod", "0666", "/run/moodlectl/control.sock"])
    p = m.exec(["moodlectl", "drain"], user="nobody", check=False)
    check(p.returncode == 77 and "E-CONTROL" in p.stderr, f"an open socket: {p.returncode} {p.stderr}")
    equal(m.status()["phase"], "SERVE", "phase after strangers")


@test(dbs=("pgsql",))
def commands_without_an_instance(t):
    site = t.site()
    equal(command_output(site, ["status"], {"MOODLECTL_RUN_DIR": site.folder.path + "/nowhere"}).returncode, 69, "status without an instance")
    equal(command_output(site, ["explain", "E-DB-AUTH"]).returncode, 0, "explain")
    equal(command_output(site, ["config", "env"]).returncode, 0, "config env")
    equal(command_output(site, ["help"]).returncode, 0, "help")


@test(dbs=("pgsql",))
def a_foreign_command(t):
    """docker run IMAGE run -- COMMAND, and with the entry point `moodlectl run`: docker run IMAGE COMMAND."""
    site = t.site()
    for words in (["run", "--", "sh", "-c", "echo pid $$; exit 7"], ["run", "sh", "-c", "echo pid $$; exit 7"], ["sh", "-c", "echo pid $$; exit 7"]):
        m = site.member(1, command=words)
        m.start()
        equal(m.wait_exit(10), 7, f"exit status of {words}")
        equal(m.raw_log(), "pid 1\n", f"output of {words}")
    m = site.member(1, command=["run", "--", "/nowhere/program"])
    m.start()
    equal(m.wait_exit(10), 127, "a program that does not exist")


@test(dbs=("pgsql",))
def a_task_of_its_own(t):
    """docker run IMAGE moodle SCRIPT, or a program that needs config.php: rendered first, and then executed as process 1."""
    site = t.site(installed="base")
    for words in (["moodle", "cfg", "--name=rolesactive"], ["run", "moodle", "cfg", "--name=rolesactive"],
                  ["run", "--", "php", "/srv/moodle/admin/cli/cfg.php", "--name=rolesactive"]):
        m = site.member(1, command=words)
        m.start()
        equal(m.wait_exit(60), 0, f"exit status of {words}")
        equal(m.raw_log(), "1\n", f"output of {words}")
    broken = site.member(2, command=["moodle", "cfg"], env={"MOODLE_DATABASE_TYPE": "oracle"})
    broken.start()
    equal(broken.wait_exit(30), 78, "a script without a site")
    check("E-DB-TYPE" in broken.errors(), broken.errors())
    shell = site.member(3, command=["sh", "-c", "echo a shell all the same"], env={"MOODLE_DATABASE_TYPE": "oracle"})
    shell.start()
    equal(shell.wait_exit(30), 0, "a shell to find out why")
    check("E-DB-TYPE" in shell.errors(), shell.errors())
    equal(shell.raw_log(), "a shell all the same\n", "output of the shell")


@test(dbs=("pgsql",), standin=True)
def php_is_not_reached_before_the_install(t):
    """Whatever is asked for, and by whatever method, while the database is empty."""
    site = t.site()
    site.standin(slow_ms=200)
    m, = site.start((1,))
    m.wait_phase("LEAD", 20)
    seen = set()
    while m.phase() == "LEAD":
        for path, method in (("/", "GET"), ("/install.php", "GET"), ("/admin/index.php", "POST"), ("/login/index.php", "GET"),
                             ("/pluginfile.php/1/a/b", "GET"), ("/lib/setup.php", "GET"), ("/index.php/x", "HEAD"), ("//index.php", "GET"),
                             ("/-/../index.php", "GET"), ("/%69ndex.php", "GET")):
            r = m.get(path, method=method, body="a=b" if method == "POST" else None)
            check("counter-database" not in r.text and "X-Powered-By" not in r.headers, f"{method} {path} reached PHP: {r.text[:200]}")
            seen.add(r.status)
        check(not [c for c in m.processes().values() if "php-fpm" in c] or m.phase() != "LEAD", "php-fpm runs before the install")
        time.sleep(0.2)
    check(seen <= {503, 400, 403, 404, 405, 301, 308} and 503 in seen, f"statuses before the install: {seen}")
    m.wait_phase("SERVE", 60)


@test(dbs=("pgsql",))
def what_nginx_must_not_serve(t):
    site = t.site(installed="base")
    m, = site.serve((1,))
    for path in ("/config.php", "/admin/cli/install_database.php", "/lib/db/install.xml", "/.git/config", "/version.php", "/vendor/autoload.php",
                 "/composer.json", "/-/../../etc/passwd"):
        r = m.get(path)
        # a PHP file of the code may be executed: Moodle's own guard ends it without a word
        check(r.status in (400, 403, 404) or (path in ("/config.php", "/version.php") and r.text == ""), f"{path}: {r.status} {r.text[:120]}")
    text = m.raw_log()
    check(ADMIN_PASSWORD not in text, "a password in the log")
    m.get("/-/ready")
    check(not [o for o in m.log(src="nginx.access") if "/-/ready" in json.dumps(o)], "health checks are in the access log")


@test(dbs=("pgsql",))
def a_message_of_php_is_one_line(t):
    """PHP-FPM's workers may log in two ways at once: to its own log and to nginx. One message is one line, with PHP's severity."""
    tree = t.folder.make(f"{t.name}-code", mode=0o755)
    shutil.rmtree(tree)
    run(["cp", "-a", t.code.path("base"), tree], seconds=300)
    with open(os.path.join(tree, "local", "say.php"), "w") as f:
        f.write("<?php\nerror_log('said once'); trigger_error('warned once', E_USER_WARNING); echo 'done';\n")
    m, = t.site(installed="base").serve((1,), release=tree)
    equal(m.get("/local/say.php").text, "done", "the page")
    m.wait_log("the second message", lambda o: "warned once" in o.get("msg", ""))
    time.sleep(1)
    said = [(o["src"], o["level"], o["msg"]) for o in m.log() if "once" in o.get("msg", "")]
    equal([(src, level) for src, level, _ in said], [("php", "notice"), ("php", "warn")], f"who said it: {said}")
