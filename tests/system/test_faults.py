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
