"""The main job: three members, one install, one cron, the loss of a member, a drain, upgrades."""
import os
import re
import signal
import threading
import time

from lib.case import check, equal, test
from lib.proc import Failure, wait_for
from lib.site import ADMIN_PASSWORD, Browser, Load


def leaders(members):
    """The members that said that they do the install or the upgrade."""
    return [m.name for m in members if any(o.get("event") == "state" and o["msg"].startswith("leading") for o in m.log())]


def runs(site):
    """[(action, result)] of the deployments that the database remembers."""
    text = site.sql("SELECT action, result FROM sup_run WHERE purpose = 'deploy' ORDER BY epoch")
    return [tuple(line.split("|")) for line in text.split("\n") if line]


class Watch(threading.Thread):
    """Asks members for a page of Moodle all the time, from their first second: what a load balancer that fails open would do."""

    def __init__(self, members, path="/login/index.php"):
        super().__init__(daemon=True)
        self.members, self.path, self.seen, self.ended, self.bad = members, path, {}, threading.Event(), []

    def run(self):
        while not self.ended.wait(0.1):
            for m in self.members:
                try:
                    r = m.get(self.path, seconds=10)
                except OSError:
                    continue
                key = r.status
                self.seen[key] = self.seen.get(key, 0) + 1
                if r.status not in (200, 503) or (r.status == 503 and not r.headers.get("Retry-After")) or "install.php" in r.text:
                    self.bad.append((m.name, r.status, r.text[:200]))

    def stop(self):
        self.ended.set()
        self.join(15)


@test(seconds=150)
def three_members_install_once(t):
    site = t.site()
    t.real or site.standin(slow_ms=150)
    site.front()
    members = site.start((1, 2, 3))
    watch = Watch(members)
    watch.start()
    check_progress = t.real or wait_for("a waiting member shows the progress", lambda: [
        m for m in members if "It is being installed" in holding(m) and re.search(r"Step \d+ of \d+", holding(m))], 60)
    check(check_progress, "no progress was shown")
    for m in members:
        m.wait_phase("SERVE", 600 if t.real else 90)
    watch.stop()
    equal(watch.bad, [], "answers before and after the install")
    check(watch.seen.get(503) and watch.seen.get(200), f"the holding page first, Moodle later: {watch.seen}")
    equal(runs(site), [("install", "ok")], "deployments in the database")
    equal(len(leaders(members)), 1, f"members that installed ({leaders(members)})")
    equal(site.sql("SELECT count(*) FROM mdl_user WHERE username = 'admin'"), "1", "administrators")
    equal(site.config("rolesactive"), "1", "rolesactive")
    equal(float(site.config("version")), float(t.code.version("base")), "version in the database")
    for m in members:
        page = m.get("/login/index.php")
        equal(page.status, 200, f"login page of {m.name}")
        check("logintoken" in page.text, f"{m.name} serves no login form: {page.text[:300]}")
        equal(m.get("/-/ready").status, 200, f"readiness of {m.name}")
        equal([o for o in m.log() if o.get("not_json")], [], f"log lines of {m.name} that are not JSON")
    site.wait_up(["m1", "m2", "m3"])
    sessions_and_cache_in_redis(t, site, members)
    one_cron(site, members)


def holding(m):
    try:
        return m.get("/", seconds=5).text
    except OSError:
        return ""


def sessions_and_cache_in_redis(t, site, members):
    browser = Browser(members[0].address, members[0].port, host=site.url.split("//")[1])
    r = browser.login("admin", ADMIN_PASSWORD)
    check(r.status in (302, 303), f"the administrator cannot log in: {r.status} {r.text[:500]}")
    check("testsession" in r.headers.get("Location", ""), f"the login was refused: {r.headers.get('Location')}")
    check(browser.session, "there is no session cookie")
    keys = site.redis.keys(f"{site.prefix}*")
    check(any(browser.session in k for k in keys), f"the session is not in Redis: {keys[:10]}")
    # the same session at another member
    browser.address, browser.port = members[1].address, members[1].port
    r = browser.get("/admin/index.php")
    check(r.status != 200 or "logintoken" not in r.text, "another member does not know the session")
    others = [k for k in keys if browser.session not in k]
    check(any(re.search(r"_m[0-9a-f]{8}_", k) for k in others), f"no key of the application cache in Redis: {others[:10]}")


