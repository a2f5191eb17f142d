"""Scripts that come late, leave daemons behind or lose their leader again and again, and stops at each point on the way to work.

A prepended PHP file (php.ini's auto_prepend_file) acts in a member's scripts before Moodle is loaded, so before they connect."""
import contextlib
import os
import signal
import subprocess
import time

from rig import check, installed, runs, test, wait_for

STOP_ITSELF = "<?php if (getenv('MOODLECTL_FENCE')) { posix_kill(getmypid(), SIGSTOP); }\n"
DAEMON = "<?php if (getenv('MOODLECTL_FENCE')) { exec('setsid -f sleep 4711 >/dev/null 2>&1'); }\n"
PAUSES_S = (0, 30, 60, 120, 240)  # after so many leaders that vanished; coord/decide.c


def prepend(member, text):
    path = os.path.join(member.run_dir, "prepend.php")
    with open(path, "w") as f:
        f.write(text)
    with open(member.lead["php_ini"], "a") as f:
        f.write(f"auto_prepend_file={path}\n")
    os.chmod(path, 0o644)


def stat(pid):
    """(state, parent, exit status as wait(2) gives it) of a process, zombies included."""
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rpartition(")")[2].split()
    return words[0], int(words[1]), int(words[-1])


def frozen_before_it_connects(member, role):
    """A role that leads; it, its keeper and its script stand still, and the script has not connected yet."""
    prepend(member, STOP_ITSELF)
    late = member.start(role)
    script = wait_for("a script that has stopped itself", lambda: next((p for p in late.php() if stat(p)[0] == "T"), None), 30, pause=0.02)
    keeper = stat(script)[1]
    for pid in (late.proc.pid, keeper):
        os.kill(pid, signal.SIGSTOP)
    return late, keeper, script


def refused(script):
    """Goes on alone, and must end with status 75. Its keeper stands still, so it stays there as a zombie."""
    os.kill(script, signal.SIGCONT)
    wait_for("the late script has ended", lambda: stat(script)[0] == "Z", 15)
    check(stat(script)[2] == 75 << 8, f"status of the late script: {stat(script)[2]:#x}")


def lines(role):
    """What the role's scripts wrote."""
    return "\n".join(e["text"] for e in role.events() if e["event"] == "line")


