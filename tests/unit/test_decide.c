/* links: coord base */
#include "coord/decide.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { OWN = 200 };

typedef enum { E, P, I } kind_t; /* empty, partial, installed */
typedef struct row {
    const char *name;
    kind_t kind;
    int version;      /* of the database; own code is 200 */
    const char *hash; /* own is "h" */
    const char *action;
    run_result_t result;
    const char *
        flags; /* a alive, t ours (target), o was ours, s served, f forced, n install never, m upgrade manual, x no install settings,
                          u upgradderunning set, b big (people have worked here), 1 one failure 2 two 6 six interruptions, w back-off */
    decide_verdict_t verdict;
    err_id_t id;
} row_t;

static const row_t ROWS[] = {
    {"empty", E, 0, "", "", RUN_NONE, "", DECIDE_INSTALL, ERR_NONE},
    {"empty, never", E, 0, "", "", RUN_NONE, "n", DECIDE_HOLD, ERR_INSTALL_OFF},
    {"empty, no settings", E, 0, "", "", RUN_NONE, "x", DECIDE_HOLD, ERR_INSTALL_SETTINGS},
    {"empty, never, another installs", E, 0, "", "install", RUN_RUNNING, "na", DECIDE_WAIT, ERR_LOCK_BUSY},
    {"empty after a failure", E, 0, "", "install", RUN_FAILED, "1", DECIDE_INSTALL, ERR_NONE},
    {"empty in the pause", E, 0, "", "install", RUN_FAILED, "1w", DECIDE_WAIT, ERR_JOB_FAILED},
    {"empty in the pause, told to", E, 0, "", "install", RUN_FAILED, "1wf", DECIDE_INSTALL, ERR_NONE},
    {"empty, used up", E, 0, "", "install", RUN_FAILED, "2", DECIDE_HOLD, ERR_BLOCKED},
    {"empty, interrupted too often", E, 0, "", "install", RUN_INTERRUPTED, "6", DECIDE_HOLD, ERR_BLOCKED},
    {"empty, used up, told to", E, 0, "", "install", RUN_FAILED, "2f", DECIDE_INSTALL, ERR_NONE},
    {"empty, used up, somebody told to works", E, 0, "", "install", RUN_RUNNING, "2a", DECIDE_INSTALL,
     ERR_NONE},
    {"partial, not ours", P, 0, "", "", RUN_NONE, "", DECIDE_HOLD, ERR_HALF_INSTALLED},
    {"partial, after an upgrade of ours", P, 0, "", "upgrade", RUN_FAILED, "", DECIDE_HOLD,
     ERR_HALF_INSTALLED},
    {"partial after an install that went well", P, 0, "", "install", RUN_OK, "", DECIDE_HOLD,
     ERR_HALF_INSTALLED},
    {"partial, ours", P, 0, "", "install", RUN_INTERRUPTED, "", DECIDE_CLEAN_INSTALL, ERR_NONE},
    {"partial, ours, somebody works", P, 0, "", "install", RUN_RUNNING, "a", DECIDE_CLEAN_INSTALL, ERR_NONE},
    {"partial, ours, people in it", P, 0, "", "install", RUN_INTERRUPTED, "b", DECIDE_HOLD,
     ERR_HALF_INSTALLED},
    {"partial, ours, never", P, 0, "", "install", RUN_INTERRUPTED, "n", DECIDE_HOLD, ERR_INSTALL_OFF},
    {"current", I, OWN, "h", "install", RUN_OK, "", DECIDE_CURRENT, ERR_NONE},
    {"current, no history", I, OWN, "h", "", RUN_NONE, "", DECIDE_CURRENT, ERR_NONE},
    {"current, install not proven", I, OWN, "h", "install", RUN_INTERRUPTED, "", DECIDE_CLEAN_INSTALL,
     ERR_NONE},
    {"current, a restored site after a failed install", I, OWN, "h", "install", RUN_FAILED, "b",
     DECIDE_CURRENT, ERR_NONE},
    {"current while another upgrades", I, OWN, "h", "upgrade", RUN_RUNNING, "a", DECIDE_FINISH,
     ERR_LOCK_BUSY},
    {"current while another upgrades without outage", I, OWN, "h", "upgrade-live", RUN_RUNNING, "a",
     DECIDE_CURRENT, ERR_NONE},
    {"current after a leader vanished", I, OWN, "h", "upgrade-live", RUN_RUNNING, "", DECIDE_FINISH,
     ERR_LOCK_BUSY},
    {"current after a failed upgrade of others", I, OWN, "h", "upgrade", RUN_FAILED, "", DECIDE_CURRENT,
     ERR_NONE},
    {"current, our upgrade was interrupted", I, OWN, "h", "upgrade", RUN_INTERRUPTED, "t", DECIDE_FINISH,
     ERR_LOCK_BUSY},
    {"current, our upgrade without outage was interrupted", I, OWN, "h", "upgrade-live", RUN_INTERRUPTED, "t",
     DECIDE_FINISH, ERR_LOCK_BUSY},
    {"current, our upgrade failed in its last steps", I, OWN, "h", "upgrade", RUN_FAILED, "t1w",
     DECIDE_FINISH, ERR_LOCK_BUSY},
    {"current, others' upgrade was interrupted", I, OWN, "h", "upgrade", RUN_INTERRUPTED, "", DECIDE_CURRENT,
     ERR_NONE},
    {"newer database", I, OWN + 1, "x", "", RUN_NONE, "", DECIDE_HOLD, ERR_OLD_CODE},
    {"newer database, told to", I, OWN + 1, "x", "", RUN_NONE, "f", DECIDE_HOLD, ERR_OLD_CODE},
    {"newer database while another upgrades", I, OWN + 1, "x", "upgrade", RUN_RUNNING, "a", DECIDE_WAIT,
     ERR_LOCK_BUSY},
    {"newer database after a leader vanished", I, OWN + 1, "x", "upgrade", RUN_RUNNING, "", DECIDE_HOLD,
     ERR_OLD_CODE},
    {"older database", I, OWN - 1, "x", "install", RUN_OK, "", DECIDE_UPGRADE, ERR_NONE},
    {"older database, served before", I, OWN - 1, "x", "", RUN_NONE, "s", DECIDE_UPGRADE, ERR_NONE},
    {"older database, manual", I, OWN - 1, "x", "", RUN_NONE, "m", DECIDE_HOLD, ERR_UPGRADE_MANUAL},
    {"older database, manual, told to", I, OWN - 1, "x", "", RUN_NONE, "mf", DECIDE_UPGRADE, ERR_NONE},
    {"older database, manual, another works", I, OWN - 1, "x", "upgrade", RUN_RUNNING, "ma", DECIDE_WAIT,
     ERR_LOCK_BUSY},
    {"older database, a foreign upgrade runs", I, OWN - 1, "x", "install", RUN_OK, "u", DECIDE_WAIT,
     ERR_LOCK_BUSY},
    {"older database, our dead upgrade's flag", I, OWN - 1, "x", "upgrade", RUN_INTERRUPTED, "u",
     DECIDE_UPGRADE, ERR_NONE},
    {"older database, used up", I, OWN - 1, "x", "upgrade", RUN_FAILED, "2", DECIDE_HOLD, ERR_BLOCKED},
    {"other plugins at start", I, OWN, "x", "install", RUN_OK, "", DECIDE_UPGRADE, ERR_NONE},
    {"other plugins after serving", I, OWN, "x", "upgrade", RUN_OK, "s", DECIDE_HOLD, ERR_OTHER_CODE},
    {"other plugins, ours once", I, OWN, "x", "upgrade", RUN_OK, "o", DECIDE_HOLD, ERR_OTHER_CODE},
    {"other plugins, ours once, told to", I, OWN, "x", "upgrade", RUN_OK, "of", DECIDE_UPGRADE, ERR_NONE},
    {"other plugins, served, another works", I, OWN, "x", "upgrade", RUN_RUNNING, "sa", DECIDE_WAIT,
     ERR_LOCK_BUSY},
    {"no hash: killed half-way", I, OWN, "", "upgrade", RUN_INTERRUPTED, "u", DECIDE_UPGRADE, ERR_NONE},
};

