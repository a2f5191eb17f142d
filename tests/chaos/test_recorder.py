"""The recorder must be able to say no: it is fed what must never be, and it watches a cluster that was broken on purpose."""
import os
import shutil
import signal
import time

import record
import soak
from cluster import Cluster
from faults import Scene, end_session
from lib.case import check, equal, test
from lib.proc import wait_for
from record import Tick

A, B, C = ("m1", 11, 1), ("m2", 22, 2), ("m3", 33, 3)


def trace(*children, purpose="cron"):
    return [Tick(purpose, epoch, member, pid, 100 * i) for i, (member, pid, epoch) in enumerate(children)]


@test(dbs=("pgsql",), fast=True)
def recorder_sees_an_overlap(build, kind):
    equal(record.overlaps(trace(A, A, B, B, C)), [], "one after the other")
    found, = record.overlaps(trace(A, A, B, A, B, A, C))
    equal((found.early, found.late, found.began, found.at), (A, B, 200, [300, 500]), "the first child went on")
    equal(len(record.overlaps(trace(A, B, C, A, B))), 2, "two of three went on")
    equal(len(record.overlaps(trace(A, B, A) + trace(A, B, A, purpose="deploy"))), 2, "each purpose by itself")
    equal(record.overlaps(trace(A, ("m1", 12, 1), B)), [], "two scripts of one leader, one after the other")
    equal(len(record.overlaps(trace(A, ("m1", 12, 1), A))), 1, "two scripts of one leader at once")


@test(dbs=("pgsql",), fast=True)
def recorder_excuses_only_the_thawed(build, kind):
    found = record.overlaps(trace(A, B, A))  # the step is at 200
    equal([len(x) for x in record.thaw_steps(found, [("m1", 190, 50)])], [0, 1], "thawed just before")
    equal([len(x) for x in record.thaw_steps(found, [("m1", 190, 5)])], [1, 0], "longer than a step")
    equal([len(x) for x in record.thaw_steps(found, [("m2", 190, 50)])], [1, 0], "another member was frozen")
    equal([len(x) for x in record.thaw_steps(found, [("m1", 210, 50)])], [1, 0], "before the thaw")


@test(dbs=("pgsql",), fast=True)
def recorder_sees_what_is_doubled_or_lost(build, kind):
    runs = [(1, "install", "v1", "interrupted"), (2, "install", "v1", "ok"), (3, "upgrade", "v2", "failed"), (4, "upgrade", "v2", "ok")]
    equal((record.doubled(runs), record.lost(runs, ["v1", "v2"])), ([], []), "all well")
    equal(record.doubled(runs + [(5, "install", "v1", "ok")]), ["v1"], "an install done twice")
    equal(record.lost(runs, ["v1", "v2", "v3"]), ["v3"], "an upgrade lost")
    cron = trace(A) + trace(("m2", 5, 7), purpose="deploy") + trace(A) + trace(("m2", 5, 7), purpose="deploy") + trace(A)
    equal(record.beside(cron, {7}), [(A, 7)], "cron beside an upgrade")
    equal(record.beside(cron, set()), [], "an upgrade that lets the site serve")


@test(dbs=("pgsql",), fast=True)
def a_seed_is_a_plan(build, kind):
    equal(soak.plan(5, 60, "pgsql"), soak.plan(5, 60, "pgsql"), "the same seed")
    check(soak.plan(5, 60, "pgsql") != soak.plan(6, 60, "pgsql"), "another seed draws the same plan")
    equal(soak.plan(5, 100, "pgsql")[:60], soak.plan(5, 60, "pgsql"), "a longer plan begins as a shorter one")


def hang_leader(c, t):
    """Role and keeper of the cron leader stop, its script does not; then its lead session ends."""
    victim = c.member(t.member)
    for what in ("cron", "keeper"):
        c.signal(victim, what, signal.SIGSTOP)
    end_session(Scene(c, victim, "cron", None), "lead")
    return victim


def take_over(c, t):
    new = c.wait_effective("cron", 40, but_epoch=t.epoch)
    time.sleep(2)  # long enough for both to tick
    return new


@test(seconds=120, fast=True)
def a_broken_member_is_found_out(build, kind):
    """Members without the fence, a keeper that does not keep: two crons at once, and both traces show it."""
    with Cluster(build, kind) as c:
        broken = c.folder.make("broken-templates", mode=0o755)
        shutil.copytree(c.programs.templates, broken, dirs_exist_ok=True)
        with open(os.path.join(broken, "fence.php"), "w") as f:
            f.write("<?php\n")
        c.settings["MOODLECTL_TEMPLATE_DIR"] = c.site.settings["MOODLECTL_TEMPLATE_DIR"] = broken
        c.start()
        c.serving()
        t = c.wait_effective("cron")
        hang_leader(c, t)
        take_over(c, t)
        for name, ticks in (("database", c.database_ticks()), ("file", c.file_ticks())):
            found = record.overlaps(ticks)
            check(any(o.early[0] == t.member and o.early[2] == t.epoch and len(o.at) > 10 for o in found), f"no overlap in the {name}: {found}")


@test(seconds=120, fast=True)
def the_fence_alone_keeps_the_database(build, kind):
    """The same with the fence: role and keeper hang, and the script still cannot write beside its successor."""
    with Cluster(build, kind) as c:
        c.start()
        c.serving()
        t = c.wait_effective("cron")
        victim = hang_leader(c, t)
        take_over(c, t)
        equal(record.overlaps(c.database_ticks()), [], "overlaps in the database")
        wait_for("the evicted script has ended", lambda: not any("R" in state(p) or "S" in state(p) for p in c.pids(victim, "php")), 10)


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""
