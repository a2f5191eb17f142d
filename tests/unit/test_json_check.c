/* links: base */
#include "base/json_check.h"
#include "test.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void test_objects_and_others(void **state)
{
    (void)state;
    static const char *const good[] = {"{}", "{ \"a\" : [ 1 , -0.5e+3 , true , false , null , { } , [ ] ] }",
                                       "{\"\\u00e9\\ud83d\\ude00\\\"\\\\\\/\\b\":\"\xc3\xa9\x7f\"}",
                                       "{\"status\":200,\"seconds\":0.001}"};
    static const char *const bad[] = {"",
                                      "{",
                                      "}",
                                      "[]",
                                      "{}}",
                                      "{\"a\":1}x",
                                      " {}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{\"a\":01}",
                                      "{\"a\":1.}",
                                      "{\"a\":.5}",
                                      "{\"a\":+1}",
                                      "{\"a\":1e}",
                                      "{\"a\":1e999}",
                                      "{\"a\":12345678901234567890}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":\"\\udc00\"}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\t\"}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":\"\xc0\x80\"}",
                                      "{\"a\":nul}",
                                      "{\"a\":[1 2]}",
                                      "{\"a\":1}\"}",
                                      "{\"a\":\"b}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(json_check_object(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(json_check_object(bad[i], strlen(bad[i])));
    char deep[200] = "{\"a\":";
    memset(deep + 5, '[', 70);
    memset(deep + 75, ']', 70);
    deep[145] = '}';
    assert_false(json_check_object(deep, strlen(deep)));
}

/* What it takes jansson takes, however a good text is changed. */
static void test_never_more_than_a_parser_takes(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1,-0.5e3,true,null,{\"b\\u00e9\\n\":\"\xc3\xa9x\"}],\"c\":\"\\ud83d\\ude00\"}",
                      bytes[] = "{}[]\",:\\u0e-.9tfn \x80\xff";
    unsigned taken = 0;
    srandom(11);
    for (int round = 0; round < 200000; round++) {
        char t[sizeof text];
        memcpy(t, text, sizeof t);
        for (long n = random() % 3; n >= 0; n--)
            t[(size_t)random() % (sizeof t - 1)] = bytes[(size_t)random() % sizeof bytes];
        if (!json_check_object(t, sizeof t - 1)) continue;
        json_t *o = json_loadb(t, sizeof t - 1, 0, NULL);
        assert_true(json_is_object(o));
        json_decref(o);
        taken++;
    }
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_objects_and_others),
                                       cmocka_unit_test(test_never_more_than_a_parser_takes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
