/* links: coord base
 * The lease's contract against a real server: the same tests for PostgreSQL and MariaDB. Argument: a run directory with a
 * moodle.json (run.py makes it). Rivals are other sessions of this process. */
#include "coord/lease.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static target_t target;
static db_t *admin; /* an ordinary session of the same user, for looking and for harm */

static void lease_make(lease_t *l, purpose_t p, const char *holder)
{
    lease_init(l, p, target.db.prefix, holder, 20); /* a fifth of the real times: idle 2 s, deadline 1.4 s */
    err_t err = {0};
    if (lease_open(l, &target.db, &err) < 0) fail_msg("open: %s %s", err_name(err.id), err.msg);
}

static void query(const char *sql)
{
    err_t err = {0};
    if (db_query(admin, 5000, sql, DB_NONE, NULL, &err) < 0) fail_msg("%s: %s", sql, err.msg);
}

static bool try_it(lease_t *l)
{
    bool got = false;
    err_t err = {0};
    if (lease_try(l, &got, &err) < 0) fail_msg("try: %s", err.msg);
    return got;
}

static void lead(lease_t *l, purpose_t p, const char *holder)
{
    err_t err = {0};
    lease_make(l, p, holder);
    uint64_t until = clock_ms() + 5000; /* the server may still be clearing away the last test's session */
    while (!try_it(l)) {
        assert_true(clock_ms() < until);
        clock_sleep_ms(20);
    }
    if (lease_claim(l, &err) < 0) fail_msg("claim: %s", err.msg);
}

static void leave(lease_t *l)
{
    err_t err = {0};
    if (lease_end(l, "ok", 0, "", 0, &err) < 0 || lease_release(l, &err) < 0) fail_msg("leave: %s", err.msg);
    lease_close(l);
}

static err_id_t beat(lease_t *l)
{
    err_t err = {0};
    return lease_beat(l, "1/2 x", &err) == 0 ? ERR_NONE : err.id;
}

static void kill_session_of(lease_t *l)
{
    char sql[100];
    long id = (long)db_handshake_id(l->db);
    if (db_family(admin) == DB_PGSQL)
        snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%ld)", id);
    else
        snprintf(sql, sizeof sql, "KILL %ld", id);
    query(sql);
}

static void one_of_two_wins(void **state)
{
    (void)state;
    lease_t a, b;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lease_make(&b, PURPOSE_DEPLOY, "b#2");
    assert_false(try_it(&b));
    assert_int_equal(beat(&a), ERR_NONE);
    leave(&a);
    assert_true(try_it(&b));
    lease_close(&b);
}

static void purposes_are_independent(void **state)
{
    (void)state;
    lease_t a, b;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lead(&b, PURPOSE_CRON, "b#2");
    assert_int_equal(beat(&a), ERR_NONE);
    assert_int_equal(beat(&b), ERR_NONE);
    leave(&a);
    leave(&b);
}

static void prefixes_are_independent(void **state)
{
    (void)state;
    lease_t a, b;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lease_init(&b, PURPOSE_DEPLOY, "zz_", "b#2", 20);
    assert_int_equal(lease_open(&b, &target.db, NULL), 0);
    assert_true(try_it(&b));
    lease_close(&b);
    leave(&a);
}

/* The socket ends without a word, as after a SIGKILL: the lock is free at once, but the row tells of no clean end. */
static void holder_killed(void **state)
{
    (void)state;
    lease_t a, b;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    shutdown(db_fd(a.db), SHUT_RDWR);
    lead(&b, PURPOSE_DEPLOY, "b#2");
    assert_string_equal(b.prev.phase, "grace");
    uint64_t left = lease_grace_left(&b, clock_ms());
    assert_in_range(left, 1, b.times.grace);
    assert_int_equal(lease_grace_left(&b, clock_ms() + b.times.grace), 0);
    lease_close(&a);
    leave(&b);
    lead(&a, PURPOSE_DEPLOY, "a#1");
    assert_int_equal(lease_grace_left(&a, clock_ms()), 0); /* a clean end needs no grace */
    leave(&a);
}

static void other_server_means_the_whole_grace(void **state)
{
    (void)state;
    lease_t a, b;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lease_close(&a);
    query("UPDATE sup_coord SET server_id = 'elsewhere/1/1' WHERE purpose = 'deploy'");
    clock_sleep_ms(300);
    lead(&b, PURPOSE_DEPLOY, "b#2");
    assert_in_range(lease_grace_left(&b, b.claimed_ms), b.times.grace, b.times.grace);
    leave(&b);
}