def one_cron(site, members):
    holder = site.wait_cron(60)
    for _ in range(5):
        equal([m.name for m in site.cron_members()], [holder.name], "members that run cron")
        time.sleep(0.3)
    wait_for("cron has run", lambda: float(site.sql("SELECT coalesce(max(lastruntime), 0) FROM mdl_task_scheduled") or 0) > 0, 90, pause=0.5)
    return holder


@test(seconds=150)
def cron_moves_when_its_member_dies(t):
    site = t.site(installed="base")
    members = site.serve((1, 2, 3))
    first = site.wait_cron()
    began = time.monotonic()
    first.kill9()
    second = site.wait_cron(90, but=first)
    check(second is not first, "cron did not move")
    took = time.monotonic() - began
    check(took < 75, f"the handover took {took:.0f} s")
    # and politely: the successor is at once
    began = time.monotonic()
    equal(second.drain(), 0, "exit status of the drained cron member")
    third = site.wait_cron(60, but=second)
    check(third in members, "cron did not move again")
    check(not t.real and overlaps(site) == [] or t.real, f"tasks that ran twice at a time: {'' if t.real else overlaps(site)}")


@test(seconds=150)
def a_runner_of_ad_hoc_tasks_beside_cron(t):
    """One place in a cluster of two: the member without cron has it, says so, and gives it back when it is drained; all know when cron worked."""
    site = t.site(installed="base", MOODLECTL_CRON_ADHOC_RUNNERS="1", MOODLECTL_LEASE_SCALE="30")
    members = site.serve((1, 2))
    holder = site.wait_cron()
    other = next(m for m in members if m is not holder)
    wait_for("the other member has the place", lambda: other.status()["cron"]["adhoc_runner"] == 1, 60)
    check(holder.status()["cron"]["adhoc_runner"] is None, "a runner beside cron")
    check(any("adhoc_task.php" in c for c in other.processes().values()), f"its processes: {other.processes()}")
    wait_for("both know of cron's success", lambda: all(m.status()["cron"].get("success", {}).get("by") == holder.name for m in members), 200)
    check("last success" in other.exec(["moodlectl", "status"]).stdout, "moodlectl status does not say it")
    check(f"ad-hoc runner 1: member {other.name}" in other.exec(["moodlectl", "cron", "status"]).stdout, "moodlectl cron status")
    reports = lambda: [o for m in members for o in m.log() if "CronSuccessAge" in o]  # noqa: E731
    ago = "now() - interval '2 minutes'" if t.kind == "pgsql" else "UTC_TIMESTAMP(6) - INTERVAL 2 MINUTE"
    site.sql(f"UPDATE sup_coord SET started_at = {ago} WHERE purpose = 'cron-ok'")  # the last report
    wait_for("one member reports the age", reports, 30, pause=0.5)
    equal(other.drain(), 0, "exit status of the drained runner")
    check(other.log(event="adhoc.runner"), "the log does not say that it was the runner")
    equal(site.sql("SELECT phase FROM sup_coord WHERE purpose = 'adhoc1'"), "released", "its place")


def overlaps(site):
    """Runs of one task that overlap: the stand-in writes down every run."""
    return site.sql("SELECT a.classname, a.hostname, b.hostname FROM mdl_local_standin_runs a JOIN mdl_local_standin_runs b"
                    " ON a.classname = b.classname AND a.id < b.id AND b.started < a.ended").split("\n")[0:3] if site.sql(
        "SELECT count(*) FROM mdl_local_standin_runs a JOIN mdl_local_standin_runs b ON a.classname = b.classname AND a.id < b.id"
        " AND b.started < a.ended") != "0" else []


