/* links: coord base */
#include "coord/moodle_version.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"2024100706", 202410070600},    {"2024100704.07", 202410070407},
                {"2022112800.01", 202211280001}, {"2024100706.1", 202410070610},
                {"2024100706.00", 202410070600}, {"0", 0}};
    static const char *const bad[] = {"",   ".",  "1.", ".5",   "1.234", "1e5",
                                      " 1", "1 ", "-1", "0x10", "1.2.3", "9999999999999999"};
    int64_t v;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(moodle_version_parse(good[i].text, &v));
        assert_int_equal(v, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(moodle_version_parse(bad[i], &v));
}

/* As doubles the two would be the same to some printers; as numbers they must be in order. */
static void orders(void **state)
{
    (void)state;
    static const char *const rising[] = {"2022112800", "2022112800.01", "2022112800.1", "2022112801",
                                         "2024100706"};
    int64_t last = -1, v;
    for (size_t i = 0; i < sizeof rising / sizeof *rising; i++) {
        assert_true(moodle_version_parse(rising[i], &v));
        assert_true(v > last);
        last = v;
    }
}

static void formats(void **state)
{
    (void)state;
    char buf[32];
    moodle_version_format(202410070600, buf, sizeof buf);
    assert_string_equal(buf, "2024100706");
    moodle_version_format(202410070407, buf, sizeof buf);
    assert_string_equal(buf, "2024100704.07");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parses), cmocka_unit_test(orders),
                                       cmocka_unit_test(formats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
