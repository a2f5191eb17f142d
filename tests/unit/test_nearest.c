/* links: base */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t d;
    } ROWS[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"status", "status", 0},
        {"stauts", "status", 1},
        {"STATUS", "status", 0},
        {"statu", "status", 1},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3}, /* swapped neighbours are not edited again */
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_int_equal(nearest_distance(ROWS[i].a, ROWS[i].b), ROWS[i].d);
        assert_int_equal(nearest_distance(ROWS[i].b, ROWS[i].a), ROWS[i].d);
    }
}

static void long_words_are_near_nothing(void **state)
{
    (void)state;
    char word[NEAREST_MAX + 2];
    memset(word, 'x', sizeof word);
    word[NEAREST_MAX] = '\0';
    assert_int_equal(nearest_distance(word, word), 0);
    word[NEAREST_MAX] = 'x';
    word[NEAREST_MAX + 1] = '\0';
    assert_true(nearest_distance(word, "x") == SIZE_MAX);
    assert_false(nearest_is_near(word, SIZE_MAX));
}

static void short_words_allow_one_slip(void **state)
{
    (void)state;
    assert_true(nearest_is_near("run", 1));
    assert_false(nearest_is_near("run", 2));
    assert_true(nearest_is_near("MOODLE_DATABASE_HOTS", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(long_words_are_near_nothing),
        cmocka_unit_test(short_words_allow_one_slip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