static void session_ended_by_administrator(void **state)
{
    (void)state;
    lease_t a;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    kill_session_of(&a);
    uint64_t until = clock_ms() + 3000;
    while (db_idle_ok(a.db) && clock_ms() < until) clock_sleep_ms(10);
    assert_true(db_is_lost(a.db)); /* seen on the idle socket, without asking */
    assert_int_not_equal(beat(&a), ERR_NONE);
    /* nobody else led meanwhile: the same epoch goes on in a new session */
    err_t err = {0};
    int64_t epoch = a.epoch;
    if (clock_ms() < a.deadline_ms && lease_relock(&a, &target.db, &err) < 0) fail_msg("relock: %s", err.msg);
    assert_int_equal(a.epoch, epoch);
    leave(&a);
}

static void relock_refused_after_another_led(void **state)
{
    (void)state;
    lease_t a, b;
    err_t err = {0};
    lead(&a, PURPOSE_DEPLOY, "a#1");
    kill_session_of(&a);
    lead(&b, PURPOSE_DEPLOY, "b#2");
    leave(&b);
    a.deadline_ms = clock_ms() + 5000;
    assert_int_equal(lease_relock(&a, &target.db, &err), -1);
    assert_int_equal(err.id, ERR_LOCK_LOST);
    lease_close(&a);
}

static void beat_without_the_lock_fails(void **state)
{
    (void)state;
    lease_t a;
    err_t err = {0};
    lead(&a, PURPOSE_DEPLOY, "a#1");
    int64_t epoch = a.epoch;
    assert_int_equal(lease_release(&a, &err), 0); /* the row is still ours, the lock is not */
    a.epoch = epoch;
    assert_int_equal(beat(&a), ERR_LOCK_LOST);
    lease_close(&a);
}

static void idle_session_loses_the_lock(void **state)
{
    (void)state;
    lease_t a, b;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lease_make(&b, PURPOSE_DEPLOY, "b#2");
    uint64_t from = clock_ms();
    while (!try_it(&b)) {
        assert_true(clock_ms() < from + a.times.idle + 3000);
        clock_sleep_ms(50);
    }
    assert_true(clock_ms() >= a.deadline_ms + a.times.kill); /* never before our child is dead */
    assert_int_equal(beat(&a), ERR_LOCK_LOST);               /* past the deadline nothing is even sent */
    lease_close(&a);
    lease_close(&b);
}

static void epoch_is_compare_and_set(void **state)
{
    (void)state;
    lease_t a, b;
    err_t err = {0};
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lease_close(&a);
    lead(&b, PURPOSE_DEPLOY, "b#2");
    assert_int_equal(b.epoch, a.epoch + 1);
    /* a second claim of the same session sees the raised one; a claim on an old reading must fail */
    query("UPDATE sup_coord SET epoch = epoch + 1 WHERE purpose = 'deploy'");
    assert_int_equal(beat(&b), ERR_LOCK_LOST);
    assert_int_equal(lease_start(&b, "install", "t", "", &err), -1);
    assert_int_equal(err.id, ERR_LOCK_LOST);
    lease_close(&b);
}

/* The lock was lost and won by another between our look at the row and our raise of the epoch. */
static void lost_race_for_the_epoch(void **state)
{
    (void)state;
    lease_t a;
    bool got = false;
    err_t err = {0};
    lease_make(&a, PURPOSE_DEPLOY, "a#1");
    while (!got) got = try_it(&a);
    query("BEGIN");
    query("UPDATE sup_coord SET epoch = epoch + 1 WHERE purpose = 'deploy'"); /* not yet seen by anybody */
    pid_t later = fork();
    if (later == 0) {
        clock_sleep_ms(150);
        query("COMMIT");
        _exit(0);
    }
    assert_int_equal(lease_claim(&a, &err), -1);
    assert_int_equal(err.id, ERR_LOCK_LOST);
    assert_int_equal(a.epoch, 0);
    assert_int_equal(waitpid(later, NULL, 0), later);
    lease_close(&a);
    db_close(&admin); /* its state was shared with the child: a fresh one */
    admin = db_open(&target.db, "contract", 3000, &err);
    assert_non_null(admin);
}

static void row_edited_by_hand(void **state)
{
    (void)state;
    static const char *const edits[] = {
        "UPDATE sup_coord SET epoch = epoch - 1 WHERE purpose = 'deploy'",
        "UPDATE sup_coord SET holder = 'x#9' WHERE purpose = 'deploy'",
        "DELETE FROM sup_coord WHERE purpose = 'deploy'",
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        lease_t a;
        lead(&a, PURPOSE_DEPLOY, "a#1");
        query(edits[i]);
        assert_int_equal(beat(&a), ERR_LOCK_LOST);
        lease_close(&a);
    }
    query("DELETE FROM sup_run WHERE purpose = 'deploy'");
}

