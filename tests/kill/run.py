#!/usr/bin/env python3
"""Kills members in the middle of an install or an upgrade and looks at what their successors make of it.

    run.py [members] [install] [upgrade] [--database both] [--count N] [--first N] [--seed S] [--jobs 2] [--record FILE]
    run.py table FILE...      the recorded kills as a table

members   many members at once on an empty database: one installs, the others answer 503, all become ready, one runs cron.
install   a whole member (SIGKILL of its process 1, and so of all it runs) dies at a random moment of the install, counted from the
          moment when it became the leader. A second member waits already. It must finish, or hold with E-BLOCKED; and it must
          never serve a database that is not wholly installed.
upgrade   the same with an upgrade, on a copy of a site of the older release. The second member must finish it.

Afterwards Moodle's own check_database_schema.php must find nothing more than after the undisturbed run, and there nothing but columns of
the tree's own (a fork's plugins may add some; they are shown), all names of settings that an undisturbed run leaves must be there, and no mark of the dead run. The first run of
each kind is undisturbed and measures the time to aim at. The seed repeats the points; when one comes after the work is done, the run
says so and another is drawn.

Moodle is the stand-in of tests/standin, or a real one, as for the system tests: MOODLE_SRC=/path MOODLE_OLD_SRC=/path of an older
release. Real kills are many minutes of processor time: 20 of each on both databases take an hour of two cores. Everything lives in
/dev/shm when it has room (a real run needs 4 GiB), and is removed at the end. Needs root."""
import argparse
import concurrent.futures
import contextlib
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
from lib.case import Bench, Case, Failure, check, equal  # noqa: E402
from lib.proc import Died, exit_on_signals, wait_for  # noqa: E402

KINDS = ("upgrade", "install", "members")
ROOM = 4 << 30
SLOW_MS = 100  # of each step of the stand-in: without it there is no middle to die in
MANY = 10
# written by what a site does while it serves, so they may or may not be there
FLEETING = {"fileslastcleanup", "scheduledtaskslastcron", "lastcron", "cronclionly", "jsrev", "themerev", "templaterev"}


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("words", nargs="*", default=[], help="members, install, upgrade (all when none is named), or: table FILE...")
    p.add_argument("--database", choices=("pgsql", "mariadb", "both"), default="both")
    p.add_argument("--count", type=int, default=3, help="kills of each kind on each database")
    p.add_argument("--first", type=int, default=1, help="begin with that kill: a run that was ended goes on, with its seed and record")
    p.add_argument("--seed", type=int, default=random.SystemRandom().randint(1, 999999))
    p.add_argument("--jobs", type=int, default=2, help="so many sites at the same time")
    p.add_argument("--build", default=os.path.join(HERE, "..", "..", "build", "release"))
    p.add_argument("--scale", type=int, default=50, help="MOODLECTL_LEASE_SCALE; every fourth kill has 100")
    p.add_argument("--minutes", type=float, default=600, help="no new kill after that")
    p.add_argument("--record", help="append each kill to this file, a JSON object a line")
    p.add_argument("--keep", action="store_true", help="leave the temporary folder for a look")
    args = p.parse_args()
    if args.words[:1] != ["table"] and set(args.words) - set(KINDS):
        p.error(f"unknown: {' '.join(set(args.words) - set(KINDS))}")
    return args


def leader_of(members):
    """The first that said that it does the work, or None."""
    return next((m for m in members if any(o["msg"].startswith("leading") for o in m.log(event="state"))), None)


def results(site, action):
    """What the database remembers of the runs of that kind, oldest first."""
    return site.sql(f"SELECT result FROM sup_run WHERE purpose = 'deploy' AND action = '{action}' ORDER BY epoch").split()


def found(site):
    """In few words, how far the dead run had come."""
    tables = site.db.tables(site.db_name)
    try:
        rows = dict(line.split("|", 1) for line in site.sql(
            "SELECT name, value FROM mdl_config WHERE name IN ('version', 'rolesactive', 'allversionshash', 'upgraderunning')").split("\n") if line)
    except Failure:
        return f"{tables} tables"
    return f"{tables} tables, version {rows.get('version', 'none')}, rolesactive {rows.get('rolesactive', 'none')}, hash " \
           f"{rows.get('allversionshash', '')[:6] or 'none'}{', upgraderunning' if 'upgraderunning' in rows else ''}"


