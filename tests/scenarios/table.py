"""The 41 scenarios of the coordination: what each is, where it runs, which tests show it, and what they do not show.

A test is "suite:name": contract (tests/contract/run.py), lease (a case of contract:lease), system (tests/system/run.py), cluster (a test of tests/chaos), chaos (a fault of
the soak, which is drawn into a situation by its seed), takeovers (a fault ten times, tests/chaos/takeovers.py), kill (tests/kill/run.py), model (tests/model). `lacks` says what no test shows yet; such a scenario is
never counted as shown whole."""
from collections import namedtuple

Scenario = namedtuple("Scenario", "number text dbs tests lacks")
BOTH, PG, MARIA = ("pgsql", "mariadb"), ("pgsql",), ("mariadb",)


def row(number, text, tests, lacks="", dbs=BOTH):
    return Scenario(number, text, dbs, tuple(tests), lacks)


SCENARIOS = (
    row(1, "Ten members on an empty database: one installs, nine answer 503", ["contract:one_install", "kill:members"]),
    row(2, "The same with fifty: connections, time to the first leader", ["contract:fifty_members"]),
    row(3, "SIGTERM to the cron leader: handed over within one poll", ["contract:one_cron"]),
    row(4, "SIGKILL of an idle leader: taken over after grace and poll", ["contract:one_cron"]),
    row(5, "SIGKILL of a leader whose script is inside a long statement: nothing of it is committed later", ["lease:work_session_evicted", "cluster:killed_inside_a_statement"]),
    row(6, "SIGSTOP of the role alone: the keeper kills at the deadline", ["contract:leader_stopped"]),
    row(7, "A whole member frozen, its script thawed first: it cannot write", ["chaos:the whole member frozen, thawed child first"]),
    row(8, "A script frozen between fork and connect is refused when it comes late", ["contract:late_script_beside_the_successor"]),
    row(9, "A script that comes after its successor's has finished is refused", ["contract:late_script_after_the_successor"]),
    row(10, "Silent cut of the leader, ten times at random moments", ["takeovers:silent cut"]),
    row(11, "Cut, then the database restarts: the grace is kept", ["chaos:cut and database restarted"]),
    row(12, "One-way cuts: the deadline counts from the sending", ["chaos:one-way cut: requests lost", "chaos:one-way cut: answers lost"]),
    row(13, "Delay and loss: no overlap, no needless step-down", ["chaos:delay and loss", "cluster:seconds_of_delay"]),
    row(14, "The database restarts during a job, fast and immediate",
        ["contract:database_restart", "cluster:database_restarted_in_an_upgrade", "cluster:database_killed_in_an_upgrade"]),
    row(15, "The lead session is ended: lock and script are kept unless another raised the epoch",
        ["contract:lead_session_ended", "lease:relock_refused_after_another_led"]),
    row(16, "The script's session is ended: a counted failure, then another try",
        ["contract:session_ended", "chaos:the script's session ended by an administrator"]),
    row(17, "A standby is promoted while the old primary lives",
        ["chaos:standby promoted, old primary fenced 1 s later", "lease:other_server_means_the_whole_grace", "lease:lost_raise_is_survived",
         "cluster:raise_lost_in_a_failover"], dbs=PG),
    row(18, "Standby or read-only server: refused", ["contract:a_standby", "contract:read_only", "cluster:reader_that_is_promoted"]),
    row(19, "PgBouncer: by transaction refused, by session allowed with a warning, the same when it resets after each transaction",
        ["contract:poolers"], dbs=PG),
    row(20, "A Galera node: refused", ["contract:galera"], dbs=MARIA),
    row(21, "CREATE INDEX CONCURRENTLY beside ten waiting members", ["contract:index_beside_waiters"], dbs=PG),
    row(22, "A dead waiter does not inherit: the healthy one leads within one poll", ["contract:dead_waiter", "cluster:dead_waiter"]),
    row(23, "Twenty members at once without our tables: no error of a DDL statement", ["contract:fifty_members"]),
    row(24, "Prefixes s, sup_: served; upper case (which Moodle's installer refuses, too), none: refused", ["contract:odd_prefixes", "contract:no_prefix"]),
    row(25, "Two prefixes in one database, one prefix in two: independent", ["contract:neighbours", "lease:prefixes_are_independent"]),
    row(26, "Moodle's own locks and ours never meet", ["lease:moodle_locks_do_not_meet_ours", "contract:moodles_own_locks"]),
    row(27, "An upgrade that fails twice blocks all; a new target clears that",
        ["contract:upgrade_that_fails", "system:a_broken_upgrade_is_not_tried_for_ever"]),
    row(28, "A leader killed seven times at one target: growing pauses, then blocked", ["contract:leader_killed_seven_times", "lease:attempts_and_pauses_are_kept"]),
    row(29, "An install killed at random points", ["kill:install"], "three points of the stand-in here; of a real Moodle nine on PostgreSQL, none on MariaDB (below)"),
    row(30, "An upgrade killed at random points", ["kill:upgrade"], "three points of the stand-in here; of a real Moodle twenty on PostgreSQL, six on MariaDB (below)"),
    row(31, "An old image after the upgrade: stale, no cron", ["contract:upgrade_with_outage", "system:old_code_never_starts_on_a_newer_database"]),
    row(32, "A rolling deployment: the old cron makes way, or is ended after some patience",
        ["contract:cron_makes_way", "contract:adhoc_runners_and_an_upgrade"]),
    row(33, "Another user's session holds the work lock: said, and nobody works", ["contract:session_of_another_user"]),
    row(34, "The row edited by hand: the leader steps down", ["lease:row_edited_by_hand", "chaos:epoch in the row lowered by hand",
                                                               "chaos:holder in the row changed by hand", "chaos:row deleted by hand"]),
    row(35, "The database's clock steps", ["contract:database_clock_set_back", "cluster:database_clock_stepped"]),
    row(36, "FOR UPDATE on the row: the leader steps down by its deadline", ["lease:row_locked_by_somebody", "chaos:FOR UPDATE on the row"]),
    row(37, "max_connections reached: no false takeover", ["chaos:max_connections reached"]),
    row(38, "PostgreSQL 13, without idle_session_timeout: a stopped leader is evicted", ["lease:stale_leader_evicted"],
        "not run on PostgreSQL 13, which Debian 12 does not have. The server would not end the silent session after 10 s; a rival does after 15 s (model: postgresql13)", dbs=PG),
    row(39, "Keeper killed, script killed, daemons of a script, orphans: all are ended and reaped",
        ["contract:keeper_killed", "contract:cron_killed", "contract:daemons_of_a_script", "system:orphans_are_reaped"]),
    row(40, "A stop in each state on the way to work", ["contract:stop_on_the_way", "contract:upgrade_terminated", "system:stop_while_it_installs"]),
    row(41, "The model holds, and its bad variants are found", ["model:model"], dbs=()),
)

REAL = ("contract:moodles_own_locks",)  # need a real Moodle: MOODLE_SRC
NOT_HERE = "MySQL 8, Aurora and RDS Proxy are not run: Debian has no package of them."
