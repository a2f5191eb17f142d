#!/usr/bin/env python3
"""The protocol between members, against real servers, with the roles run by hand (no process 1, no nginx).

    run.py --build DIR [--db pgsql|mariadb] [--role PROGRAM] [--retry] [--keep] [TEST...]

Starts its own PostgreSQL, MariaDB and Redis in a temporary folder on loopback. Each test has a database of its own. The code is the
stand-in Moodle; MOODLE_SRC and MOODLE_OLD name real trees for the test `real_upgrade`."""
import argparse
import inspect
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import (TESTS, Failure, Redis, RunFolder, Server, Site, check, database, free_port, holders, installed, run, runs,  # noqa: E402
                 test, user_or, wait_for)


# ---- first install ----

@test
def lease(site, env):
    """The lease's own contract: contract_lease."""
    m = site.member("m")
    p = run([os.path.join(env.build, "tests", "contract_lease"), m.run_dir], check=False, seconds=120)
    check(p.returncode == 0, p.stdout + p.stderr)


@test
def one_install(site, env):
    """Ten members on an empty database: one installs, nine wait and show its progress; the administrator's password is the real one."""
    site.standin(slow_ms=150, ddl_ms=200)
    leads = installed(site, 10)
    check(runs(site) == ["ok"], f"runs {site.deploy_runs()}")
    check(sum(("leading", "") in r.states() for r in leads) == 1, "more than one led")
    told = [e for r in leads if ("leading", "") not in r.states() for e in r.events() if e["event"] == "progress"]
    shown = [e for e in told if e["total"]]
    check(shown and all(e["phase"] == "install" and e["by"].startswith("m") for e in shown), "waiting members showed no progress")
    inside = [e["detail"] for e in told if e["detail"].startswith("System: ")]
    check(len(set(inside)) > 1, f"no progress inside the step that makes core's tables: {inside}")
    for r in leads:
        done = [e["done"] for e in r.events() if e["event"] == "progress"]
        check(done == sorted(done), f"progress went back: {done}")
    hashed = site.sql("SELECT password FROM mdl_user WHERE username='boss'")
    check(run(["php", "-r", "exit(password_verify($argv[2], $argv[1]) ? 0 : 1);", hashed, leads[0].member.lead["site"]["admin_password"]],
              check=False).returncode == 0, "the password is not the one that was set")
    check(site.config("rolesactive") == "1", "rolesactive")
    check(all(r.stop() == 0 for r in leads), "exit status")


@test
def leader_killed(site, env):
    """SIGKILL of the installing role: its script is dead at once, a successor starts over after the grace."""
    site.standin(slow_ms=700)
    leads = [site.member(f"m{i}", lease_scale=50).start() for i in range(3)]
    leader = wait_for("a script", lambda: next((r for r in leads if r.php() and site.server.tables(site.name) > 3), None), 20)
    leader.kill()
    wait_for("its script is dead", lambda: not leader.php(), 2)
    site.standin()
    began = time.monotonic()
    others = [r for r in leads if r is not leader]
    for r in others:
        r.wait_state("current", 40)
    check(time.monotonic() - began < 20, "takeover took too long")
    check(sorted(runs(site)) == ["interrupted", "ok"], f"runs {site.deploy_runs()}")
    check(site.config("rolesactive") == "1", "rolesactive")


@test
def leader_stopped(site, env):
    """SIGSTOP of the role alone: the keeper kills the script at the deadline, before anybody else may begin."""
    site.standin(slow_ms=900)
    leads = [site.member(f"m{i}", lease_scale=50).start() for i in range(2)]
    leader = wait_for("a script", lambda: next((r for r in leads if r.php() and site.server.tables(site.name) > 3), None), 20)
    other = leads[1 - leads.index(leader)]
    leader.signal(signal.SIGSTOP)
    began = time.monotonic()
    wait_for("the keeper kills at the deadline", lambda: not leader.php(), 3.5 + 1.5)
    check(time.monotonic() - began > 0.5, "too early for a deadline")
    check(not other.php(), "the other member works already")
    site.standin()
    other.wait_state("current", 40)
    leader.signal(signal.SIGCONT)
    leader.wait_state("current", 40)
    check(any("lost" in t for t in leader.texts()), "the stopped leader never said that it lost the lock")
    check(sorted(runs(site)) == ["interrupted", "ok"], f"runs {site.deploy_runs()}")


