/* links: bootstrap base */
#include "bootstrap/rotate_pace.h"
#include "tests/unit/test.h"

static void polls_at_its_interval(void **state)
{
    (void)state;
    rotate_pace_t p = {.interval_ms = 300000};
    assert_int_equal(rotate_pace_delay_ms(&p), 300000);
    rotate_pace_note(&p, true);
    assert_int_equal(rotate_pace_delay_ms(&p), 300000);
}

static void retries_grow_and_end_in_the_interval(void **state)
{
    (void)state;
    static const uint64_t want[] = {2000, 4000, 8000, 16000, 32000, 64000, 300000, 300000};
    rotate_pace_t p = {.interval_ms = 300000};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        rotate_pace_note(&p, false);
        assert_int_equal(rotate_pace_delay_ms(&p), want[i]);
    }
    rotate_pace_note(&p, true);
    assert_int_equal(rotate_pace_delay_ms(&p), 300000);
}

static void a_retry_is_never_later_than_the_poll(void **state)
{
    (void)state;
    rotate_pace_t p = {.interval_ms = 1000};
    rotate_pace_note(&p, false);
    assert_int_equal(rotate_pace_delay_ms(&p), 1000);
}

static void the_first_suspicion_is_believed_at_once(void **state)
{
    (void)state;
    rotate_pace_t p = {.interval_ms = 300000};
    assert_false(rotate_pace_look_due(&p, 1000));
    rotate_pace_suspect(&p, 1000);
    assert_true(rotate_pace_look_due(&p, 1000));
}

/* A page that always ends with 500 for another reason must not make us log in at the database for every request. */
static void wrong_suspicions_are_looked_at_more_and_more_seldom(void **state)
{
    (void)state;
    rotate_pace_t p = {.interval_ms = 300000};
    unsigned looks = 0;
    for (uint64_t now = 1000; now < 601000; now += 100) {
        rotate_pace_suspect(&p, now);
        if (!rotate_pace_look_due(&p, now)) continue;
        rotate_pace_looked(&p, now, false);
        looks++;
    }
    assert_in_range(looks, 10, 16);
}

static void a_right_suspicion_keeps_the_next_one_quick(void **state)
{
    (void)state;
    rotate_pace_t p = {.interval_ms = 300000};
    rotate_pace_suspect(&p, 1000);
    rotate_pace_looked(&p, 1000, true);
    rotate_pace_suspect(&p, 1100);
    assert_true(rotate_pace_look_due(&p, 1100));
}

static void an_old_wrong_suspicion_is_forgotten(void **state)
{
    (void)state;
    rotate_pace_t p = {.interval_ms = 300000};
    rotate_pace_suspect(&p, 1000);
    rotate_pace_looked(&p, 1000, false);
    rotate_pace_suspect(&p, 1100);
    assert_false(rotate_pace_look_due(&p, 1100));
    assert_true(rotate_pace_look_due(&p, 1000 + ROTATE_LOOK_MS));
    rotate_pace_looked(&p, 3000, false);
    rotate_pace_suspect(&p, 3000 + 4 * 4000);
    assert_true(rotate_pace_look_due(&p, 3000 + 4 * 4000));
}

static void no_suspicion_hurries_a_retry(void **state)
{
    (void)state;
    rotate_pace_t p = {.interval_ms = 300000};
    rotate_pace_note(&p, false);
    rotate_pace_suspect(&p, 1000);
    assert_false(rotate_pace_look_due(&p, 100000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polls_at_its_interval),
        cmocka_unit_test(retries_grow_and_end_in_the_interval),
        cmocka_unit_test(a_retry_is_never_later_than_the_poll),
        cmocka_unit_test(the_first_suspicion_is_believed_at_once),
        cmocka_unit_test(wrong_suspicions_are_looked_at_more_and_more_seldom),
        cmocka_unit_test(a_right_suspicion_keeps_the_next_one_quick),
        cmocka_unit_test(an_old_wrong_suspicion_is_forgotten),
        cmocka_unit_test(no_suspicion_hurries_a_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