def thaw(lead, keeper):
    prepend(lead.member, "")
    for pid in (keeper, lead.proc.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@test
def late_script_beside_the_successor(site, env):
    """Cron's script, frozen between fork and connect, so that no session can be ended; thawed while the successor's works: refused."""
    members = [r.member for r in installed(site, 2, lease_scale=25)]
    late, keeper, script = frozen_before_it_connects(members[0], "cron")
    other = members[1].start("cron")
    work = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND l.granted AND l.objid = 1073741842" \
        if site.server.kind == "pgsql" else "SELECT IS_USED_LOCK(CONCAT('msup.', LEFT(SHA2(CONCAT(DATABASE(), CHAR(0), 'mdl_'), 256), 40), '.cron.work')) IS NOT NULL"
    wait_for("the successor works", lambda: other.php() and site.sql(work) == "1", 30)
    successor = other.php()
    refused(script)
    check(other.php() == successor, "the successor's script has ended meanwhile")
    thaw(late, keeper)
    wait_for("it is said", lambda: "another session holds the work lock" in lines(late), 10)


@test
def late_script_after_the_successor(site, env):
    """The installer, thawed when the successor has installed and nobody has the work lock: it gets the lock, and is refused by the epoch."""
    late, keeper, script = frozen_before_it_connects(site.member("late", lease_scale=25), "lead")
    other = site.member("next", lease_scale=25).start()
    other.wait_state("current", 40)
    refused(script)
    thaw(late, keeper)
    late.wait_state("current", 40)
    check(runs(site) == ["interrupted", "ok"], f"runs {site.deploy_runs()}")
    check("its epoch is 1 of late#" in lines(late) and "the cluster's is 2 of next#" in lines(late), late.tail())


def daemons(member):
    """Processes that a script of the member has left in a session of their own."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb") as f:
                ours = b"MOODLECTL_RUN_DIR=" + member.run_dir.encode() + b"\0" in f.read()
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if ours and f.read() == b"sleep\0" + b"4711\0":
                    found.append(int(pid))
    return found


@test
def daemons_of_a_script(site, env):
    """A script leaves a daemon in a session of its own, with another parent. It ends with the script, whatever ends that: the script
    itself, a SIGKILL to the script, to its keeper or to the role, or the deadline while the role hangs."""
    lead = installed(site, 1, cron_keepalive_s=4, lease_scale=25)[0]  # time enough to harm a script that has just begun
    prepend(lead.member, DAEMON)
    cron = lead.member.start("cron")
    for harm in ("none", "script", "keeper", "hang", "role"):
        found = wait_for("a script and its daemon", lambda: cron.php() and daemons(lead.member), 30, pause=0.02)
        if harm in ("script", "keeper"):
            script = cron.php()[0]
            os.kill(script if harm == "script" else stat(script)[1], signal.SIGKILL)
        elif harm != "none":
            cron.signal(signal.SIGSTOP if harm == "hang" else signal.SIGKILL)
        wait_for(f"{harm}: the daemon is dead", lambda: not set(found) & set(daemons(lead.member)), 15 if harm == "none" else 4, pause=0.02)
        if harm == "hang":
            cron.signal(signal.SIGCONT)
    cron.proc.wait(10)
    check(not daemons(lead.member) and not cron.php(), "something was left")


@test
def leader_killed_seven_times(site, env):
    """Each leader of an upgrade is killed at work. The pauses grow as written; after six nobody tries any more; the command does once,
    and when that leader is killed, too, all is blocked again. The next command's leader is left alone."""
    installed(site, 1)[0].stop()
    site.standin(slow_ms=900)
    left = "extract(epoch FROM not_before - clock_timestamp())" if site.server.kind == "pgsql" else "TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), not_before)"
    for kills in range(1, 8):
        lead = site.member(f"n{kills}", "core", lease_scale=20).start()
        if kills > len(PAUSES_S) + 1:
            lead.wait_state("hold", 20, "E-BLOCKED")
            lead.say("upgrade")
        elif kills > 2:
            lead.wait_state("waiting", 20, "E-JOB-FAILED")
            wanted, is_ = PAUSES_S[kills - 2], float(site.sql(f"SELECT {left} FROM sup_coord WHERE purpose='deploy'"))
            check(wanted - 8 < is_ <= wanted, f"pause after {kills - 1} kills: {is_} s, should be {wanted} s")
            site.sql("UPDATE sup_coord SET not_before = NULL WHERE purpose='deploy'")  # it has passed
        wait_for(f"script {kills}", lambda: lead.php() and runs(site)[-1] == "running", 20, pause=0.02)
        lead.kill()
        check(runs(site).count("interrupted") >= kills - 1, f"runs {site.deploy_runs()}")
    members = [site.member(f"m{i}", "core", lease_scale=20).start() for i in range(2)]
    for r in members:
        r.wait_state("hold", 20, "E-BLOCKED")
    check(runs(site) == ["ok"] + ["interrupted"] * 7, f"runs {site.deploy_runs()}")
    site.standin()
    members[0].say("upgrade")
    for r in members:
        r.wait_state("current", 40)
    check(runs(site)[-1] == "ok" and not site.config("upgraderunning"), f"runs {site.deploy_runs()}")


@contextlib.contextmanager
def held_up(site, lock):
    """A session of the site's user has these rows or tables meanwhile."""
    s = site.server
    if s.kind == "pgsql":
        words, secret = ["psql", "-XAtq", "-h", s.host, "-p", str(s.port), "-U", s.db_user, "-d", site.name], {"PGPASSWORD": s.password}
    else:
        words, secret = ["mariadb", "--no-defaults", "-h", s.host, "-P", str(s.port), "-u", s.db_user, site.name], {"MYSQL_PWD": s.password}
    p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, env={"PATH": os.environ["PATH"], **secret})
    try:
        p.stdin.write(f"{lock};\n")
        p.stdin.flush()
        yield
    finally:
        p.stdin.close()
        p.wait(10)


