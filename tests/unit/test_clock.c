/* links: base */
#include "base/clock.h"
#include "test.h"

static void steps_of_the_wall_clock(void **state)
{
    (void)state;
    clock_watch_t w = {0};
    const uint64_t wall = 1700000000000;
    assert_int_equal(clock_watch(&w, 1000, wall), 0); /* the first look knows nothing */
    assert_int_equal(clock_watch(&w, 2000, wall + 1000), 0);
    assert_int_equal(clock_watch(&w, 3000, wall + 2900), 0);           /* slewed, not set */
    assert_int_equal(clock_watch(&w, 93000, wall + 92900), 0);         /* both went on while we slept */
    assert_int_equal(clock_watch(&w, 94000, wall + 3693900), 3600000); /* an hour forward */
    assert_int_equal(clock_watch(&w, 95000, wall + 94900), -3600000);  /* and back */
    assert_int_equal(clock_watch(&w, 96000, wall + 95900), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_of_the_wall_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
