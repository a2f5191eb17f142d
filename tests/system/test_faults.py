"""Faults inside one member: what hangs, what is full, what cannot be started."""
import glob
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

from lib.case import Skip, check, equal, test
from lib.proc import send, wait_for
from test_processes import child, outer


def workers(m, of="php-fpm: pool moodle"):
    return [p for p, c in m.processes().items() if c.strip() == of or (of.endswith(":") and c.startswith(of))]


USERS, FILES, FOWNER, BIND = 0b11100000, 0b11, 0b1000, 1 << 10  # bits of capabilities(7)
PRIVILEGES = {  # what a command line begins with or ends in: capabilities in the end, at most, oom_score_adj, nice
    "nginx: master": (USERS | FILES | BIND, USERS | FILES | BIND, 0, 0),
    "nginx: worker": (0, USERS | FILES | BIND, 0, 0),
    "php-fpm: master": (USERS | FILES, USERS | FILES, 100, 0),
    "php-fpm: pool": (0, USERS | FILES, 100, 0),
    "moodlectl-role lead": (USERS | FILES | FOWNER, USERS | FILES | FOWNER, 0, 0),
    "moodlectl-role cron": (USERS | FILES | FOWNER, USERS | FILES | FOWNER, 500, 5),
    "cron.php": (0, USERS | FILES | FOWNER, 500, 5),
}


def privileges(pid):
    s = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    equal((int(s["CapInh"], 16), int(s["CapAmb"], 16), int(s["NoNewPrivs"])), (0, 0, 1), f"inheritable, ambient, no_new_privs of {pid}")
    core = next(line.split()[4] for line in open(f"/proc/{pid}/limits") if line.startswith("Max core"))
    equal(core, "0", "core files")
    nice = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[16])
    return int(s["CapEff"], 16), int(s["CapBnd"], 16), int(open(f"/proc/{pid}/oom_score_adj").read()), nice


@test(dbs=("pgsql",), standin=True)
def what_children_may_and_who_dies_first(t):
    """As root, each service has what its row names and its workers have nothing. As the web user nobody has anything. Cron goes before
    PHP-FPM, and that before nginx, when memory ends."""
    site = t.site(installed="base")
    base = int(open("/proc/self/oom_score_adj").read())
    for user in (None, "www-data"):
        m, = site.serve((1,), user=user)
        m.wait_log("cron runs", lambda o: o.get("src") == "cron", 60)
        seen = set()
        for pid, command in m.processes().items():
            for word, (effective, bound, oom, nice) in PRIVILEGES.items():
                if not (word in command.split("/")[-1] if word == "cron.php" else word in command):
                    continue
                seen.add(word)
                have = privileges(pid)
                equal(have[2:], (base + oom, min(19, os.nice(0) + nice)), f"{command} as {user}: oom_score_adj, nice")
                equal(have[0], 0 if user else effective, f"{command} as {user}: capabilities")
                if not user:
                    equal(have[1], bound, f"{command}: its bound")
        check(len(seen) >= 6, f"only {seen} were seen as {user}")
        equal(m.drain(), 0, "exit status")


@test(dbs=("pgsql",), standin=True)
def a_stuck_php_fpm_is_started_anew(t):
    """All workers hang in a way that request_terminate_timeout cannot mend. One whose requests end is left alone, however full."""
    site = t.site(installed="base", MOODLECTL_REQUEST_TIMEOUT="1s", MOODLECTL_FPM_STUCK_AFTER="3s", MOODLECTL_FPM_CHILDREN=2)
    m, = site.serve((1,))
    before = child(m, "php")
    full, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            full.append(m.get("/local/slow.php?ms=700").status)
    users = [threading.Thread(target=load) for _ in range(8)]
    for u in users:
        u.start()
    time.sleep(9)  # more than twice what makes it stuck
    stop.set()
    for u in users:
        u.join()
    equal((child(m, "php")["pid"], set(full)), (before["pid"], {200}), "a full php-fpm, and its answers")
    for p in workers(m):
        send(p, signal.SIGSTOP)
    said = m.wait_log("it is found stuck", lambda o: o.get("id") == "E-PROBE-FAILED", 20)
    check("its status answers" in said["msg"], said["msg"])
    wait_for("another php-fpm", lambda: child(m, "php")["pid"] not in (0, before["pid"]), 15)
    wait_for("the login page is back", lambda: m.get("/login/index.php").status == 200, 15, pause=0.2)
    equal(m.drain(), 0, "exit status")


