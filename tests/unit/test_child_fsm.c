/* links: supervisor base */
#include "supervisor/child_fsm.h"
#include "supervisor/lifecycle_fsm.h"
#include "test.h"

static void test_every_child_cell_is_written(void **state)
{
    (void)state;
    for (int s = 0; s < CS_COUNT_; s++)
        for (int e = 0; e < CE_COUNT_; e++) {
            const child_step_t *step = child_fsm_step(s, e);
            if (step->why) continue;
            assert_int_equal(step->next, s); /* an ignored event changes nothing */
            assert_int_equal(step->actions, ACT_NONE);
        }
}

static void test_every_child_state_with_a_deadline_acts_on_it(void **state)
{
    (void)state;
    for (int s = 0; s < CS_COUNT_; s++) {
        bool has = child_fsm_deadline(s) != DL_NONE;
        if (s == CS_UP) continue; /* there it is child_bounce */
        assert_int_equal(has, child_fsm_step(s, CE_TIMEOUT)->why != NULL);
    }
}

/* From every state: asked to stop, with a process that dies only from SIGKILL, it comes to DOWN. */
static void test_stop_reaches_down_from_everywhere(void **state)
{
    (void)state;
    for (int s = 0; s < CS_COUNT_; s++) {
        child_state_t now = child_fsm_step(s, CE_STOP)->next;
        for (int i = 0; i < 4 && now != CS_DOWN; i++) {
            const child_step_t *step = child_fsm_step(now, CE_TIMEOUT);
            now = step->next;
            if (step->actions & ACT_KILL) now = child_fsm_step(now, CE_EXIT_AGAIN)->next;
        }
        assert_int_equal(now, CS_DOWN);
    }
}

static void test_no_way_around_the_backoff(void **state)
{
    (void)state;
    assert_int_equal(child_fsm_step(CS_UP, CE_EXIT_AGAIN)->next, CS_BACKOFF);
    assert_int_equal(child_fsm_step(CS_BACKOFF, CE_START)->next, CS_BACKOFF);
    for (int s = 0; s < CS_COUNT_; s++)
        for (int e = 0; e < CE_COUNT_; e++) {
            const child_step_t *step = child_fsm_step(s, e);
            if (step->actions & ACT_SPAWN) assert_true(s == CS_DOWN || (s == CS_BACKOFF && e == CE_TIMEOUT));
        }
}

static void test_names(void **state)
{
    (void)state;
    for (int s = 0; s < CS_COUNT_; s++) assert_non_null(child_state_name(s));
    for (int e = 0; e < CE_COUNT_; e++) assert_non_null(child_event_name(e));
    for (int p = 0; p < LP_COUNT_; p++) assert_non_null(lifecycle_phase_name(p));
    for (int e = 0; e < LE_COUNT_; e++) assert_non_null(lifecycle_event_name(e));
}

static void test_ignored_lifecycle_cells_stay(void **state)
{
    (void)state;
    for (int p = 0; p < LP_COUNT_; p++)
        for (int e = 0; e < LE_COUNT_; e++)
            if (!lifecycle_fsm_step(p, e)->why) assert_int_equal(lifecycle_fsm_step(p, e)->next, p);
}

static void test_a_stop_ends_in_exit_from_every_phase(void **state)
{
    (void)state;
    for (int p = 0; p < LP_EXIT; p++) {
        lifecycle_phase_t now = lifecycle_fsm_step(p, LE_STOP)->next;
        const lifecycle_event_t rest[] = {LE_DEADLINE, LE_FRONT_GONE, LE_BACK_GONE, LE_EMPTY};
        for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) now = lifecycle_fsm_step(now, rest[i])->next;
        assert_int_equal(now, LP_EXIT);
    }
}

static void test_urgency_only_rises(void **state)
{
    (void)state;
    for (int p = LP_LAME; p < LP_COUNT_; p++)
        for (int e = 0; e < LE_COUNT_; e++)
            assert_true(lifecycle_fsm_step(p, e)->next >= (lifecycle_phase_t)p);
}

static void test_php_runs_only_where_the_database_fits(void **state)
{
    (void)state;
    for (int p = 0; p < LP_COUNT_; p++) {
        bool may = p == LP_WARM || p == LP_SERVE || p == LP_LAME;
        assert_int_equal(lifecycle_fsm_want(p, SV_FPM) == WANT_RUN, may);
        assert_int_equal(lifecycle_fsm_want(p, SV_CRON) == WANT_RUN, p == LP_SERVE);
        assert_int_equal(lifecycle_fsm_want(p, SV_ADHOC), lifecycle_fsm_want(p, SV_CRON));
    }
    assert_int_equal(lifecycle_fsm_want(LP_HOLD, SV_FPM), WANT_OFF);
    assert_int_equal(lifecycle_fsm_want(LP_QUIESCE, SV_FPM), WANT_KEEP); /* nginx goes first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_child_cell_is_written),
        cmocka_unit_test(test_every_child_state_with_a_deadline_acts_on_it),
        cmocka_unit_test(test_stop_reaches_down_from_everywhere),
        cmocka_unit_test(test_no_way_around_the_backoff),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_ignored_lifecycle_cells_stay),
        cmocka_unit_test(test_a_stop_ends_in_exit_from_every_phase),
        cmocka_unit_test(test_urgency_only_rises),
        cmocka_unit_test(test_php_runs_only_where_the_database_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
