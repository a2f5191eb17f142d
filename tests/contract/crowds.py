"""Many members, neighbours and waiters at one database."""
import os
import signal
import subprocess
import time

from rig import Site, check, cpu_seconds, holders, installed, runs, test, wait_for


@test
def fifty_members(site, env):
    """Fifty on an empty database without any of our tables: one installs, nobody meets an error, and the connections stay few."""
    site.standin(slow_ms=60)
    count = ("SELECT count(*) FROM pg_stat_activity WHERE datname=current_database() AND pid<>pg_backend_pid()" if site.server.kind == "pgsql"
             else "SELECT count(*) FROM information_schema.processlist WHERE db=DATABASE() AND id<>CONNECTION_ID()")
    began, cpu = time.monotonic(), cpu_seconds(site.server.pid)
    members = [site.member(f"m{i}") for i in range(50)]
    leads = [m.start() for m in members]
    wait_for("one leads", lambda: any(("leading", "") in r.states() for r in leads), 60)
    first, most = time.monotonic() - began, 0

    def done():
        nonlocal most
        most = max(most, int(site.sql(count)))
        return all(r.state()[0] == "current" for r in leads)
    wait_for("all are current", done, 180, pause=0.5)
    check(runs(site) == ["ok"], f"runs {site.deploy_runs()}")
    # one that saw an empty database a moment ago may still win the lock after the installer, look again and find nothing to do
    installers = [r for r in leads if any(e["event"] == "line" and e.get("src") == "install" for e in r.events())]
    check(len(installers) == 1, f"{len(installers)} installed")
    check(most <= 2 * 50, f"{most} connections")
    loud = [(r.member.name, e["msg"]) for r in leads for e in r.events() if e["event"] == "log" and e["level"] in ("error", "fatal")]
    check(not loud, f"errors: {loud[:5]}")
    print(f"      first leader after {first:.1f} s, {most} connections at most, {cpu_seconds(site.server.pid) - cpu:.1f} s of the server's processor time")


INDEX = "$DB->execute('CREATE INDEX CONCURRENTLY beside_n ON {course} (fullname)');"


@test
def index_beside_waiters(site, env):
    """Ten members wait for an upgrade whose script makes an index concurrently: none of them blocks inside the server, so it can."""
    if site.server.kind != "pgsql":
        return "only with PostgreSQL"
    installed(site, 1)[0].stop()
    steps = os.path.join(site.code("core").path, "lib", "db", "upgrade.php")
    with open(steps) as f:
        text = f.read()
    with open(steps, "w") as f:
        f.write(text.replace("$dbman = ", INDEX + "\n    $dbman = ", 1))
    site.standin(slow_ms=2500, steps=["core_upgrade"])  # the moment before: all wait by then
    leads = [site.member(f"m{i}", "core").start() for i in range(11)]
    wait_for("ten wait", lambda: sum(r.state()[0] == "waiting" for r in leads) == 10 and any(r.php() for r in leads), 40)
    check(site.sql("SELECT count(*) FROM pg_class WHERE relname='beside_n'") == "0", "the index was made too early")
    for r in leads:
        r.wait_state("current", 40)
    check(site.sql("SELECT indisvalid FROM pg_index WHERE indexrelid='beside_n'::regclass") == "t", "the index is not valid")
    check(runs(site) == ["ok", "ok"], f"runs {site.deploy_runs()}")
    return None


@test
def dead_waiter(site, env):
    """A member that waits for cron is stopped for good; the holder leaves: the healthy one has it within one poll."""
    leads = installed(site, 3)
    crons = [r.member.start("cron") for r in leads]
    wait_for("a cron", lambda: holders(crons), 30)
    holder = holders(crons)[0]
    dead, healthy = [c for c in crons if c is not holder]
    dead.signal(signal.SIGSTOP)
    check(holder.stop(20) == 0, "exit status")
    wait_for("the healthy one has it", lambda: holders([healthy]), 13)
    check(not holders([dead]), "a stopped member holds cron")


class Neighbour(Site):
    """Another prefix in a database that is there already."""

    def __init__(self, env, site, prefix):
        server = site.server
        create, server.create = server.create, lambda name: None
        try:
            super().__init__(env.folder, server, env.role, name=site.name, prefix=prefix)
        finally:
            server.create = create


@test
def neighbours(site, env):
    """One prefix in two databases and two prefixes in one: while one site's installer holds its lock, stopped, the others install."""
    site.standin(slow_ms=900)
    slow = site.member("slow").start()
    wait_for("a script", lambda: slow.php() and site.server.tables(site.name) > 3, 20)
    others = [Neighbour(env, site, "two_"), Site(env.folder, site.server, env.role, name=site.name + "b")]
    try:
        for other in others:
            installed(other)
        check(slow.state()[0] == "leading", f"the first site was over too early or gave way: {slow.states()}")
        check(others[1].deploy_runs()[0][2] == "ok", "runs")
        site.standin()
        slow.wait_state("current", 60)
    finally:
        for other in others:
            other.end()