static bool has(const row_t *r, char c) { return strchr(r->flags, c) != NULL; }

static decide_in_t input(const row_t *r)
{
    decide_in_t in = {
        .schema = {.kind = r->kind == E   ? SCHEMA_EMPTY
                           : r->kind == P ? SCHEMA_PARTIAL
                                          : SCHEMA_INSTALLED,
                   .version = r->version,
                   .has_version = r->kind == I,
                   .small = !has(r, 'b'),
                   .upgrade_flag = has(r, 'u')},
        .history = {.result = r->result,
                    .alive = has(r, 'a'),
                    .ours = has(r, 't'),
                    .was_ours = has(r, 'o'),
                    .failed = has(r, '2')   ? 2
                              : has(r, '1') ? 1
                                            : 0,
                    .interrupted = has(r, '6') ? 6 : 0,
                    .backoff_ms = has(r, 'w') ? 1000 : 0},
        .code_version = OWN,
        .code_hash = "h",
        .install_auto = !has(r, 'n'),
        .upgrade_auto = !has(r, 'm'),
        .install_settings = !has(r, 'x'),
        .forced = has(r, 'f'),
        .served = has(r, 's'),
    };
    snprintf(in.schema.hash, sizeof in.schema.hash, "%s", r->hash);
    snprintf(in.history.action, sizeof in.history.action, "%s", r->action);
    return in;
}