@test
def keeper_killed(site, env):
    """SIGKILL of the keeper: the script dies with it, the role sees it and tries again."""
    site.standin(slow_ms=700)
    lead = site.member("m", lease_scale=50).start()
    wait_for("a script", lambda: lead.php() and site.server.tables(site.name) > 3, 20)
    script = lead.php()[0]
    keeper = int(run(["ps", "-o", "ppid=", "-p", str(script)]).stdout)
    os.kill(keeper, signal.SIGKILL)
    wait_for("the script is dead", lambda: script not in lead.php(), 2)  # the next one may run already
    site.standin()
    lead.wait_state("current", 60)
    check(runs(site) == ["interrupted", "ok"], f"runs {site.deploy_runs()}")


@test
def session_ended(site, env):
    """An administrator ends all sessions of the database during an install: the script fails, the role relocks or starts over; the
    site is whole at the end."""
    site.standin(slow_ms=400)
    leads = [site.member(f"m{i}", lease_scale=50).start() for i in range(2)]
    wait_for("a script", lambda: any(r.php() for r in leads) and site.server.tables(site.name) > 3, 20)
    site.server.end_sessions(site.name)
    time.sleep(1)
    site.standin()
    for r in leads:
        r.say("upgrade")  # the failed attempt's pause is 30 s
    for r in leads:
        r.wait_state("current", 60)
    check(runs(site)[-1] == "ok" and len(runs(site)) == 2, f"runs {site.deploy_runs()}")


@test
def lead_session_ended(site, env):
    """Only the lead session is ended: the lock is taken again before the deadline and the script goes on."""
    site.standin(slow_ms=400)
    lead = site.member("m").start()
    wait_for("a script", lambda: lead.php() and site.server.tables(site.name) > 3, 20)
    if site.server.kind == "pgsql":
        site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='moodlectl-deploy-lead' AND datname=current_database()")
    else:
        owner = site.sql("SELECT IS_USED_LOCK(CONCAT('msup.', LEFT(SHA2(CONCAT(DATABASE(), CHAR(0), 'mdl_'), 256), 40), '.deploy.lead'))")
        site.sql(f"KILL {owner}")
    lead.wait_state("current", 40)
    check(runs(site) == ["ok"], f"runs {site.deploy_runs()}")
    check(any("taken again" in t for t in lead.texts()), f"no relock: {lead.texts()}")


@test
def foreign_half_install(site, env):
    """Tables that we did not make are never dropped."""
    site.server.sql("CREATE TABLE mdl_config (id int, name varchar(255), value text)", db=site.name, admin=False)
    lead = site.member("m").start()
    lead.wait_state("hold", 20, "E-HALF-INSTALLED")
    check(site.server.tables(site.name) == 1, "a table was made or dropped")
    lead.stop()
    site.server.sql("ALTER TABLE mdl_config DROP COLUMN name", db=site.name, admin=False)
    site.member("other").start().wait_state("hold", 20, "E-HALF-INSTALLED")  # not a reading error for ever


@test
def install_not_wanted(site, env):
    """MOODLECTL_INSTALL=never, and missing settings."""
    site.member("never", install="never").start().wait_state("hold", 20, "E-INSTALL-OFF")
    m = site.member("nopass")
    m.lead["site"]["admin_password"] = ""
    m.write()
    m.start().wait_state("hold", 20, "E-INSTALL-SETTINGS")
    check(site.server.tables(site.name) == 0, "something was made")


@test
def odd_prefixes(site, env):
    """Prefix s and sup_: our tables step aside, the installer accepts."""
    for prefix in ("s", "sup_"):
        other = Site(env.folder, site.server, env.role, name=site.name + prefix, prefix=prefix)
        try:
            installed(other)
            check(other.sql("SELECT count(*) FROM x_sup_coord") == "1", "x_sup_coord")
        finally:
            other.end()


# ---- upgrade ----