@test(dbs=("pgsql",), standin=True)
def a_stuck_php_fpm_ends_the_container(t):
    """With MOODLECTL_FPM_STUCK=exit; here even the master hangs."""
    site = t.site(installed="base", MOODLECTL_REQUEST_TIMEOUT="1s", MOODLECTL_FPM_STUCK_AFTER="2s", MOODLECTL_FPM_STUCK="exit",
                  MOODLECTL_STOP_TIMEOUT="6s")
    m, = site.serve((1,))
    for p in workers(m, "php-fpm:"):
        send(p, signal.SIGSTOP)
    equal(m.wait_exit(40), 11, f"exit status\n{m.tail()}")


class Cgroup:
    """A control group of one kind for one member: of version 1, or 2 where it can be had."""

    def __init__(self, t, kind):
        for root in (f"/sys/fs/cgroup/{kind}", "/sys/fs/cgroup"):
            self.path = os.path.join(root, f"moodlectl-test-{os.getpid()}-{kind}")
            try:
                os.mkdir(self.path)
            except OSError:
                continue
            if any(n.startswith(kind + ".") for n in os.listdir(self.path)):
                break
            os.rmdir(self.path)
        else:
            raise Skip(f"no control group of kind {kind} can be made here")
        t.folder.servers.insert(0, self)  # the last to go
        self.join = f"echo $$ >{self.path}/cgroup.procs"  # for Member(before=...): the shell becomes process 1

    def stop(self):
        wait_for("the group is empty", lambda: not open(f"{self.path}/cgroup.procs").read(), 10)
        os.rmdir(self.path)

    def write(self, value, *names):
        for name in names:
            if os.path.exists(f"{self.path}/{name}"):
                with open(f"{self.path}/{name}", "w") as f:
                    return f.write(str(value))
        raise AssertionError(f"none of {names} in {self.path}")

    def read(self, *names):
        return next(open(f"{self.path}/{n}").read() for n in names if os.path.exists(f"{self.path}/{n}"))


@test(dbs=("pgsql",), standin=True)
def no_process_can_be_made(t):
    """The limit of processes is reached when nginx dies. It is tried for as long as that lasts, with growing delays."""
    group = Cgroup(t, "pids")
    site = t.site(installed="base")
    m, = site.serve((1,), before=group.join)
    group.write(1, "pids.max")
    send(outer(m, child(m, "nginx")["pid"]), signal.SIGKILL)
    wait_for("more tries than nginx's deaths may be", lambda: len([o for o in m.log(id="E-SPAWN") if "nginx" in o["msg"]]) > 6, 20)
    group.write("max", "pids.max")
    wait_for("the login page is back", lambda: m.get("/login/index.php").status == 200, 30, pause=0.5)
    equal(m.drain(), 0, "exit status")


EATER = """
import os, sys, time
group, counter = sys.argv[1:]
open("/proc/self/oom_score_adj", "w").write("-1000")
open(group + "/cgroup.procs", "w").write(str(os.getpid()))
kills = lambda: int(open(counter).read().rsplit("oom_kill ", 1)[1].split()[0])
eaten = []
while not kills() and len(eaten) < 1000:
    eaten.append(b"x" * (1 << 20))
    time.sleep(0.002)
"""


@test(dbs=("pgsql",), standin=True)
def memory_ends(t):
    """Somebody takes it all. The kernel ends cron, and the member goes on."""
    group = Cgroup(t, "memory")
    site = t.site(installed="base")
    m, = site.serve((1,), before=group.join)
    m.wait_log("cron runs", lambda o: o.get("src") == "cron", 60)
    used = int(group.read("memory.usage_in_bytes", "memory.current"))
    group.write(used + (64 << 20), "memory.limit_in_bytes", "memory.max")
    counter = next(p for p in (group.path + "/memory.oom_control", group.path + "/memory.events") if os.path.exists(p))
    equal(subprocess.run([sys.executable, "-c", EATER, group.path, counter], timeout=60).returncode, 0, "the eater")
    group.write(-1 if "oom_control" in counter else "max", "memory.limit_in_bytes", "memory.max")
    dead = m.wait_log("a death is told", lambda o: "SIGKILL" in o.get("msg", "") or "signal 9" in o.get("msg", "") or o.get("id", "").startswith("E-CRON"), 20)
    check("cron" in dead["src"] + dead["msg"], f"somebody else died: {dead}")
    equal((m.get("/login/index.php").status, child(m, "php")["starts"], child(m, "nginx")["starts"]), (200, 1, 1), "page, starts of php and nginx")
    equal(m.drain(), 0, "exit status")