static void every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        decide_in_t in = input(&ROWS[i]);
        decide_out_t d = decide(&in);
        if (d.verdict != ROWS[i].verdict || d.id != ROWS[i].id)
            fail_msg("%s: %s %s, wanted %s %s", ROWS[i].name, decide_name(d.verdict), err_name(d.id),
                     decide_name(ROWS[i].verdict), err_name(ROWS[i].id));
        assert_non_null(d.why);
        if (d.verdict == DECIDE_HOLD) assert_int_not_equal(d.id, ERR_NONE);
    }
}

/* Over all inputs: what would be damage never comes out. */
static void what_never_happens(void **state)
{
    (void)state;
    static const char *const actions[] = {"", "install", "upgrade", "upgrade-live"};
    static const char *const hashes[] = {"", "h", "x"};
    for (unsigned bits = 0; bits < 1U << 9; bits++)
        for (int kind = SCHEMA_EMPTY; kind <= SCHEMA_INSTALLED; kind++)
            for (int v = OWN - 1; v <= OWN + 1; v++)
                for (int a = 0; a < 4; a++)
                    for (int r = RUN_NONE; r <= RUN_INTERRUPTED; r++)
                        for (int h = 0; h < 3; h++) {
                            decide_in_t in = {.schema = {.kind = (schema_kind_t)kind,
                                                         .version = v,
                                                         .small = bits & 1,
                                                         .upgrade_flag = bits & 2},
                                              .history = {.result = (run_result_t)r,
                                                          .alive = bits & 4,
                                                          .was_ours = bits & 8},
                                              .code_version = OWN,
                                              .code_hash = "h",
                                              .install_auto = bits & 16,
                                              .upgrade_auto = bits & 32,
                                              .install_settings = bits & 64,
                                              .forced = bits & 128,
                                              .served = bits & 256};
                            snprintf(in.schema.hash, sizeof in.schema.hash, "%s", hashes[h]);
                            snprintf(in.history.action, sizeof in.history.action, "%s", actions[a]);
                            decide_out_t d = decide(&in);
                            if (d.verdict == DECIDE_CLEAN_INSTALL) { /* drops tables */
                                assert_true(in.schema.small && a == 1 && r != RUN_OK);
                                assert_true(in.install_auto && in.install_settings);
                            }
                            if (d.verdict == DECIDE_UPGRADE)
                                assert_true(kind == SCHEMA_INSTALLED && v <= OWN);
                            if (d.verdict == DECIDE_CURRENT)
                                assert_true(kind == SCHEMA_INSTALLED && v == OWN && h == 1);
                            if (d.verdict == DECIDE_INSTALL)
                                assert_true(kind == SCHEMA_EMPTY && in.install_auto && in.install_settings);
                        }
}

static void backoff(void **state)
{
    (void)state;
    assert_int_equal(decide_backoff_ms(0, 0), 0);
    assert_int_equal(decide_backoff_ms(0, 1), 0); /* the first stop costs nothing */
    assert_int_equal(decide_backoff_ms(1, 0), 30000);
    assert_int_equal(decide_backoff_ms(0, 2), 30000);
    assert_int_equal(decide_backoff_ms(2, 0), 60000);
    assert_int_equal(decide_backoff_ms(1, 2), 60000);
    assert_int_equal(decide_backoff_ms(0, 6), 480000);
    assert_int_equal(decide_backoff_ms(50, 50), 900000);
}

static void result_names(void **state)
{
    (void)state;
    for (int r = RUN_NONE; r <= RUN_INTERRUPTED; r++)
        assert_int_equal(run_result_find(run_result_name((run_result_t)r)), r);
    assert_int_equal(run_result_find("a word of tomorrow"), RUN_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_row), cmocka_unit_test(what_never_happens),
                                       cmocka_unit_test(backoff), cmocka_unit_test(result_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