@test
def upgrade_with_outage(site, env):
    """Three members of new code: one upgrades; members of old code wait with progress and then hold; the mark comes and goes."""
    old = installed(site, 2)
    site.standin(slow_ms=400)
    new = [site.member(f"n{i}", "core").start() for i in range(3)]
    mark = os.path.join(site.data, "climaintenance.html")
    wait_for("the mark", lambda: os.path.exists(mark), 15)
    for r in old:
        r.wait_state("waiting", 10)
    for r in new:
        r.wait_state("current", 40)
    check(not os.path.exists(mark), "the mark was left")
    for r in old:
        r.wait_state("hold", 10, "E-OLD-CODE")
    check(runs(site) == ["ok", "ok"], f"runs {site.deploy_runs()}")
    check(any(e["event"] == "progress" and e["phase"] == "upgrade" and e["by"].startswith("n") for r in old for e in r.events()), "no progress at the old members")
    late = site.member("late").start()
    late.wait_state("hold", 10, "E-OLD-CODE")
    check(late.member.run("plan").returncode == 14, "plan of old code")


@test
def upgrade_without_outage(site, env):
    """Only version numbers differ: no maintenance mark, members of old code serve until the end."""
    old = installed(site, 1)[0]
    site.standin(slow_ms=300)
    # Moodle compares db/ directories by their absolute path: the new code must come to the old one's place
    new = site.member("n", "version")
    os.rename(old.member.code.path, old.member.code.path + ".away")
    os.rename(new.code.path, old.member.code.path)
    new.lead["code_dir"] = old.member.code.path
    new.write()
    check(new.run("plan").returncode == 3, "plan")
    lead = new.start()
    seen = []
    wait_for("current", lambda: seen.append(os.path.exists(os.path.join(site.data, "climaintenance.html"))) or lead.state()[0] == "current", 40)
    check(not any(seen), "there was a maintenance mark")
    check([r[1] for r in site.deploy_runs()] == ["install", "upgrade-live"], f"runs {site.deploy_runs()}")
    old.wait_state("hold", 10, "E-OLD-CODE")
    check([s[0] for s in old.states()].count("waiting") <= 1, f"the old member stopped serving: {old.states()}")
    check(site.config("outagelessupgrade") in ("", "0"), "outagelessupgrade was left")


@test
def other_plugins(site, env):
    """The same version with other plugins: the old member holds, also after a restart, and never upgrades back."""
    old = installed(site, 1)[0]
    site.member("n", "plugin").start().wait_state("current", 40)
    old.wait_state("hold", 10, "E-OTHER-CODE")
    site.member("again").start().wait_state("hold", 10, "E-OTHER-CODE")
    check(len(site.deploy_runs()) == 2, f"runs {site.deploy_runs()}")


@test
def upgrade_by_hand(site, env):
    """MOODLECTL_UPGRADE=manual waits for the command."""
    installed(site, 1)
    lead = site.member("n", "core", upgrade="manual").start()
    lead.wait_state("hold", 10, "E-UPGRADE-MANUAL")
    check(lead.member.run("plan").returncode == 2, "plan")
    lead.say("upgrade")
    lead.wait_state("current", 40)


@test
def upgrade_that_fails(site, env):
    """Two failures block all ten members; the command tries once more; a better image starts over."""
    old = installed(site, 1)[0]
    broken = [site.member(f"b{i}", "broken").start() for i in range(10)]
    wait_for("a failure", lambda: runs(site).count("failed") == 1, 30)
    check(any(t.startswith("upgrade failed") for r in broken for t in r.texts()), "nobody logged it")
    broken[0].say("upgrade")
    for r in broken:
        r.wait_state("hold", 30, "E-BLOCKED")
    time.sleep(3)
    check(runs(site).count("failed") == 2, f"runs {site.deploy_runs()}")
    broken[1].say("upgrade")
    wait_for("one more", lambda: runs(site).count("failed") == 3, 30)
    check(old.state()[0] in ("hold", "waiting"), f"the old member serves a half-upgraded site: {old.states()}")
    site.member("better", "patch-1").start().wait_state("current", 40)