def names(site):
    return set(site.sql("SELECT name FROM mdl_config").split()) | set(site.sql(
        "SELECT concat(plugin, '/', name) FROM mdl_config_plugins").split())


def schema_faults(site, member):
    """What Moodle's own comparison of the database with its install.xml files says; "" when it is content."""
    p = member.exec(["php", "-c", "/run/moodlectl/php.ini", "/srv/moodle/admin/cli/check_database_schema.php"], user=site.web_user, check=False,
                    seconds=300)
    check(p.returncode in (0, 1), f"check_database_schema.php: status {p.returncode} {p.stdout[-500:]}{p.stderr[-500:]}")
    return "" if p.returncode == 0 else p.stdout


def unfinished(faults):
    """Of schema_faults(), what no undisturbed run leaves: a column too many may be a fork's own (local/*/db/install.php), one too few never."""
    return [line for line in faults.split("\n") if line.startswith(" * ") and not re.fullmatch(r" \* column '\w+' is not expected.*", line)]


def whole(site, member, action, reference):
    """Everything that must be true of a site that is served after that; what is said of its schema. reference: (names, schema) of an undisturbed run."""
    equal(float(site.config("version")), float(site.codes.version("base")), "version")
    equal(site.config("rolesactive"), "1", "rolesactive")
    for name in ("upgraderunning", "outagelessupgrade"):
        check(site.config(name) in ("", "0"), f"{name} was left: {site.config(name)}")
    check(site.config("maintenance_enabled") in ("", "0"), "maintenance mode was left on")
    check(not os.path.exists(f"{site.data}/climaintenance.html"), "the maintenance page was left")
    equal(results(site, action).count("ok"), 1, f"runs that went well, of {results(site, action)}")
    equal(results(site, action)[-1], "ok", "the last run")
    faults = schema_faults(site, member)
    if reference:
        equal(faults, reference[1], "check_database_schema.php")
    elif action == "install":
        equal(unfinished(faults), [], "check_database_schema.php")
    page = member.get("/login/index.php", seconds=120)
    equal(page.status, 200, "status of the login page")
    check("logintoken" in page.text, f"no login form: {page.text[:300]}")
    if reference:
        missing = reference[0] - names(site) - FLEETING
        check(not missing, f"settings that an undisturbed {action} leaves: {sorted(missing)[:20]}")
    return faults