@test(dbs=("pgsql",), standin=True)
def the_run_directory_is_full(t):
    """What PID 1 thinks can no longer be written. The health check turns all the same, and the stop is clean."""
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="3s")
    m, = site.serve((1,))
    m.exec(["sh", "-c", "dd if=/dev/zero of=/run/moodlectl/full bs=64k 2>/dev/null; :"])
    equal(m.get("/login/index.php").status, 200, "a page with no room left")
    m.signal(signal.SIGTERM)
    wait_for("it is unready", lambda: m.get("/-/ready").status == 503, 2, pause=0.05)
    equal(m.get("/login/index.php").status, 200, "a page in the lame duck")
    equal(m.wait_exit(30), 0, f"exit status\n{m.tail()}")
    check(m.log(id="E-RENDER-WRITE") or m.log(id="E-DIR-RUN"), "nothing is said about it")


ORPHANS = """
import os, signal
for i in range(100):
    if os.fork() == 0:
        for j in range(10):
            if os.fork() == 0: os._exit(j)
        os._exit(0)
    if i % 10 == 0: os.wait()
os._exit(0)
"""


def zombies(m):
    found = []
    for p in m.processes():
        try:
            with open(f"/proc/{p}/stat") as f:
                found += [p] if f.read().rpartition(")")[2].split()[0] == "Z" else []
        except OSError:
            pass
    return found


@test(dbs=("pgsql",), standin=True)
def orphans_by_the_thousand_while_services_die(t):
    """No status of a service is taken for an orphan's or the other way round."""
    site = t.site(installed="base")
    m, = site.serve((1,))
    crowd = threading.Thread(target=lambda: [m.exec([sys.executable, "-c", ORPHANS]) for _ in range(3)])
    crowd.start()
    deaths = 0
    while crowd.is_alive() and deaths < 3:
        before = child(m, "nginx")
        send(outer(m, before["pid"]), signal.SIGKILL)
        deaths += 1
        wait_for("nginx runs anew", lambda: child(m, "nginx")["starts"] > before["starts"] and child(m, "nginx")["state"] == "up", 15, pause=0.02)
    crowd.join()
    equal(child(m, "nginx")["starts"], 1 + deaths, "starts of nginx")
    check(all("killed by SIGKILL" in o["msg"] for o in m.log(event="child") if "nginx: up -> backoff" in o["msg"]), "a death of nginx has another's status")
    wait_for("no process waits to be reaped", lambda: not zombies(m), 5)
    equal(m.drain(), 0, "exit status")


@test(dbs=("pgsql",), standin=True)
def strangers_are_left_alone(t):
    """A process of the same pid name space that is nobody's child here, as a shell of ECS Exec, a health check, or the neighbours in a task with
    pidMode: task."""
    for pid1 in (True, False):
        site = t.site(installed="base")
        m, = site.serve((1,), pid1=pid1)
        told = os.path.join(m.home, "told")
        stranger = threading.Thread(target=lambda: m.exec(
            ["sh", "-c", f"trap 'echo signal >>{told}' TERM QUIT HUP INT CONT USR1; echo here >>{told}; while :; do sleep 0.1; done"], check=False))
        stranger.start()
        wait_for("the stranger is there", lambda: os.path.exists(told), 10)
        equal(m.drain(), 0, "exit status")
        stranger.join(10)
        equal(open(told).read(), "here\n", f"what a stranger was told, moodlectl {'is' if pid1 else 'is not'} PID 1")
        check(not m.log(event="stray"), "it was taken for a stray")


def can_be_told(pid):
    """It blocks SIGTERM: nobody can earlier, process 1 loses what it neither handles nor blocks."""
    blocked = re.search(r"^SigBlk:\s*(\w+)", open(f"/proc/{pid}/status").read(), re.M)[1]
    return int(blocked, 16) >> signal.SIGTERM - 1 & 1 and b"/moodlectl\0" in open(f"/proc/{pid}/cmdline", "rb").read()[:200]


