/* links: supervisor base */
#include "supervisor/cmd_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void expect(const char *json, bool colour, const char *const *lines)
{
    buf_t out = BUF_INIT;
    json_t *o = json_loads(json, 0, NULL);
    assert_non_null(o);
    cmd_status_text(o, colour, &out);
    for (; *lines; lines++)
        if (!strstr(buf_cstr(&out), *lines)) fail_msg("\"%s\" is not in:\n%s", *lines, buf_cstr(&out));
    json_decref(o);
    buf_free(&out);
}

static void serving(void **state)
{
    (void)state;
    static const char *const LINES[] = {"member    m1, release 4.5.6, moodlectl 0.1.0\n",
                                        "phase     SERVE for 1 h 1 min, ready\n",
                                        "database  current: it fits\n",
                                        "cron      runs on this member; last run ended with 0, 59.9 s ago; "
                                        "ad-hoc runner 2\n          last success 1.5 s ago, on m1\n",
                                        "  fpm       up        pid 12      for 1 min 0 s, started 3 times\n",
                                        NULL};
    expect(
        "{\"ok\":true,\"member\":\"m1\",\"version\":\"0.1.0\",\"release\":\"4.5.6\",\"phase\":\"SERVE\","
        "\"phase_ms\":3660000,"
        "\"ready\":true,\"state\":\"current\",\"reason\":\"it fits\",\"progress\":null,\"cron\":{\"enabled\":"
        "true,\"holder\":true,"
        "\"running\":true,\"last_exit\":0,\"last_end_age_ms\":59999,\"adhoc_runner\":2,\"success\":{\"by\":"
        "\"m1\",\"age_ms\":1500}},\"children\":[{\"name\":\"fpm\","
        "\"state\":\"up\",\"pid\":12,"
        "\"starts\":3,\"since_ms\":60000}]}",
        false, LINES);
}

static void held(void **state)
{
    (void)state;
    static const char *const LINES[] = {"phase     \033[31mHOLD\033[0m for 0.5 s, not ready\n",
                                        "reason    \033[31mE-OLD-CODE\033[0m: database 5, code 4\n",
                                        "cure      Deploy an image", NULL};
    expect("{\"phase\":\"HOLD\",\"phase_ms\":512,\"ready\":false,\"id\":\"E-OLD-CODE\",\"reason\":\"database "
           "5, code 4\"}",
           true, LINES);
}

static void another_works(void **state)
{
    (void)state;
    static const char *const LINES[] = {
        "progress  install by m2: mod_quiz (312 of 469), 1.0 s\n",
        "cron      switched off on this member\n          no success in the last 59.0 s\n", NULL};
    expect("{\"progress\":{\"phase\":\"install\",\"detail\":\"mod_quiz\",\"done\":312,\"total\":469,\"by\":"
           "\"m2\",\"elapsed_ms\":1000},"
           "\"cron\":{\"enabled\":false,\"holder\":false,\"running\":false,\"adhoc_runner\":null,"
           "\"success\":{\"by\":\"\",\"age_ms\":59000}}}",
           false, LINES);
}

static void hostile_words_do_not_steer_the_terminal(void **state)
{
    (void)state;
    buf_t out = BUF_INIT;
    json_t *o = json_loads("{\"member\":\"a\\u001b[2Jb\",\"reason\":\"x\\ny\",\"phase\":\"\\u0007\","
                           "\"children\":[{\"name\":\"\\u001b\",\"state\":\"\\u001b\"}]}",
                           0, NULL);
    cmd_status_text(o, false, &out);
    assert_null(strchr(buf_cstr(&out), '\033'));
    assert_null(strchr(buf_cstr(&out), '\007'));
    assert_non_null(strstr(buf_cstr(&out), "a\\u001b[2Jb"));
    json_decref(o);
    buf_free(&out);
}

static void an_empty_answer_is_no_crash(void **state)
{
    (void)state;
    static const char *const LINES[] = {"member", NULL};
    expect("{}", true, LINES);
    expect("{\"children\":[1,null,{}],\"progress\":7,\"cron\":[]}", true, LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serving),
        cmocka_unit_test(held),
        cmocka_unit_test(another_works),
        cmocka_unit_test(hostile_words_do_not_steer_the_terminal),
        cmocka_unit_test(an_empty_answer_is_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
