/* links: supervisor base */
#include "supervisor/restart.h"
#include "test.h"

static void test_first_death_starts_at_once(void **state)
{
    (void)state;
    restart_t r;
    restart_init(&r, 5, 60000);
    assert_true(restart_note_death(&r, 100000, 50000));
    assert_int_equal(restart_delay_ms(&r, 0), 0);
}

static void test_delay_doubles_to_its_limit(void **state)
{
    (void)state;
    restart_t r;
    restart_init(&r, 0, 0);
    const uint64_t want[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_true(restart_note_death(&r, 1000 * i, 10));
        assert_int_equal(restart_delay_ms(&r, 0), want[i]);
        assert_in_range(restart_delay_ms(&r, 999), want[i], want[i] + want[i] / 4);
    }
    restart_note_death(&r, 99000, RESTART_RESET_MS); /* it ran well: begins anew */
    assert_int_equal(restart_delay_ms(&r, 0), 0);
}

static void test_tries_are_used_up_within_the_window_only(void **state)
{
    (void)state;
    restart_t r;
    restart_init(&r, 3, 60000);
    assert_true(restart_note_death(&r, 1000, 10));
    assert_true(restart_note_death(&r, 2000, 10));
    assert_false(restart_note_death(&r, 3000, 10));
    restart_init(&r, 3, 60000);
    assert_true(restart_note_death(&r, 1000, 10));
    assert_true(restart_note_death(&r, 40000, 10));
    assert_true(restart_note_death(&r, 62000, 10)); /* the first is 61 s ago */
    assert_false(restart_note_death(&r, 63000, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_death_starts_at_once),
        cmocka_unit_test(test_delay_doubles_to_its_limit),
        cmocka_unit_test(test_tries_are_used_up_within_the_window_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