static void row_locked_by_somebody(void **state)
{
    (void)state;
    lease_t a;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    query("BEGIN");
    query("SELECT * FROM sup_coord WHERE purpose = 'deploy' FOR UPDATE");
    uint64_t from = clock_ms();
    assert_int_not_equal(beat(&a), ERR_NONE);
    assert_true(clock_ms() - from <= a.times.deadline + 500); /* never longer than the deadline */
    query("ROLLBACK");
    lease_close(&a);
}

static void work_session_evicted(void **state)
{
    (void)state;
    lease_t a, b;
    err_t err = {0};
    lead(&a, PURPOSE_DEPLOY, "a#1");
    db_t *child = lease_fenced_open(&a, &target.db, &err);
    assert_non_null(child);
    assert_null(lease_fenced_open(&a, &target.db, &err)); /* two children of one epoch: one is refused */
    lease_close(&a);
    lead(&b, PURPOSE_DEPLOY, "b#2");
    uint64_t until = clock_ms() + 10000;
    int gone;
    while ((gone = lease_evict_work(&b, &err)) == 0 && clock_ms() < until) clock_sleep_ms(20);
    assert_int_equal(gone, 1);
    assert_int_equal(db_query(child, 2000, "SELECT 1", DB_NONE, NULL, &err),
                     -1); /* the old child cannot write any more */
    assert_true(db_is_lost(child));
    db_close(&child);
    /* a child of the old epoch that comes late is refused, though the work lock is free */
    a.epoch = b.epoch - 1;
    assert_null(lease_fenced_open(&a, &target.db, &err));
    assert_int_equal(err.id, ERR_LOCK_LOST);
    leave(&b);
}

/* A failover to a server that lacks the last raise of the epoch: the number is given again. A late child of the lost leader is
 * refused by the holder, and the "released" that came back with the old row is not believed. */
static void lost_raise_is_survived(void **state)
{
    (void)state;
    lease_t a, b;
    err_t err = {0};
    lead(&a, PURPOSE_DEPLOY, "z#0");
    leave(&a);
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lease_close(&a);
    query("UPDATE sup_coord SET epoch = epoch - 1, holder = 'z#0', phase = 'released', server_id = "
          "'elsewhere/1/1'"
          " WHERE purpose = 'deploy'");
    lead(&b, PURPOSE_DEPLOY, "b#2");
    assert_int_equal(b.epoch, a.epoch);
    assert_in_range(lease_grace_left(&b, b.claimed_ms), b.times.grace, b.times.grace);
    lease_make(&a, PURPOSE_DEPLOY, "a#1");
    a.epoch = b.epoch;
    assert_null(lease_fenced_open(&a, &target.db, &err));
    assert_int_equal(err.id, ERR_LOCK_LOST);
    db_t *child = lease_fenced_open(&b, &target.db, &err);
    assert_non_null(child);
    db_close(&child);
    lease_close(&a);
    leave(&b);
}

static void stale_leader_evicted(void **state)
{
    (void)state;
    lease_t a, b;
    err_t err = {0};
    lead(&a, PURPOSE_DEPLOY, "a#1");
    lease_make(&b, PURPOSE_DEPLOY, "b#2");
    assert_int_equal(lease_evict_lead(&b, &err), 0);
    uint64_t until = clock_ms() + 5000;
    while (!try_it(&b) && clock_ms() < until) clock_sleep_ms(20);
    assert_true(b.locked);
    lease_close(&a);
    lease_close(&b);
}

static void attempts_and_pauses_are_kept(void **state)
{
    (void)state;
    lease_t a;
    lease_row_t row;
    err_t err = {0};
    for (int i = 1; i <= 2; i++) {
        lead(&a, PURPOSE_DEPLOY, "a#1");
        assert_int_equal(lease_start(&a, "upgrade", "1:2", "0/3", &err), 0);
        assert_int_equal(lease_end(&a, "failed", 1, "no\xff luck", 30000, &err),
                         0); /* any byte may come from a plugin */
        assert_int_equal(lease_row_read(a.db, 2000, target.db.prefix, PURPOSE_DEPLOY, &row, &err), 0);
        assert_int_equal(row.attempt, i);
        assert_in_range(row.backoff_ms, 29000, 30000);
        assert_string_equal(row.detail, "no? luck");
        assert_string_equal(row.result, "failed");
        assert_int_equal(lease_release(&a, &err), 0);
        lease_close(&a);
    }
    lead(&a, PURPOSE_DEPLOY, "a#1");
    assert_int_equal(lease_start(&a, "upgrade", "3:4", "", &err), 0);
    assert_int_equal(lease_row_read(a.db, 2000, target.db.prefix, PURPOSE_DEPLOY, &row, &err), 0);
    assert_int_equal(row.attempt, 1); /* another target starts over */
    leave(&a);
}