class Kills:
    def __init__(self, args, bench):
        self.args, self.bench, self.real = args, bench, bench.code.real
        self.patience = 1500 if self.real else 120
        self.lock, self.serial, self.failed, self.passed, self.records = threading.Lock(), 0, 0, 0, []
        self.measured, self.reference = {}, {}
        self.end = time.monotonic() + args.minutes * 60

    @contextlib.contextmanager
    def case(self, kind):
        with self.lock:
            self.serial += 1
            case = Case(self.bench, kind, f"{kind[0]}{self.serial}x")
        try:
            yield case
        except Exception as e:
            # what the members said last is gone with them
            raise Failure(f"{e}\n{case.tails()}") from e
        finally:
            case.end()

    def site(self, case, action, scale=None):
        site = case.site(installed="older" if action == "upgrade" else None, MOODLECTL_CRON=str(action == "members").lower(),
                         MOODLECTL_LEASE_SCALE=str(scale or self.args.scale))
        if not self.real:
            site.standin(slow_ms=SLOW_MS)
        return site

    # ---- one run each ----------------------------------------------------------------------------------------------

    def measure(self, kind, action):
        """An undisturbed run: how long the leader works, and what it leaves."""
        with self.case(kind) as case:
            site = self.site(case, action)
            m, = site.start((1,))
            wait_for("it leads", lambda: leader_of([m]), 120, pause=0.05)
            began = time.monotonic()
            m.wait_phase(("WARM", "SERVE"), self.patience)
            took = time.monotonic() - began
            m.wait_phase("SERVE", 120)
            faults = whole(site, m, action, None)
            self.measured[kind, action], self.reference[kind, action] = took, (names(site), faults)
            return f"undisturbed: {took:.1f} s" + (f"; its schema is not that of a new install:\n{faults}" if faults else "")

    def kill(self, kind, action, number):
        random_ = random.Random(f"{self.args.seed}/{kind}/{action}/{number}")
        scale = 100 if number % 4 == 3 else self.args.scale
        late = 0
        while True:
            point = random_.uniform(0, self.measured[kind, action])
            with self.case(kind) as case:
                record = self.kill_at(self.site(case, action, scale), action, point)
            if record:
                break
            late += 1
            check(late < 5, f"{late} points came too late: the undisturbed run was faster than these")
        record.update(database=kind, action=action, number=number, scale=scale, late=late, moodle="real" if self.real else "stand-in")
        with self.lock:
            self.records.append(record)
            if self.args.record:
                with open(self.args.record, "a") as f:
                    f.write(json.dumps(record) + "\n")
        return f"killed at {record['point']:.1f} s ({record['found']}); {record['did']}, {record['seconds']:.1f} s" + (f"; {late} came too late" if late else "")

    def kill_at(self, site, action, point):
        members = site.start((1, 2), release="base")
        first = wait_for("one member leads", lambda: leader_of(members), 120, pause=0.02)
        second = next(m for m in members if m is not first)
        end = time.monotonic() + point
        while time.monotonic() < end:
            if first.phase() in ("WARM", "SERVE"):
                return None
            time.sleep(min(0.05, max(0.001, end - time.monotonic())))
        second.wait_phase("LEAD", 30)  # it may still be starting when the point is an early one
        first.kill9()
        began = time.monotonic()
        state, before = found(site), results(site, action)
        self.follow(site, second)
        seconds = time.monotonic() - began
        if second.phase() == "HOLD":
            return {"point": point, "found": state, "did": "blocked", "seconds": seconds}
        whole(site, second, action, self.reference[site.db.kind, action])
        runs = results(site, action)
        did = f"first {action}" if not before else f"{action} again" if len(runs) > len(before) else "kept the work, cleared the rest"
        return {"point": point, "found": state, "did": did, "seconds": seconds}

    def follow(self, site, m):
        """Until it serves or is blocked; what it serves is installed."""
        m.wait_phase(("SERVE", "HOLD", "WARM"), self.patience)
        if m.phase() == "HOLD":
            equal(m.health().get("id"), "E-BLOCKED", "why it holds")
            check(m.get("/login/index.php").status == 503, "a blocked member must not hand out Moodle")
            return
        equal(site.config("rolesactive"), "1", "rolesactive when the site is said to be installed")
        m.wait_phase("SERVE", 120)

    def members(self, kind):
        with self.case(kind) as case:
            site = self.site(case, "members")
            members = site.start(range(1, MANY + 1))
            leader = wait_for("one member leads", lambda: leader_of(members), 120)
            others = [m for m in members if m is not leader]
            for m in others:
                m.wait_phase("LEAD", 60)
                equal(m.get("/").status, 503, f"answer of {m.name} during the install")
            check(leader.phase() == "LEAD", "the install was over too early to see the others wait")
            began = time.monotonic()
            for m in members:
                m.wait_phase("SERVE", self.patience)
            seconds = time.monotonic() - began
            for m in members:
                equal(m.get("/-/ready").status, 200, f"readiness of {m.name}")
            installers = [m.name for m in members if any(o["msg"].startswith("install starts") for o in m.log(src="lead"))]
            equal(len(installers), 1, f"members that installed ({installers})")
            equal(results(site, "install"), ["ok"], "runs")
            whole(site, members[-1], "install", None)
            holder = site.wait_cron(120)
            for _ in range(5):
                equal([m.name for m in site.cron_members()], [holder.name], "members that run cron")
                time.sleep(0.5)
            return f"{MANY} members: 1 installed, {len(others)} waited with 503, all ready after {seconds:.0f} s, cron on one"

    # ---- all of them -----------------------------------------------------------------------------------------------

    def one(self, kind, action, number):
        """A task of the pool; number None: the undisturbed run."""
        name = f"{kind:<7} {action}" + ("" if action == "members" or number is None else f" {number + 1}")
        began = time.monotonic()
        if number is not None and began > self.end:
            return
        try:
            said = self.members(kind) if action == "members" else self.measure(kind, action) if number is None else self.kill(kind, action, number)
            result = "ok"
        except Exception as e:  # noqa: BLE001 - any exception is a failed test
            result = "FAIL"
            said = str(e) if isinstance(e, (Failure, Died)) else traceback.format_exc()[-2000:]
        with self.lock:
            self.passed, self.failed = self.passed + (result == "ok"), self.failed + (result != "ok")
            print(f"{result:<4} {time.monotonic() - began:6.1f} s  {name}: {said}", flush=True)

    def run(self, kinds, actions):
        work = [(k, a, n) for a in actions for n in (range(1) if a == "members" else range(self.args.first - 1, self.args.count)) for k in kinds]
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
            try:
                list(pool.map(lambda ka: self.one(*ka, None), [(k, a) for a in actions if a != "members" for k in kinds]))
                list(pool.map(lambda w: self.one(*w), [w for w in work if w[1] == "members" or w[:2] in self.measured]))
            except BaseException:
                self.bench.close()  # ends what the threads wait for, and so them
                raise