@test(seconds=120)
def drain_loses_no_request(t):
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="3s")
    members = site.serve((1, 2, 3))
    site.front()
    site.wait_up(["m1", "m2", "m3"])
    with Load(site.block.address(1), site.front_port, threads=4) as load:
        time.sleep(2)
        began = time.monotonic()
        members[0].signal(signal.SIGTERM)
        wait_for("the drained member is unready", lambda: members[0].get("/-/ready").status == 503, 5)
        equal(members[0].wait_exit(40), 0, "exit status")
        took = time.monotonic() - began
        time.sleep(1)
        members[0].start()
        members[0].wait_phase("SERVE", 120)
        site.wait_up(["m1", "m2", "m3"])
        time.sleep(1)
    equal(load.failed, {}, f"failed requests ({load.summary()})")
    check(load.good > 50, f"too little load to mean anything: {load.summary()}")
    check(took < 20, f"the drain took {took:.1f} s")


@test(seconds=120, standin=True)
def drain_lets_a_long_request_finish(t):
    site = t.site(installed="base", MOODLECTL_LAME_DUCK="1s")
    m, = site.serve((1,))
    answer = []
    thread = threading.Thread(target=lambda: answer.append(m.get("/local/slow.php?ms=6000", seconds=30)))
    thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    equal(m.drain(), 0, "exit status")
    took = time.monotonic() - began
    thread.join(30)
    check(answer and answer[0].status == 200, f"the request in flight: {answer and answer[0].status}")
    check(4 < took < 20, f"the drain took {took:.1f} s for a request of 6 s")
    end, = m.log(event="drain.end")
    check("0 children cut short" in end["msg"] and end["msg"].endswith("; clean"), f"the report: {end['msg']}")


@test(seconds=180)
def upgrade_by_newer_members(t):
    old, new = ("older", "base")
    if t.real and not t.code.old_source:
        raise Failure("set MOODLE_OLD_SRC for the upgrade of a real Moodle")
    site = t.site(installed=old)
    olds = site.serve((1, 2, 3), release=old)
    site.front()
    site.wait_up(["m1", "m2", "m3"])
    t.real or site.standin(slow_ms=300)
    equal(float(site.config("version")), float(t.code.version(old)), "version before")
    # as a rolling deployment does: two are replaced, one old member is still there
    for m in olds[:2]:
        equal(m.drain(), 0, f"exit status of {m.name}")
    for m in olds[:2]:
        m.start(release=new)
    for m in olds[:2]:
        m.wait_phase("SERVE", 900 if t.real else 90)
    equal(float(site.config("version")), float(t.code.version(new)), "version after")
    equal(runs(site)[-1], ("upgrade", "ok"), "the last deployment")
    equal([r for r in runs(site) if r[0] == "upgrade"], [("upgrade", "ok")], "upgrades")
    equal(len(leaders(olds[:2])), 1, "members that upgraded")
    # the old one sees it and stops serving, for good
    olds[2].wait_phase("HOLD", 20)
    equal(olds[2].status()["id"], "E-OLD-CODE", "why the old member holds")
    equal(olds[2].get("/login/index.php").status, 503, "page of the old member")
    equal(olds[2].get("/-/live").status, 200, "the old member is alive")
    check(not [c for c in olds[2].processes().values() if "php-fpm" in c], "the old member still has PHP workers")
    site.wait_up(["m1", "m2"])
    equal(olds[2].drain(), 0, "exit status of the old member")
    olds[2].start(release=new)
    olds[2].wait_phase("SERVE", 120)
    equal([r for r in runs(site) if r[0] == "upgrade"], [("upgrade", "ok")], "upgrades after the last member")
    for m in olds:
        equal(m.get("/login/index.php").status, 200, f"login page of {m.name}")