def hangs_in(site, statement):
    """A session of the site waits inside a statement that begins with this."""
    if site.server.kind == "pgsql":
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname='{site.name}' AND wait_event_type='Lock' AND query LIKE '{statement}%'"
    else:
        query = f"SELECT count(*) FROM information_schema.processlist WHERE db='{site.name}' AND info LIKE '{statement}%'"
    return site.server.sql(query, db="postgres") != "0"


def stopped_in(site, state, lead, bound_s=3):
    began = time.monotonic()
    check(lead.stop(bound_s + 5) == 0, f"{state}: exit status")
    check(time.monotonic() - began < bound_s, f"{state}: the stop took {time.monotonic() - began:.1f} s")
    print(f"      stopped in {state} after {time.monotonic() - began:.1f} s")


@test
def stop_on_the_way(site, env):
    """SIGTERM in each state before work: connect, watch, waiting, claimed, grace, recheck. The role ends within a statement's limit, and whoever
    comes next waits the grace at most. (In the work: upgrade_terminated.)"""
    def another(name, release="core"):
        return site.member(name, release, lease_scale=25).start()
    first = installed(site, 1, lease_scale=25)[0]
    first.stop()
    site.server.freeze()
    try:
        lead = another("connect", "base")
        time.sleep(0.3)
        stopped_in(site, "connect", lead)
    finally:
        site.server.thaw()
    with held_up(site, "BEGIN; LOCK TABLE sup_coord" if site.server.kind == "pgsql" else "LOCK TABLES sup_coord WRITE"):
        lead = another("watch")
        wait_for("a look that hangs", lambda: hangs_in(site, "SELECT epoch"), 10, pause=0.02)
        stopped_in(site, "watch", lead)
    with held_up(site, "BEGIN; SELECT * FROM sup_coord FOR UPDATE"):
        lead = another("claimed")
        wait_for("a claim that hangs", lambda: hangs_in(site, "UPDATE sup_coord SET epoch"), 10, pause=0.02)
        stopped_in(site, "claimed", lead)
    site.standin(slow_ms=900)
    killed = another("killed")
    wait_for("an upgrade", lambda: killed.php() and site.config("upgraderunning"), 20)
    lead = another("waiting")
    lead.wait_state("waiting", 10)
    stopped_in(site, "waiting", lead, 2)
    killed.kill()
    lead = another("grace")
    wait_for("it waits the grace", lambda: any("waiting" in t and "ms until" in t for t in lead.texts()), 10, pause=0.02)
    stopped_in(site, "grace", lead, 2)
    with held_up(site, "BEGIN; SELECT * FROM sup_run WHERE result='running' FOR UPDATE"):
        lead = another("recheck")
        wait_for("a recheck that hangs", lambda: hangs_in(site, "UPDATE sup_run SET result"), 15, pause=0.02)
        stopped_in(site, "recheck", lead)
    site.standin()
    began = time.monotonic()
    last = another("last")
    wait_for("it works", lambda: any(t.startswith("upgrade starts") for t in last.texts()), 20, pause=0.02)
    check(time.monotonic() - began < 2 + 0.31 + 2, f"after {time.monotonic() - began:.1f} s: the grace is 2 s, the poll 0.31 s, and PHP starts")
    last.wait_state("current", 40)
    check(runs(site) == ["ok", "interrupted", "ok"], f"runs {site.deploy_runs()}")