def summary(records):
    """Markdown: one line for each database and kind, then one for each kill."""
    lines = ["| Moodle | database | work | kills | finished | blocked | recovery, median | worst |", "|---|---|---|---|---|---|---|---|"]
    groups = sorted({(r["moodle"], r["database"], r["action"]) for r in records})
    for g in groups:
        mine = [r for r in records if (r["moodle"], r["database"], r["action"]) == g]
        seconds = [r["seconds"] for r in mine if r["did"] != "blocked"]
        lines.append(f"| {' | '.join(g)} | {len(mine)} | {len(seconds)} | {len(mine) - len(seconds)} |"
                     + (f" {statistics.median(seconds):.1f} s | {max(seconds):.1f} s |" if seconds else " | |"))
    lines += ["", "| database | work | killed at | found | the successor | lease | ready after |", "|---|---|---|---|---|---|---|"]
    for r in sorted(records, key=lambda r: (r["moodle"], r["action"], r["database"], r["point"])):
        lines.append(f"| {r['database']} | {r['action']} | {r['point']:.1f} s | {r['found']} | {r['did']} | {r['scale']} % | {r['seconds']:.1f} s |")
    return "\n".join(lines)


def table(paths):
    records = []
    for path in paths:
        with open(path) as f:
            records += [json.loads(line) for line in f]
    print(summary(records))
    return 0


def main():
    args = parse()
    if args.words[:1] == ["table"]:
        return table(args.words[1:])
    if os.geteuid() != 0:
        sys.exit("run.py: needs root (name spaces, users); try sudo")
    exit_on_signals()
    if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > ROOM:
        tempfile.tempdir = "/dev/shm"
    began = time.monotonic()
    print(f"seed {args.seed}, {args.count} kills of each kind", flush=True)
    kinds = ("pgsql", "mariadb") if args.database == "both" else (args.database,)
    bench = Bench(os.path.abspath(args.build), os.environ.get("MOODLE_SRC"), os.environ.get("MOODLE_OLD_SRC"), args.keep)
    try:
        actions = [a for a in KINDS if not args.words or a in args.words]
        for release in ("base", "older") if "upgrade" in actions else ("base",):
            bench.code.path(release)
        bench.redis()
        for kind in kinds:
            bench.database(kind).create("first")  # makes the user, too: sites made at the same time would do it twice
        kills = Kills(args, bench)
        kills.run(kinds, actions)
    finally:
        bench.close()
    print(summary(kills.records))
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{kills.passed} passed, {kills.failed} failed")
    return 1 if kills.failed or not kills.passed else 0


if __name__ == "__main__":
    sys.exit(main())
