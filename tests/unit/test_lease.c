/* links: coord base */
#include "coord/lease.h"
#include "coord/lease_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void keys_are_what_the_protocol_says(void **state)
{
    (void)state;
    lease_keys_t d, c;
    lease_keys_make("moodle", "mdl_", PURPOSE_DEPLOY, &d);
    lease_keys_make("moodle", "mdl_", PURPOSE_CRON, &c);
    /* printf 'moodle\0mdl_' | sha256sum */
    assert_string_equal(d.lead, "msup.54a6bcfe810b6f4ce011e3726fda4dd71c944eef.deploy.lead");
    assert_int_equal(d.key1, (int32_t)(0x54a6bcfeU >> 1));
    assert_int_equal(d.lead2, 0x40000001);
    assert_int_equal(d.work2, 0x40000011);
    assert_int_equal(c.lead2, 0x40000002);
    assert_int_equal(c.work2, 0x40000012);
    assert_true(strlen(d.work) <= 57);
}

/* Moodle's second key has 28 bits (lib/classes/lock/postgres_lock_factory.php): bit 30 is out of its reach. */
static void keys_cannot_be_moodles(void **state)
{
    (void)state;
    static const char *const names[] = {"moodle", "m1", "",
                                        "a-very-long-database-name-0123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lease_keys_t k;
        lease_keys_make(names[i], "mdl_", PURPOSE_CRON, &k);
        assert_true(k.key1 >= 0); /* pg_locks prints it unsigned */
        assert_true(k.lead2 > 0x0fffffff && k.work2 > 0x0fffffff);
        assert_true(strncmp(k.lead, "msup.", 5) == 0 && strlen(k.lead) < 64);
        assert_null(strpbrk(k.lead, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")); /* MySQL folds case, MariaDB does not */
    }
}

static void sites_have_keys_of_their_own(void **state)
{
    (void)state;
    lease_keys_t a, b, c, d;
    lease_keys_make("moodle", "mdl_", PURPOSE_DEPLOY, &a);
    lease_keys_make("moodle", "mdl2_", PURPOSE_DEPLOY, &b);
    lease_keys_make("moodlemdl_", "", PURPOSE_DEPLOY, &c);
    lease_keys_make("MOODLE", "mdl_", PURPOSE_DEPLOY, &d);
    assert_string_not_equal(a.lead, b.lead);
    assert_string_not_equal(a.lead, c.lead);
    assert_string_equal(a.lead, d.lead);
    assert_string_not_equal(a.lead, a.work);
}

static void tables_never_begin_with_the_prefix(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"mdl_",      "s",     "su", "sup", "sup_", "sup_c",
                                           "sup_coord", "sup_r", "x",  "x_",  "m"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        db_names_t n;
        size_t len = strlen(prefixes[i]);
        lease_names_make(prefixes[i], &n);
        assert_true(strncmp(n.coord, prefixes[i], len) != 0);
        assert_true(strncmp(n.run, prefixes[i], len) != 0);
        assert_string_equal(n.mdl, prefixes[i]);
    }
}

static void times_keep_their_rules(void **state)
{
    (void)state;
    for (int percent = 20; percent <= 1000; percent += 7) {
        lease_times_t t;
        lease_times_make(percent, &t);
        assert_true(t.deadline >= 3 * t.heartbeat + t.kill);
        assert_true(t.idle >= t.deadline + t.kill);
        assert_true(t.grace >= t.deadline + t.kill);
        assert_true(t.evict >= t.idle + 5000 * (uint64_t)percent / 100);
        assert_true(t.statement < t.deadline && t.lock < t.statement);
        assert_int_equal(t.idle % 1000, 0);
    }
}

static void grace(void **state)
{
    (void)state;
    lease_t l;
    lease_init(&l, PURPOSE_DEPLOY, "mdl_", "a#1", 100);
    l.claimed_ms = 50000;
    snprintf(l.server_id, sizeof l.server_id, "h/5432/100");
    snprintf(l.prev.server_id, sizeof l.prev.server_id, "h/5432/100");
    snprintf(l.prev.phase, sizeof l.prev.phase, "released");
    assert_int_equal(lease_grace_left(&l, 50000), 0);
    snprintf(l.prev.phase, sizeof l.prev.phase, "running");
    l.prev.age_ms = 3000;
    assert_int_equal(lease_grace_left(&l, 50000), 5000);
    assert_int_equal(lease_grace_left(&l, 54000), 1000);
    assert_int_equal(lease_grace_left(&l, 55000), 0);
    l.prev.age_ms = 25000; /* the latest takeover after a cut: idle timeout and cron's poll */
    assert_int_equal(lease_grace_left(&l, 50000), 0);
    l.prev.age_ms = 3600000; /* the clock went forward, or nobody was there for long */
    assert_int_equal(lease_grace_left(&l, 50000), 8000);
    l.prev.age_ms = -3600000; /* the database's clock went back */
    assert_int_equal(lease_grace_left(&l, 50000), 8000);
    l.prev.age_ms = 3000;
    snprintf(
        l.prev.server_id, sizeof l.prev.server_id,
        "h/5432/90"); /* another server: its ages mean nothing, and what it says may be older than a lost raise */
    assert_int_equal(lease_grace_left(&l, 50000), 8000);
    snprintf(l.prev.phase, sizeof l.prev.phase, "released");
    assert_int_equal(lease_grace_left(&l, 50000), 8000);
    l.prev.server_id[0] = '\0'; /* a new row */
    assert_int_equal(lease_grace_left(&l, 50000), 0);
}

/* Looks beside the heartbeats must not make them late. */
static void slow_databases_are_asked_less(void **state)
{
    (void)state;
    lease_t l = {.deadline_ms = 107000, .took_ms = 5};
    assert_true(lease_has_time(&l, 12, 100000));
    l.took_ms = 500;
    assert_true(lease_has_time(&l, 12, 100000));
    assert_false(lease_has_time(&l, 12, 101000));
    l.took_ms = 2500;
    assert_false(lease_has_time(&l, 12, 100000));
}

/* evict is 15 s; the row never changes unless a line says so */
static void a_leader_is_stale_by_two_clocks(void **state)
{
    (void)state;
    lease_t l;
    lease_busy_t busy = {0};
    lease_row_t row = {.exists = true, .epoch = 7, .phase = "running", .age_ms = 3600000};
    lease_init(&l, PURPOSE_CRON, "mdl_", "a#1", 100);
    assert_false(lease_is_stale(&l, &busy, &row, 100000)); /* a first look: perhaps it is being claimed */
    assert_false(lease_is_stale(&l, &busy, &row, 110000));
    row.age_ms = 14999;
    assert_false(lease_is_stale(&l, &busy, &row, 115000)); /* it lives */
    row.age_ms = 15000;
    assert_true(lease_is_stale(&l, &busy, &row, 115000));
    row.epoch = 8;
    assert_false(lease_is_stale(&l, &busy, &row, 116000)); /* another leader */
    assert_false(lease_is_stale(&l, &busy, &row, 131000)); /* not looked for long: anything may have been */
    assert_false(lease_is_stale(&l, &busy, &row, 145000));
    assert_true(lease_is_stale(&l, &busy, &row, 146000));
    l.purpose = PURPOSE_DEPLOY;
    assert_false(lease_is_stale(&l, &busy, &row, 147000));
}

/* Found by tests/model: whoever freezes between the lock and the claim leaves a row that is released. */
static void a_lock_without_a_claim_is_stale(void **state)
{
    (void)state;
    lease_t l;
    lease_busy_t busy = {0};
    lease_row_t row = {.exists = true, .epoch = 7, .phase = "released"}, none = {0};
    lease_init(&l, PURPOSE_DEPLOY, "mdl_", "a#1", 100);
    assert_false(lease_is_stale(&l, &busy, &row, 100000));
    assert_false(lease_is_stale(&l, &busy, &row, 114000));
    assert_true(lease_is_stale(&l, &busy, &row, 115000));
    assert_false(lease_is_stale(&l, &busy, &none, 115000)); /* not even the tables are there */
    assert_false(lease_is_stale(&l, &busy, &none, 129000));
    assert_true(lease_is_stale(&l, &busy, &none, 130000));
}

static void server_identity(void **state)
{
    (void)state;
    assert_true(lease_same_server("h/3306/100", "h/3306/102")); /* MySQL tells its start only to the second */
    assert_false(lease_same_server("h/3306/100", "h/3306/103"));
    assert_false(lease_same_server("h/3306/100", "i/3306/100"));
    assert_false(lease_same_server("", ""));
}

static void holder_is_random(void **state)
{
    (void)state;
    char a[129], b[129];
    lease_holder_make("member", a, sizeof a);
    lease_holder_make("member", b, sizeof b);
    assert_true(strncmp(a, "member#", 7) == 0);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_what_the_protocol_says),
        cmocka_unit_test(keys_cannot_be_moodles),
        cmocka_unit_test(sites_have_keys_of_their_own),
        cmocka_unit_test(tables_never_begin_with_the_prefix),
        cmocka_unit_test(times_keep_their_rules),
        cmocka_unit_test(grace),
        cmocka_unit_test(a_leader_is_stale_by_two_clocks),
        cmocka_unit_test(slow_databases_are_asked_less),
        cmocka_unit_test(a_lock_without_a_claim_is_stale),
        cmocka_unit_test(server_identity),
        cmocka_unit_test(holder_is_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
