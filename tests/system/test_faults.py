"""Faults inside one member: what hangs, what is full, what cannot be started."""
import os
import signal
import threading
import time

from lib.case import check, equal, test
from lib.proc import send, wait_for
from test_processes import child


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
