"""The protocol's scenarios that need a network or a server of their own, one fault each, at a fixed moment. What must come out: no
overlap, nothing lost or repeated, and the lead moves in time, or stays where it can (`move`)."""
import signal
import sys
import time

import record
import soak
from cluster import Cluster, now_ms
from faults import FAULTS, Scene, end_session, worst_ms
from lib.case import TESTS, check, equal, test
from lib.proc import Failure, wait_for

MUST, STAYS, MAY = "must", "stays", "may"
# name, fault, situation, hold in ms, move, part of the fast set
TABLE = (
    ("clean_stop_hands_cron_over", "SIGTERM to the member", "cron", 0, MUST, True),
    ("killed_leader_of_cron", "kill -9 of the whole member", "cron", 0, MUST, True),
    ("killed_leader_of_an_upgrade", "kill -9 of the whole member", "upgrade", 0, MUST, False),
    ("killed_process_1_alone", "kill -9 of moodlectl alone", "cron", 20000, MUST, False),
    ("hung_role", "SIGSTOP of the role alone", "cron", 20000, MUST, True),
    ("frozen_member_thawed_child_first", "the whole member frozen, thawed child first", "cron", 20000, MUST, True),
    ("frozen_member_in_an_upgrade", "the whole member frozen, thawed child first", "upgrade", 20000, MUST, False),
    ("silent_cut", "silent cut", "cron", 20000, MUST, True),
    ("silent_cut_in_an_install", "silent cut", "install", 20000, MUST, False),
    ("cut_then_database_restarted", "cut and database restarted", "cron", 20000, MUST, False),
    ("requests_lost", "one-way cut: requests lost", "cron", 20000, MUST, False),
    ("answers_lost", "one-way cut: answers lost", "cron", 20000, MUST, False),
    ("delay_and_loss", "delay and loss", "cron", 6000, MAY, False),
    ("database_restarted_in_an_upgrade", "database restarted, fast", "upgrade", 0, MAY, True),
    ("database_killed_in_an_upgrade", "database killed (immediate) and started", "upgrade", 0, MAY, False),
    ("lead_session_ended", "lead session ended by an administrator", "cron", 1500, STAYS, False),
    ("lead_session_ended_in_an_upgrade", "lead session ended by an administrator", "upgrade", 0, STAYS, False),
    ("work_session_ended_in_an_upgrade", "the script's session ended by an administrator", "upgrade", 0, MAY, False),
    ("holder_changed_by_hand", "holder in the row changed by hand", "cron", 9000, MUST, False),
    ("epoch_lowered_by_hand", "epoch in the row lowered by hand", "cron", 0, MAY, False),
    ("row_deleted_by_hand", "row deleted by hand", "cron", 0, MAY, False),
    ("row_locked_for_long", "FOR UPDATE on the row", "cron", 8000, MAY, False),
    ("connections_used_up", "max_connections reached", "cron", 6000, STAYS, False),
    ("keeper_killed", "kill -9 of the keeper", "upgrade", 0, MAY, False),
    ("script_killed", "kill -9 of the PHP child", "cron", 0, STAYS, False),
    ("standby_promoted", "standby promoted, old primary fenced 1 s later", "cron", 0, MAY, False),
)


def scenario(name, fault, situation, hold_ms, move, fast):
    @test(dbs=FAULTS[fault].kinds, seconds=240, fast=fast)
    def run(build, kind):
        found = []
        step = soak.Step(0, fault, situation, 400, hold_ms, 0, 1)
        soak.Soak(build, kind, 3, 50, 0, found.append).run([step])
        r, = found
        check(not r["wrong"], f"{r['wrong']}\n{r.get('logs', '')}")
        check(move != MUST or r["took_ms"], f"nobody took over\n{r}")
        check(move != STAYS or not r["took_ms"], f"the lead moved without need\n{r}")
        check(not r["late"], f"{r['took_ms']} ms, bound {r['worst_ms']}\n{r.get('logs', '')}")
        print(f"takeover {r['took_ms']} ms, bound {r['worst_ms']}; after a thaw: {r['thaw_steps']}")
    TESTS[f"scenarios.{name}"] = TESTS.pop("scenarios.run")


for row in TABLE:
    scenario(*row)


