/* links: supervisor base */
#include "supervisor/ring.h"
#include "test.h"
#include <stdio.h>
#include <string.h>

static void test_first_in_first_out_and_memory_given_back(void **state)
{
    (void)state;
    ring_t r;
    char out[64];
    ring_init(&r, 1 << 20);
    for (int turn = 0; turn < 3; turn++) {
        for (uint64_t i = 0; i < 5000; i++) {
            char line[32];
            int n = snprintf(line, sizeof line, "line %llu", (unsigned long long)i);
            ring_push(&r, i, 3, line, (size_t)n);
        }
        for (uint64_t i = 0; i < 5000; i++) {
            assert_int_equal(ring_next_seq(&r), i);
            size_t n = ring_pop(&r, out, sizeof out);
            char want[32];
            assert_int_equal(n, snprintf(want, sizeof want, "line %llu", (unsigned long long)i));
            assert_memory_equal(out, want, n);
        }
        assert_true(ring_is_empty(&r));
        assert_null(r.data);
    }
    assert_int_equal(ring_take_dropped(&r, 3), 0);
}

static void test_the_oldest_go_and_are_counted(void **state)
{
    (void)state;
    ring_t r;
    char line[1000], out[1000];
    memset(line, 'a', sizeof line);
    ring_init(&r, 64 * 1024);
    for (uint64_t i = 0; i < 1000; i++) ring_push(&r, i, 3, line, sizeof line);
    uint64_t lost = ring_take_dropped(&r, 3), left = 0;
    assert_int_equal(ring_next_seq(&r), lost);
    while (ring_pop(&r, out, sizeof out)) left++;
    assert_int_equal(lost + left, 1000);
    assert_in_range(left, 60, 65);
}

static void test_a_line_that_never_fits_is_counted(void **state)
{
    (void)state;
    ring_t r;
    static char line[2048];
    ring_init(&r, 1024);
    ring_push(&r, 1, 3, line, sizeof line);
    assert_true(ring_is_empty(&r));
    assert_int_equal(ring_take_dropped(&r, 3), 1);
    ring_push(&r, 2, 3, "ok", 2);
    assert_int_equal(ring_pop(&r, line, 1), 0); /* no room: stays */
    assert_int_equal(ring_pop(&r, line, 2), 2);
    ring_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out_and_memory_given_back),
        cmocka_unit_test(test_the_oldest_go_and_are_counted),
        cmocka_unit_test(test_a_line_that_never_fits_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