@test(dbs=("pgsql",), standin=True)
def a_stop_at_any_moment(t):
    """From its first instructions to serving. MOODLECTL_TEST_STOPS=50 for more; half of them get the signal again, and end at once."""
    count = int(os.environ.get("MOODLECTL_TEST_STOPS", "8"))
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="1s", MOODLECTL_STOP_TIMEOUT="10s")
    moments = random.Random()
    for n in range(count):
        m = site.member(1)
        m.start()
        wait_for("process 1 is moodlectl and can be told", lambda: can_be_told(m.init_pid), 5, pause=0.001)
        pause = moments.choice((0.005, 0.05, 0.5, 2)) * moments.random()
        time.sleep(pause)
        m.signal(moments.choice((signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)))
        if n % 2:
            time.sleep(moments.random() * 0.3)
            if m.alive():
                m.signal(signal.SIGTERM)
        check(m.wait_exit(15) in (0, 12), f"stop {n} after {pause:.3f} s: exit status {m.process.returncode}\n{m.tail()}")


FLOOD = """#!/bin/sh
case " $* " in *' --nodaemonize '*)
    trap '' TERM QUIT
    python3 -c 'import sys, time
n = 0
while True:
    sys.stderr.write("".join(f"flood {i}\\n" for i in range(n, n + 500)))
    n += 500
    time.sleep(0.1)' &
    trap - TERM QUIT
esac
exec {program} "$@"
"""


@test(dbs=("pgsql",), standin=True)
def a_flood_of_lines_while_it_is_stopped(t):
    """5000 lines a second, from a helper of php-fpm that no polite signal ends."""
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="1s")
    program = sorted(glob.glob("/usr/sbin/php-fpm*"))[-1]
    wrapper = os.path.join(t.folder.make("flood", mode=0o755), "php-fpm")
    with open(wrapper, "w") as f:
        f.write(FLOOD.replace("{program}", program))
    os.chmod(wrapper, 0o755)
    m, = site.serve((1,), env={"MOODLECTL_PHP_FPM": wrapper})
    m.wait_log("the flood", lambda o: o.get("msg", "").startswith("flood 5000"), 20)
    began = time.monotonic()
    equal(m.drain(), 0, "exit status")
    check(time.monotonic() - began < 10, f"the stop took {time.monotonic() - began:.1f} s")
    numbers = [int(o["msg"].split()[1]) for o in m.log(src="php") if o.get("msg", "").startswith("flood ")]
    equal(numbers, list(range(len(numbers))), "lines, none lost and none twice")


STEPPED = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
    char text[32] = "";
    int r = (int)syscall(SYS_clock_gettime, id, t), f = id == CLOCK_REALTIME ? open("OFFSET", O_RDONLY | O_CLOEXEC) : -1;
    if (f < 0) return r;
    if (read(f, text, sizeof text - 1) > 0) t->tv_sec += atol(text);
    close(f);
    return r;
}
"""  # libfaketime reads its environment again and again, and process 1 wipes its own


@test(dbs=("pgsql",), standin=True)
def the_clock_is_stepped(t):
    """Process 1's wall clock jumps by more than a year, forth and back. Nothing but the log's stamps follows it."""
    home = t.folder.make("clock", mode=0o755)
    offset, library = os.path.join(home, "offset"), os.path.join(home, "stepped.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=STEPPED.replace("OFFSET", offset), text=True, check=True)
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="1s", MOODLECTL_STOP_TIMEOUT="10s")
    m, = site.serve((1,), env={"LD_PRELOAD": library})
    for days in (400, -400):
        with open(offset, "w") as f:
            f.write(str(days * 86400))
        before = child(m, "nginx")
        send(outer(m, before["pid"]), signal.SIGKILL)
        wait_for("nginx runs anew", lambda: child(m, "nginx")["starts"] > before["starts"] and child(m, "nginx")["state"] == "up", 15)
        check(0 <= m.status()["uptime_ms"] < 120_000, f"its age after {days} days: {m.status()['uptime_ms']} ms")
    stamps = [o["ts"][:4] for o in m.log(event="child") if "nginx: up -> backoff" in o["msg"]]
    equal(len(set(stamps)), 2, f"the years of the log {stamps}")
    began = time.monotonic()
    equal(m.drain(), 0, "exit status")
    check(time.monotonic() - began < 8, f"the stop took {time.monotonic() - began:.1f} s")