@test(seconds=120)
def dead_waiter(build, kind):
    """A waiting member is cut off, then the leader leaves: the healthy one leads within a poll, nothing queues behind the dead one."""
    s = soak.Soak(build, kind, 3, 50, 0, None)
    s.build_cluster()
    with s.c as c:
        _, before = s.reach_cron()
        leader = c.member(before.member)
        dead, healthy = [m for m in c.members if m is not leader]
        c.net.cut(dead.number)
        leader.signal(signal.SIGTERM)
        wait_for("the leader has ended", lambda: not leader.alive(), 40)
        at = now_ms()
        after = wait_for("a successor", lambda: s.successor("cron", before, c.last_ticks()), 30)
        equal(after.member, healthy.name, "who leads")
        worst = worst_ms("stop", "cron", c.scale) + 3000  # PHP starts, too
        if after.at - at > worst:
            raise Failure(f"after {after.at - at} ms, bound {worst}")


@test(seconds=150)
def killed_inside_a_statement(build, kind):
    """The leader dies while its script's statement waits in the server: it must not be carried out beside the successor."""
    s = soak.Soak(build, kind, 3, 50, 0, None)
    s.build_cluster()
    with s.c as c:
        _, before = s.reach_cron()
        lock = "BEGIN; LOCK TABLE standin_ticks; " if kind == "pgsql" else "LOCK TABLES standin_ticks WRITE; "
        with c.clients(1, lock + ("SELECT pg_sleep(60)" if kind == "pgsql" else "DO SLEEP(60)")):
            wait_for("the script hangs in its statement", lambda: not c.effective("cron", since_ms=500), 20)
            c.member(before.member).kill9()
            after = wait_for("a successor", lambda: s.successor("cron", before, c.last_ticks()), 40)
        c.start(release=None)
        c.serving()
        c.wait_effective("cron", after_ms=now_ms())
        table, file = ([t for t in ticks if (t.epoch, t.member) == (before.epoch, before.member)] for ticks in (c.database_ticks(), c.file_ticks()))
        equal(len(table), len(file) - 1, "rows of the killed script: all but the one that waited")
        equal(record.overlaps(c.database_ticks()), [], "overlaps")
        check(after.epoch > before.epoch, f"{before} {after}")


def hour(c, offset):
    """The step, seen by the server."""
    c.step_clock(offset)
    now = "SELECT extract(epoch FROM clock_timestamp())::bigint" if c.kind == "pgsql" else "SELECT UNIX_TIMESTAMP()"
    wait_for("the server's clock steps", lambda: abs(int(c.site.sql(now)) - time.time()) > 1800, 10)