@test(seconds=120)
def old_code_never_starts_on_a_newer_database(t):
    if t.real and not t.code.old_source:
        raise Failure("set MOODLE_OLD_SRC for a real Moodle")
    """It ends, so that the orchestrator counts it as failed; or it waits for a person, as MOODLECTL_STALE_EXIT says."""
    site = t.site(installed="base")
    m, = site.start((1,), release="older")
    equal(m.wait_exit(60), 14, "exit status of old code")
    said = [o["msg"] for o in m.log() if o.get("id") == "E-OLD-CODE"]
    check(any(site.config("version") in s and str(t.code.version("older")) in s for s in said), f"both versions: {said}")
    m.extra["MOODLECTL_STALE_EXIT"] = "never"
    m.start()
    m.wait_phase("HOLD", 60)
    equal(m.health()["id"], "E-OLD-CODE", "reason")
    equal(float(site.config("version")), float(t.code.version("base")), "version")
    equal(m.get("/").status, 503, "page")
    equal(m.drain(), 0, "exit status of a stop in HOLD")


@test(seconds=150)
def a_second_member_with_other_code(t):
    """One more plugin in the new image: it upgrades; the member without that plugin stops serving, and later ends."""
    site = t.site(installed="base", MOODLECTL_STALE_EXIT="8s")
    m1, = site.serve((1,))
    caches = lambda: {d for d in os.listdir(f"{site.data}/cache") if re.fullmatch("m[0-9a-f]{8}", d)}  # noqa: E731
    wait_for("a cache of the first member's code", lambda: m1.get("/").status < 500 and caches(), 30)
    first = caches()
    m2, = site.start((2,), release="plugin")
    m2.wait_phase("SERVE", 300 if t.real else 60)
    equal([r for r in runs(site) if r[0] == "upgrade"], [("upgrade", "ok")], "upgrades")
    m1.wait_phase("HOLD", 30)
    check(m1.health()["id"] in ("E-OTHER-CODE", "E-OLD-CODE"), f"why the first member holds: {m1.health()}")
    equal(m1.get("/").status, 503, "its page meanwhile")
    equal(m1.wait_exit(30), 14, "exit status of a member that became old")
    equal(m2.phase(), "SERVE", "the new member")
    wait_for("the cache of the old code is removed", lambda: m2.get("/").status < 500 and len(caches()) == 1 and not caches() & first, 60)


@test(seconds=120, standin=True)
def an_upgrade_can_wait_for_a_person(t):
    site = t.site(installed="base", MOODLECTL_UPGRADE="manual")
    m, = site.start((1,), release="core")
    m.wait_phase("HOLD", 40)
    equal(m.health()["id"], "E-UPGRADE-MANUAL", "reason")
    plan = m.exec(["moodlectl", "upgrade", "plan"], check=False)
    check(plan.returncode in (2, 3), f"upgrade plan: status {plan.returncode}\n{plan.stdout}{plan.stderr}")
    m.exec(["moodlectl", "upgrade", "run"])
    m.wait_phase("SERVE", 60)
    equal(float(site.config("version")), float(t.code.version("core")), "version")


@test(seconds=180, standin=True)
def a_broken_upgrade_is_not_tried_for_ever(t):
    site = t.site(installed="base", MOODLECTL_LEASE_SCALE="20")
    members = site.start((1, 2), release="broken")
    for m in members:
        m.wait_phase("HOLD", 150)
    equal({m.health()["id"] for m in members}, {"E-BLOCKED"}, "reasons")
    failed = [r for r in runs(site) if r == ("upgrade", "failed")]
    check(1 <= len(failed) <= 5, f"attempts: {runs(site)}")


@test(seconds=150, standin=True)
def a_killed_installer_is_followed_by_another(t):
    site = t.site(MOODLECTL_LEASE_SCALE="30")
    site.standin(slow_ms=500)
    members = site.start((1, 2))
    first = wait_for("one member installs", lambda: next((m for m in members if m.alive() and leaders([m])), None), 40)
    second = next(m for m in members if m is not first)
    wait_for("the install is under way", lambda: site.db.tables(site.db_name) > 8, 30)
    first.kill9()
    site.standin()
    second.wait_phase("SERVE", 110)
    equal(runs(site)[-1], ("install", "ok"), "the last deployment")
    equal(site.sql("SELECT count(*) FROM mdl_user WHERE username = 'admin'"), "1", "administrators")
    equal(second.get("/login/index.php").status, 200, "login page")
