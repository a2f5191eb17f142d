/* links: supervisor base */
/* Stuck or busy: told by what moves while a ping waits. */
#include "supervisor/fpm_watch.h"
#include "test.h"
#include <string.h>

static void test_nothing_waits(void **state)
{
    (void)state;
    fpm_progress_t p = {.accepted = -1};
    assert_int_equal(fpm_progress_still_ms(&p, 1000000), 0);
    fpm_progress_waits(&p, 1000);
    fpm_progress_answered(&p);
    assert_int_equal(fpm_progress_still_ms(&p, 1000000), 0);
}

static void test_a_full_one_moves(void **state)
{
    (void)state;
    fpm_progress_t p = {.accepted = -1};
    for (uint64_t now = 1000, n = 7; now <= 600000; now += 1000, n += now % 100000 == 0) {
        fpm_progress_waits(&p, now); /* for ten minutes, and a worker takes a connection every 100 s */
        fpm_progress_accepted(&p, (long long)n, now);
        assert_in_range(fpm_progress_still_ms(&p, now), 0, 100000);
    }
    assert_int_equal(p.waiting_ms, 1000);
}

static void test_a_stuck_one_does_not(void **state)
{
    (void)state;
    fpm_progress_t p = {.accepted = -1};
    for (uint64_t now = 5000; now <= 300000; now += 5000) {
        fpm_progress_waits(&p, now);
        fpm_progress_accepted(&p, 42, now);
        assert_int_equal(fpm_progress_still_ms(&p, now), now - 5000);
    }
    fpm_progress_accepted(&p, -1, 300000); /* a status that cannot be read is no sign of life */
    assert_int_equal(fpm_progress_still_ms(&p, 300000), 295000);
    fpm_progress_accepted(&p, 1, 300000); /* fewer than before: it was started anew */
    assert_int_equal(fpm_progress_still_ms(&p, 300000), 0);
}

static void test_the_status_is_read(void **state)
{
    (void)state;
    static const char status[] = "{\"pool\":\"moodle\",\"accepted conn\":1234,\"listen queue\":0}";
    assert_int_equal(fpm_accepted(status, strlen(status)), 1234);
    assert_int_equal(fpm_accepted("<html>", 6), -1);
    assert_int_equal(fpm_accepted("{}", 2), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_waits),
        cmocka_unit_test(test_a_full_one_moves),
        cmocka_unit_test(test_a_stuck_one_does_not),
        cmocka_unit_test(test_the_status_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
