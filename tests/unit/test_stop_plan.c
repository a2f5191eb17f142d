/* links: base */
#include "base/stop_plan.h"
#include "test.h"

static void assert_ends(const stop_plan_t *p, uint64_t lame, uint64_t quiesce, uint64_t finish,
                        uint64_t sweep, uint64_t end)
{
    const uint64_t want[SP_COUNT_] = {lame, quiesce, finish, sweep, end};
    for (int i = 0; i < SP_COUNT_; i++) assert_int_equal(p->end_ms[i], want[i]);
}

static void test_the_budget_is_shared_out(void **state)
{
    (void)state;
    stop_plan_t p = stop_plan_make(30000, 5000);
    assert_ends(&p, 5000, 27000, 28000, 29000, 30000);
    assert_int_equal(stop_plan_length(&p, SP_LAME), 5000);
    assert_int_equal(stop_plan_length(&p, SP_QUIESCE), 22000);
    assert_int_equal(stop_plan_left(&p, SP_QUIESCE, 26900), 100);
    assert_int_equal(stop_plan_left(&p, SP_QUIESCE, 27001), 0);
    p = stop_plan_make(120000, 20000);
    assert_ends(&p, 20000, 117000, 118000, 119000, 120000);
}

static void test_a_small_budget_has_small_parts(void **state)
{
    (void)state;
    stop_plan_t p = stop_plan_make(
        2000, 300000); /* the least that MOODLECTL_STOP_TIMEOUT may be, the most of a lame duck */
    assert_ends(&p, 1000, 1400, 1600, 1800, 2000);
    p = stop_plan_make(2000, 0);
    assert_ends(&p, 0, 1400, 1600, 1800, 2000);
}

static void test_any_budget_is_in_order_and_used_up(void **state)
{
    (void)state;
    for (uint64_t budget = 2000; budget <= 600000; budget += 1777)
        for (uint64_t lame = 0; lame <= 300000; lame += 2999) {
            stop_plan_t p = stop_plan_make(budget, lame);
            assert_int_equal(p.end_ms[SP_MARGIN], budget);
            assert_true(p.end_ms[SP_LAME] <= lame && p.end_ms[SP_LAME] <= budget / 2);
            for (int i = 1; i < SP_COUNT_; i++) assert_true(p.end_ms[i] > p.end_ms[i - 1]);
        }
}

static void test_hurry_and_kill_never_give_more_time(void **state)
{
    (void)state;
    stop_plan_t p = stop_plan_make(30000, 5000), h = stop_plan_hurry(&p, 1000);
    assert_ends(&h, 1000, 3000, 3500, 4000, 4500);
    h = stop_plan_hurry(&p, 26500); /* nearly over: nothing changes */
    assert_ends(&h, 5000, 27000, 28000, 29000, 30000);
    h = stop_plan_kill(&p, 1234);
    assert_ends(&h, 1234, 1234, 1234, 1234, 30000);
    for (uint64_t gone = 0; gone < 40000; gone += 333) {
        h = stop_plan_hurry(&p, gone);
        for (int i = 0; i < SP_COUNT_; i++) {
            assert_true(h.end_ms[i] <= p.end_ms[i]);
            assert_true(i == 0 || h.end_ms[i] >= h.end_ms[i - 1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_budget_is_shared_out),
                                       cmocka_unit_test(test_a_small_budget_has_small_parts),
                                       cmocka_unit_test(test_any_budget_is_in_order_and_used_up),
                                       cmocka_unit_test(test_hurry_and_kill_never_give_more_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