static void session_is_private(void **state)
{
    (void)state;
    lease_t a;
    bool proxy = true;
    err_t err = {0};
    lease_make(&a, PURPOSE_DEPLOY, "a#1");
    if (lease_probe(&a, &target.db, &proxy, &err) < 0) fail_msg("%s", err.msg);
    assert_false(proxy);
    lease_close(&a);
}

/* Moodle's own statements with Moodle's own keys, taken and freed beside ours. */
static void moodle_locks_do_not_meet_ours(void **state)
{
    (void)state;
    lease_t a;
    lead(&a, PURPOSE_DEPLOY, "a#1");
    db_rows_t r;
    const char *sql =
        db_family(admin) == DB_PGSQL
            ? "SELECT pg_try_advisory_lock(-407592296, 259206106), pg_try_advisory_lock(1), "
              "pg_advisory_unlock(-407592296, 259206106),"
              " pg_advisory_unlock(1)"
            : "SELECT GET_LOCK('moodle-mdl_-session-1', 0), GET_LOCK(SHA1('moodle:mdl__cron_core_cron'), 0),"
              " RELEASE_LOCK('moodle-mdl_-session-1'), RELEASE_LOCK(SHA1('moodle:mdl__cron_core_cron'))";
    assert_int_equal(db_query(admin, 2000, sql, DB_NONE, &r, NULL), 0);
    for (int i = 0; i < 4; i++) assert_true(db_cell_true(&r, 0, i));
    db_rows_free(&r);
    assert_int_equal(beat(&a), ERR_NONE);
    leave(&a);
}

static void values_are_quoted(void **state)
{
    (void)state;
    static const char *const nasty[] = {"'; DROP TABLE x; --",  "a\\'b", "\\", "$1 {coord} %s",
                                        "\xc3\xb6\xe2\x82\xac", "\"`"};
    for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
        db_rows_t r;
        err_t err = {0};
        if (db_query(admin, 2000, "SELECT $1", DB_PARAMS(nasty[i]), &r, &err) < 0) fail_msg("%s", err.msg);
        assert_string_equal(db_cell(&r, 0, 0), nasty[i]);
        db_rows_free(&r);
    }
}

static void slow_statement_ends_at_its_limit(void **state)
{
    (void)state;
    err_t err = {0};
    db_t *db = db_open(&target.db, "contract", 3000, &err);
    assert_non_null(db);
    uint64_t from = clock_ms();
    const char *sql = db_family(db) == DB_PGSQL ? "SELECT pg_sleep(5)" : "SELECT SLEEP(5)";
    assert_int_equal(db_query(db, 500, sql, DB_NONE, NULL, &err), -1);
    assert_int_equal(err.id, ERR_DB_TIMEOUT);
    assert_in_range(clock_ms() - from, 450, 1500);
    assert_true(db_is_lost(db));
    db_close(&db);
    assert_in_range(clock_ms() - from, 450, 1500);
}

int main(int argc, char **argv)
{
    err_t err = {0};
    if (argc != 2 || target_load(argv[1], &target, &err) < 0) {
        fprintf(stderr, "usage: contract_lease RUN_DIR: %s\n", err.msg);
        return 64;
    }
    admin = db_open(&target.db, "contract", 3000, &err);
    if (!admin) {
        fprintf(stderr, "%s: %s\n", err_name(err.id), err.msg);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_is_private),
        cmocka_unit_test(one_of_two_wins),
        cmocka_unit_test(purposes_are_independent),
        cmocka_unit_test(prefixes_are_independent),
        cmocka_unit_test(holder_killed),
        cmocka_unit_test(other_server_means_the_whole_grace),
        cmocka_unit_test(session_ended_by_administrator),
        cmocka_unit_test(relock_refused_after_another_led),
        cmocka_unit_test(beat_without_the_lock_fails),
        cmocka_unit_test(idle_session_loses_the_lock),
        cmocka_unit_test(epoch_is_compare_and_set),
        cmocka_unit_test(lost_race_for_the_epoch),
        cmocka_unit_test(row_edited_by_hand),
        cmocka_unit_test(row_locked_by_somebody),
        cmocka_unit_test(work_session_evicted),
        cmocka_unit_test(lost_raise_is_survived),
        cmocka_unit_test(stale_leader_evicted),
        cmocka_unit_test(attempts_and_pauses_are_kept),
        cmocka_unit_test(moodle_locks_do_not_meet_ours),
        cmocka_unit_test(values_are_quoted),
        cmocka_unit_test(slow_statement_ends_at_its_limit),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    db_close(&admin);
    target_free(&target);
    return rc;
}