@test
def upgrade_terminated(site, env):
    """SIGTERM during an upgrade: the script ends politely, another member finishes."""
    installed(site, 1)
    site.standin(slow_ms=900)
    leads = [site.member(f"n{i}", "core", job_patience_ms=300).start() for i in range(2)]
    leader = wait_for("a script that upgrades", lambda: next((r for r in leads if r.php() and site.config("upgraderunning")), None), 30)
    check(leader.stop(15) == 0, "exit status")
    check(runs(site)[-1] == "interrupted", f"runs {site.deploy_runs()}")
    check(not leader.php(), "its script lives")
    site.standin()
    leads[1 - leads.index(leader)].wait_state("current", 40)
    check(runs(site) == ["ok", "interrupted", "ok"], f"runs {site.deploy_runs()}")


@test
def upgrade_killed(site, env):
    """SIGKILL during an upgrade leaves Moodle's flag and our mark: the successor clears both."""
    installed(site, 1)
    site.standin(slow_ms=900)
    leads = [site.member(f"n{i}", "core", lease_scale=50).start() for i in range(2)]
    leader = wait_for("a script that upgrades", lambda: next((r for r in leads if r.php() and site.config("upgraderunning")), None), 30)
    leader.kill()
    check(os.path.exists(os.path.join(site.data, "climaintenance.html")), "no mark")
    site.standin()
    leads[1 - leads.index(leader)].wait_state("current", 60)
    check(not site.config("upgraderunning"), "flag left")
    check(not os.path.exists(os.path.join(site.data, "climaintenance.html")), "mark left")
    check(runs(site) == ["ok", "interrupted", "ok"], f"runs {site.deploy_runs()}")


def in_last_steps(site, count):
    """`count` members of a newer release, and the one whose script has written the plugin hash and now takes its time for the rest."""
    installed(site, 1)
    site.standin(slow_ms=3000, steps=["settings"])
    leads = [site.member(f"n{i}", "core", lease_scale=50).start() for i in range(count)]
    return leads, wait_for("the hash", lambda: next((r for r in leads if r.php() and site.config("allversionshash") == r.member.code.info["hash"]), None), 30)


def whole_again(site, lead):
    """The last steps were done again by `lead`, and the one upgrade went well."""
    site.standin()
    wait_for("the flag is gone", lambda: not site.config("upgraderunning"), 20)
    lead.wait_state("current", 60)
    check(runs(site) == ["ok", "ok"], f"runs {site.deploy_runs()}")
    check(any("last steps" in t for t in lead.texts()), f"{lead.texts()}")
    check(not any("finish-upgrade.php:" in t for t in lead.texts()), f"{lead.texts()}")
    check(not os.path.exists(os.path.join(site.data, "climaintenance.html")), "mark left")


@test
def upgrade_killed_at_the_end(site, env):
    """SIGKILL after the plugin hash was written, before the settings: the successor does the last steps, no second upgrade."""
    leads, leader = in_last_steps(site, 2)
    leader.kill()
    whole_again(site, leads[1 - leads.index(leader)])


@test
def upgrade_script_killed_at_the_end(site, env):
    """Only the script is killed (out of memory, say): its own leader sees to the last steps."""
    _, lead = in_last_steps(site, 1)
    for pid in lead.php():
        os.kill(pid, signal.SIGKILL)
    whole_again(site, lead)


@test
def upgrade_disturbed_at_the_end(site, env):
    """The database ends all sessions during an upgrade's last steps: they are done again, Moodle's flag does not stay."""
    _, lead = in_last_steps(site, 1)
    site.server.end_sessions(site.name)
    whole_again(site, lead)


@test
def script_session_ended_at_the_end(site, env):
    """Only the script's session is ended during an upgrade's last steps: the attempt failed, but the site is whole soon."""
    _, lead = in_last_steps(site, 1)
    if site.server.kind == "pgsql":
        site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='moodlectl-deploy-work' AND datname=current_database()")
    else:
        site.sql("KILL " + site.sql("SELECT IS_USED_LOCK(CONCAT('msup.', LEFT(SHA2(CONCAT(DATABASE(), CHAR(0), 'mdl_'), 256), 40), '.deploy.work'))"))
    whole_again(site, lead)


@test
def row_deleted(site, env):
    """The row deleted by hand: the next epoch is above all that ever worked, so the first try is the one that works."""
    installed(site, 1)
    site.sql("DELETE FROM sup_coord")
    lead = site.member("n", "core").start()
    lead.wait_state("current", 40)
    check([r[0] for r in site.deploy_runs()] == ["1", "2"] and runs(site) == ["ok", "ok"], f"runs {site.deploy_runs()}")
    check(sum(t.startswith("leading: epoch") for t in lead.texts()) == 1, f"{lead.texts()}")