@test(seconds=200)
def database_clock_stepped(build, kind):
    """An hour on or back while cron runs: its leader stays. An hour on while the leader hangs and its lock session ends: its script is dead
    before another starts, although the heartbeat looks an hour old. An hour back: the whole grace, no deadlock."""
    with Cluster(build, kind, clock=True) as c:
        c.start()
        c.serving()
        for offset in ("+3600", "-3600"):
            before = c.wait_effective("cron")
            hour(c, offset)
            time.sleep(4)
            equal(c.wait_effective("cron").epoch, before.epoch, f"epoch after a step of {offset}")
            c.step_clock("+0")
            time.sleep(2)
        for offset in ("+3600", "-3600"):
            before = c.wait_effective("cron")
            victim = c.member(before.member)
            c.signal(victim, "cron", signal.SIGSTOP)
            at = now_ms()
            hour(c, offset)
            end_session(Scene(c, victim, "cron", None), "lead")
            after = c.wait_effective("cron", 40, but_epoch=before.epoch)
            print(f"{offset}: after {after.at - at} ms")
            check(after.at - at > 8000 * c.scale // 100 - 500, "an early start: the heartbeat only looked old")
            c.step_clock("+0")
            victim.thaw()
            time.sleep(2)
        equal(record.overlaps(c.file_ticks()), [], "overlaps in the file")
        equal(record.overlaps(c.database_ticks()), [], "overlaps in the database")


@test(seconds=150)
def reader_that_is_promoted(build, kind):
    """The endpoint leads to a standby (MariaDB: to a server set read-only): all wait, each with the id of it, and nothing is written. Promoted,
    it gets one installer."""
    with Cluster(build, kind) as c:
        if kind == "pgsql":
            c.point_at(c.add_standby())
        else:
            c.db.set_read_only(True)
        c.start()
        id = "E-DB-READER" if kind == "pgsql" else "E-DB-READ-ONLY"
        wait_for("all are refused", lambda: all(any(o.get("id") == id for o in m.log()) for m in c.members), 60)
        equal(c.db.tables(c.site.db_name), 1, "tables: only the one that the test has made")
        if kind == "pgsql":
            c.standby.promote()
            c.take(c.standby)
        else:
            c.db.set_read_only(False)
        c.serving()
        equal([(action, result) for _, action, _, result in c.runs()], [("install", "ok")], "runs")
        c.wait_effective("cron")
        equal(record.overlaps(c.database_ticks()), [], "overlaps")


ROUND_TRIP = "import socket, sys, time; t = time.monotonic(); socket.create_connection((sys.argv[1], int(sys.argv[2])), 30); print(time.monotonic() - t)"


def longest_round_trip(c, member, seconds):
    """To the database, as the member sees it: the delay of the test, and what a busy machine adds."""
    end, longest = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        longest = max(longest, float(c.net.spaces[member.number](sys.executable, "-c", ROUND_TRIP, c.db.host, str(c.db.port)).stdout))
    return longest


@test(seconds=240)
def seconds_of_delay(build, kind):
    """Two and a half seconds to the database and back, at the default times: heartbeats arrive in time, so the leader stays (MariaDB: half of that,
    since a heartbeat is two statements there). With a third of the packets lost, and with six seconds, it may have to go: nobody works beside it.
    A machine on which two heartbeats together take more than the deadline may move the lead, too: that is what the deadline is for."""
    with Cluster(build, kind, scale=100, MOODLECTL_CRON_KEEPALIVE="120s") as c:
        c.start()
        c.serving()
        before = c.wait_effective("cron")
        victim = c.member(before.member)
        c.net.slow(victim.number, 1250 if kind == "pgsql" else 625, 0)
        took = longest_round_trip(c, victim, 20) * (2 if kind == "pgsql" else 4)
        leads = c.row("cron")[:2]
        print(f"two heartbeats took {took:.1f} s")
        check(leads == (before.epoch, before.member) or took > 6.5, f"{leads} leads after 20 s, not {before}, though two heartbeats took {took:.1f} s\n{victim.tail(60)}")
        c.net.heal()
        c.wait_effective("cron", after_ms=now_ms())
        for delay in (1500, 3000):
            victim = c.member(c.wait_effective("cron").member)
            c.net.slow(victim.number, delay, 30, seed=1)
            time.sleep(15)
            c.net.heal()
            c.wait_effective("cron", 90, after_ms=now_ms())
        equal(record.overlaps(c.file_ticks()), [], "overlaps in the file")
        equal(record.overlaps(c.database_ticks()), [], "overlaps in the database")


@test(dbs=("pgsql",), seconds=200)
def raise_lost_in_a_failover(build, kind):
    """Asynchronous replication stands still while a second member takes cron over; then its server dies and the standby is promoted, which
    knows nothing of that. A third one gets the same epoch; what the frozen second one does when it thaws, child first, nobody sees in
    the database."""
    with Cluster(build, kind) as c:
        c.start()
        c.serving()
        standby = c.add_standby()
        first = c.wait_effective("cron")
        wait_for("the standby has that epoch", lambda: standby.sql("SELECT epoch FROM sup_coord WHERE purpose='cron'", db=c.site.db_name) == str(first.epoch), 20)
        standby.sql("ALTER SYSTEM SET primary_conninfo = ''", db="postgres")
        standby.sql("SELECT pg_reload_conf()", db="postgres")
        wait_for("replication ends", lambda: standby.sql("SELECT count(*) FROM pg_stat_wal_receiver", db="postgres") == "0", 20)
        c.member(first.member).kill9()
        second = c.wait_effective("cron", 40, but_epoch=first.epoch)
        c.member(second.member).freeze()
        c.db.kill()
        standby.promote()
        c.point_at(standby)
        c.take(standby)
        equal(c.row("cron")[0], first.epoch, "epoch on the promoted server")
        third = c.wait_effective("cron", 60, after_ms=now_ms())
        equal((third.epoch, third.member in (first.member, second.member)), (second.epoch, False), "the third one's epoch, the number given twice")
        c.thaw(c.member(second.member))
        c.start(release=None)
        c.serving()
        time.sleep(3)
        c.wait_effective("cron", after_ms=now_ms())
        equal(record.overlaps(c.database_ticks()), [], "overlaps in the database")
        equal([o for o in record.thaw_steps(record.overlaps(c.file_ticks()), c.thaws)[0]], [], "overlaps in the file")
        check(all((t.member, t.epoch) != (second.member, second.epoch) for t in c.database_ticks()), "the lost leader wrote into the new database")