@test
def operators_mark(site, env):
    """A maintenance mark that is not an upgrade's stays through an upgrade."""
    m = installed(site, 1)[0].member
    check(m.run("maintenance", "on", "--message", "disk <b>\"change\"").returncode == 0, "on")
    text = m.run("maintenance", "status").stdout
    check("disk" in text and "is on" in text, text)
    site.member("n", "core").start().wait_state("current", 40)
    check('"kind":"operator"' in m.run("maintenance", "status", "--json").stdout, "the mark is gone")
    page = open(os.path.join(site.data, "climaintenance.html")).read()
    check("<b>" not in page, "unescaped text")
    check("It was" in m.run("maintenance", "off").stdout, "off")
    check("is off" in m.run("maintenance", "status").stdout, "status")


# ---- cron ----

@test
def one_cron(site, env):
    """Three members: one runs cron; SIGTERM hands over at once, SIGKILL after the grace."""
    leads = installed(site, 3)
    crons = [r.member.start("cron") for r in leads]
    wait_for("a cron", lambda: any(c.php() for c in crons), 30)
    time.sleep(4)
    check(len(holders(crons)) == 1 and sum(bool(c.php()) for c in crons) == 1, "not exactly one")
    first = holders(crons)[0]
    status = leads[0].member.run("cron-status").stdout
    check(f"member {first.member.name}," in status and status.startswith("cron runs"), status)
    began = time.monotonic()
    check(first.stop(20) == 0, "exit status")
    left = [c for c in crons if c is not first]
    wait_for("the next cron", lambda: holders(left), 13)
    second = holders(left)[0]
    wait_for("it runs", lambda: second.php(), 5)
    print(f"      handed over in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    second.kill()
    wait_for("its script is dead", lambda: not second.php(), 2)
    third = [c for c in left if c is not second][0]
    wait_for("the third cron", lambda: third.php(), 8 + 13 + 3)
    print(f"      taken over in {time.monotonic() - began:.1f} s")


@test
def cron_in_maintenance(site, env):
    """No cron while the mark exists or an upgrade is pending; run-now starts the next run at once."""
    lead = installed(site, 1)[0]
    cron = lead.member.start("cron")
    wait_for("a run", lambda: cron.php(), 20)
    lead.member.run("maintenance", "on")
    wait_for("it ends", lambda: not cron.php() and not holders([cron]), 15)
    check(not any("exit status 1" in t for t in cron.texts()), "maintenance was counted as a failure")
    lead.member.run("maintenance", "off")
    cron.say("run-now")
    wait_for("it runs again", lambda: cron.php(), 4)
    site.sql("UPDATE mdl_config SET value='2099010100' WHERE name='version'")
    wait_for("it stops for newer tables", lambda: not cron.php(), 15)


@test
def cron_makes_way(site, env):
    """An upgrade ends the old members' cron and keeps it away."""
    lead = installed(site, 1)[0]
    cron = lead.member.start("cron")
    wait_for("a run", lambda: cron.php(), 20)
    new = site.member("n", "core").start()
    new.wait_state("current", 60)
    check(not cron.php(), "old code still runs cron")
    started = new.member.start("cron")
    wait_for("the new one runs", lambda: started.php(), 30)


@test
def adhoc_freed(site, env):
    """An ad-hoc task that a killed cron left behind is run again by the next one."""
    leads = installed(site, 2)
    site.sql("INSERT INTO mdl_task_adhoc (component, classname, nextruntime, customdata) VALUES ('local_standin', "
             + site.server.literal("\\local_standin\\task\\work") + ", 1, '{\"ms\":20000}')")
    crons = [r.member.start("cron") for r in leads]
    began = "SELECT count(*) FROM mdl_task_adhoc WHERE timestarted IS NOT NULL"
    wait_for("the task began", lambda: site.sql(began) == "1", 40)
    first = next(c for c in crons if c.php())
    os.kill(first.proc.pid, signal.SIGKILL)
    first.proc.wait()
    other = next(c for c in crons if c is not first)
    wait_for("it was freed", lambda: any("freed 1 ad-hoc" in t for t in other.texts()), 40)
    wait_for("it runs again", lambda: site.sql(began) == "1" and other.php(), 20)


# ---- databases and Redis that say no ----

@test
def database_errors(site, env):
    """Each failure of the login has its own id, and a waiting member says it."""
    cases = [("E-DB-AUTH", {"db_password": "wrong"}), ("E-DB-REFUSED", {"db_port": 1}), ("E-DB-DNS", {"db_host": "no-such-host.invalid"}),
             ("E-DB-TLS", {"db_tls": "verify-full"})]
    cases.append(("E-DB-NO-DATABASE" if site.server.kind == "pgsql" else "E-DB-PRIVILEGE", {"db_name": "nothing"}))
    for id, over in cases:
        m = site.member(id.lower(), **over)
        p = m.run("probe")
        check(f'"id":"{id}"' in p.stdout and p.returncode != 0, f"{id}: {p.stdout}")
        check(site.server.password not in p.stdout, "the password was printed")
    m.start().wait_state("waiting", 10, cases[-1][0])


@test
def read_only(site, env):
    """A read-only server is refused until it is none any more."""
    site.server.set_read_only(True)
    try:
        lead = site.member("m").start()
        lead.wait_state("waiting", 10, "E-DB-READ-ONLY")
    finally:
        site.server.set_read_only(False)
    lead.wait_state("current", 60)


@test
def database_away(site, env):
    """A serving member stays current while the database is away; a starting one says why it waits, and goes on."""
    lead = installed(site, 1)[0]
    site.server.stop()
    try:
        late = site.member("late").start()
        late.wait_state("waiting", 10, "E-DB-REFUSED")
        time.sleep(3)
        check(lead.state()[0] == "current", f"serving member: {lead.states()}")
    finally:
        site.server.start()
    late.wait_state("current", 20)
    check(lead.state()[0] == "current" and len(lead.states()) <= 2, f"serving member: {lead.states()}")
    wait_for("it says that the database is back", lambda: any("answers again" in t for t in lead.texts()), 20)
    check(sum("answers again" in t for t in lead.texts()) == 1, "it says so once")


def sessions(site):
    """Ids of the sessions in the site's database."""
    query = ("SELECT pid FROM pg_stat_activity WHERE datname='{}' AND pid <> pg_backend_pid() AND backend_type='client backend'" if site.server.kind == "pgsql" else
             "SELECT id FROM information_schema.processlist WHERE db='{}' AND id <> connection_id()")
    return sorted(site.server.sql(query.format(site.name), db="postgres").split())


@test
def watching_keeps_a_session(site, env):
    """A satisfied member looks again in the same session, sees a change, and finds a new session when that one is ended."""
    lead = installed(site, 1)[0]
    kept = wait_for("one session", lambda: len(sessions(site)) == 1 and sessions(site), 10)
    time.sleep(3)  # three looks
    check(sessions(site) == kept, f"sessions {kept}, then {sessions(site)}")
    code = site.config("version")
    site.sql(f"UPDATE {site.prefix}config SET value='2099010100' WHERE name='version'")
    lead.wait_state("hold", 5, "E-OLD-CODE")
    site.sql(f"UPDATE {site.prefix}config SET value='{code}' WHERE name='version'")
    lead.wait_state("current", 5)
    kept = wait_for("one session again", lambda: len(sessions(site)) == 1 and sessions(site), 10)
    site.server.end_sessions(site.name)
    wait_for("another session", lambda: len(sessions(site)) == 1 and sessions(site) != kept, 10)
    check(lead.state()[0] == "current" and not any("does not answer" in t for t in lead.texts()), f"{lead.states()} {lead.texts()}")


@test
def database_restart(site, env):
    """A restart of the server during an install: a new leader or the same one makes the site whole."""
    site.standin(slow_ms=400)
    leads = [site.member(f"m{i}", lease_scale=50).start() for i in range(2)]
    wait_for("a script", lambda: any(r.php() for r in leads) and site.server.tables(site.name) > 3, 20)
    site.server.restart()
    site.standin()
    for r in leads:
        r.say("upgrade")
    for r in leads:
        r.wait_state("current", 60)
    check(runs(site)[-1] == "ok" and site.config("rolesactive") == "1", f"runs {site.deploy_runs()}")


@test
def silent_database(site, env):
    """A server that stops answering while a script runs: the role lets go at the deadline and the script is dead."""
    site.standin(slow_ms=2000)
    lead = site.member("m", lease_scale=50).start()
    wait_for("a script", lambda: lead.php() and site.server.tables(site.name) > 3, 20)
    site.server.freeze()
    try:
        wait_for("the script is dead", lambda: not lead.php(), 3.5 + 2)
    finally:
        site.server.thaw()
    site.standin()
    lead.wait_state("current", 60)


class PgBouncer(Server):
    user = user_or("postgres")

    def __init__(self, folder, name, server, mode, more=""):
        super().__init__(folder, name)
        self.port = free_port()
        users = os.path.join(self.home, "users")
        with open(users, "w") as f:
            f.write('"moodle" "%s"\n' % server.password.replace('"', '""'))
        with open(os.path.join(self.home, "ini"), "w") as f:
            f.write(f"[databases]\n* = host={server.host} port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
                    f"unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\npool_mode = {mode}\nignore_startup_parameters = options\ndefault_pool_size = 20\n{more}")
        for name in ("users", "ini"):
            os.chmod(os.path.join(self.home, name), 0o644)

    def command(self):
        return ["pgbouncer", os.path.join(self.home, "ini")]

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True


@test
def poolers(site, env):
    """A transaction pooler is refused, however quiet it is; one with private sessions is allowed with a warning."""
    if site.server.kind != "pgsql" or not shutil.which("pgbouncer"):
        return "only with PostgreSQL and pgbouncer"
    shared = PgBouncer(env.folder, f"bouncer-t-{site.name}", site.server, "transaction").start()
    private = PgBouncer(env.folder, f"bouncer-s-{site.name}", site.server, "session").start()
    refused = site.member("shared", db_port=shared.port).start()
    refused.wait_state("waiting", 15, "E-DB-POOLER")
    forgetful = PgBouncer(env.folder, f"bouncer-r-{site.name}", site.server, "transaction", "server_reset_query_always = 1\n").start()
    site.member("forgetful", db_port=forgetful.port).start().wait_state("waiting", 15, "E-DB-POOLER")
    check(site.server.tables(site.name) == 0, "it worked through a pooler")
    allowed = site.member("private", db_port=private.port).start()
    allowed.wait_state("current", 40)
    check(any(e.get("id") == "E-DB-POOLER" and e["level"] == "warn" for e in allowed.events() if e["event"] == "log"), "no warning")
    return None


@test
def redis_errors(site, env):
    """Redis: refused, wrong password, wrong CA, right in all forms."""
    plain = Redis(env.folder, name=f"redis-{site.name}", password="p'w \"\\").start()
    tls = Redis(env.folder, name=f"redistls-{site.name}", password="pw", acl_user="moo", tls=True).start()
    base = {"host": plain.host, "port": plain.port, "database": 1, "user": "", "password": plain.password, "tls": False, "ca": "", "prefix": "mdl_"}
    good_tls = {**base, "port": tls.port, "user": "moo", "password": "pw", "tls": True, "ca": tls.ca}
    cases = [("", base), ("", good_tls), ("E-REDIS-AUTH", {**base, "password": "wrong"}), ("E-REDIS-AUTH", {**base, "password": ""}),
             ("E-REDIS-REFUSED", {**base, "port": 1}), ("E-REDIS-DNS", {**base, "host": "no-such-host.invalid"}), ("E-REDIS-TLS", {**good_tls, "ca": ""}),
             ("E-REDIS-TIMEOUT", {**base, "tls": True}), ("E-REDIS-REPLY", {**base, "database": 99})]
    for i, (id, redis) in enumerate(cases):
        m = site.member(f"r{i}")
        m.moodle["redis"] = redis
        m.write()
        p = m.run("probe")
        check(f'"id":"{id}","msg"' in p.stdout.split('"redis"')[1] and (p.returncode == 0) == (id == ""), f"{id}: {p.stdout}")
    site.members[2].start().wait_state("waiting", 10, "E-REDIS-AUTH")
    plain.stop()
    tls.stop()


@test
def real_upgrade(site, env):
    """With real trees: install MOODLE_OLD, upgrade to MOODLE_SRC, two members each."""
    new, old = os.environ.get("MOODLE_SRC"), os.environ.get("MOODLE_OLD")
    if not new or not old:
        return "MOODLE_SRC and MOODLE_OLD are not set"
    first = [site.member(f"o{i}", old).start() for i in range(2)]
    for r in first:
        r.wait_state("current", 400)
    second = [site.member(f"n{i}", new).start() for i in range(2)]
    for r in second:
        r.wait_state("current", 400)
    for r in first:
        r.wait_state("hold", 15, "E-OLD-CODE")
    check(runs(site) == ["ok", "ok"], f"runs {site.deploy_runs()}")
    return None


import crowds  # noqa: E402,F401 - their tests follow these
import late  # noqa: E402,F401
import leavings  # noqa: E402,F401
import refusals  # noqa: E402,F401
import tasks  # noqa: E402,F401


class Env:
    pass


def run_one(f, env, server, number):
    site = Site(env.folder, server, env.role, name=f"t{number}")
    began = time.monotonic()
    verdict, words = "ok", ""
    try:
        skip = f(site, env)
        verdict, words = ("skip", skip) if isinstance(skip, str) else ("ok", "")
    except Exception as e:  # noqa: BLE001 - any exception is a failed test
        verdict, words = "FAIL", f"{e}" if isinstance(e, Failure) else traceback.format_exc()
        for m in site.members:
            for r in m.roles:
                words += f"\n--- {m.name} {r.role}\n{r.tail(25)}"
    finally:
        site.end()
    print(f"{verdict:4} {server.kind:8} {f.__name__:24} {time.monotonic() - began:6.1f} s {words}", flush=True)
    return verdict


def both():
    """Each database in a process of its own: the tests wait more than they work. One closing line for both."""
    totals = []

    def pass_on(p):
        for line in p.stdout:
            closing = re.match(r"(\d+) passed, (\d+) failed, (\d+) skipped$", line)
            if closing:
                totals.append([int(n) for n in closing.groups()])
            else:
                print(line, end="", flush=True)

    runs_of = [subprocess.Popen([sys.executable, "-u", *sys.argv, "--db", kind], stdout=subprocess.PIPE, text=True) for kind in ("pgsql", "mariadb")]
    readers = [threading.Thread(target=pass_on, args=(p,)) for p in runs_of]
    try:
        for r in readers:
            r.start()
        failed = any([p.wait() for p in runs_of])
    finally:
        for p in runs_of:
            if p.poll() is None:
                p.send_signal(signal.SIGINT)
                p.wait()
        for r in readers:
            r.join()
    print("%d passed, %d failed, %d skipped" % tuple(sum(n) for n in zip(*totals)))
    return 1 if failed or len(totals) != 2 else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", required=True)
    p.add_argument("--role")
    p.add_argument("--db", action="append", choices=["pgsql", "mariadb"])
    p.add_argument("--retry", action="store_true", help="up to 3 failed tests get a second try; said aloud in the result")
    p.add_argument("--keep", action="store_true")
    p.add_argument("tests", nargs="*")
    a = p.parse_args()
    env = Env()
    env.build, env.role = os.path.abspath(a.build), a.role or os.path.join(os.path.abspath(a.build), "moodlectl-role")
    wanted = [t for t in TESTS if not a.tests or t.__name__ in a.tests]
    unknown = set(a.tests) - {t.__name__ for t in TESTS}
    if unknown:
        p.error(f"no such test: {', '.join(sorted(unknown))}")
    if not a.db and not a.keep:
        return both()
    verdicts, tries = [], 0
    with RunFolder(keep=a.keep) as env.folder:
        for kind in a.db or ["pgsql", "mariadb"]:
            server = database(env.folder, kind).start()
            for i, f in enumerate(wanted):
                assert inspect.isfunction(f)
                verdicts.append(run_one(f, env, server, i))
                if verdicts[-1] == "FAIL" and a.retry and tries < 3:
                    tries += 1
                    verdicts[-1] = run_one(f, env, server, 1000 + i)
                    if verdicts[-1] == "ok":
                        print(f"flaky: {kind} {f.__name__} passed on its second try only")
            server.stop()
    passed, failed, skipped = (verdicts.count(v) for v in ("ok", "FAIL", "skip"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
