/* links: supervisor base */
/* Which lines of PHP and nginx look as if somebody had been refused a login. */
#include "supervisor/logfwd.h"
#include "tests/unit/test.h"
#include <string.h>

static int seen;

static void on_refused(void *arg)
{
    (void)arg;
    seen++;
}

static int seen_in(stream_kind_t kind, const char *line)
{
    buf_t out = BUF_INIT;
    seen = 0;
    outq_divert(&out);
    stream_try(kind, "test", line, strlen(line));
    outq_divert(NULL);
    buf_free(&out);
    return seen;
}

static void words_of_the_servers(void **state)
{
    (void)state;
    assert_int_equal(
        seen_in(STREAM_PHP, "PHP Warning:  pg_connect(): ... FATAL:  password authentication failed for user "
                            "\"moodle\" in x.php on line 1\n"),
        1);
    assert_int_equal(seen_in(STREAM_PHP,
                             "PHP Warning:  mysqli::real_connect(): (HY000/1045): Access denied for user "
                             "'moodle'@'10.0.0.1' (using password: YES)\n"),
                     1);
    assert_int_equal(seen_in(STREAM_PHP, "RedisException: WRONGPASS invalid username-password pair\n"), 1);
    assert_int_equal(seen_in(STREAM_PHP, "RedisException: NOAUTH Authentication required.\n"), 1);
    assert_int_equal(seen_in(STREAM_PHP, "PHP Warning:  Undefined variable $x in y.php on line 2\n"), 0);
}

static void requests_that_fail(void **state)
{
    (void)state;
    assert_int_equal(seen_in(STREAM_NGINX, "{\"path\":\"/\",\"status\":500,\"bytes\":1}\n"), 1);
    assert_int_equal(seen_in(STREAM_NGINX, "{\"path\":\"/\",\"status\":200,\"bytes\":1}\n"), 0);
    assert_int_equal(seen_in(STREAM_NGINX, "{\"path\":\"/\",\"status\":404,\"bytes\":1}\n"), 0);
}

static void nobody_may_be_listening(void **state)
{
    (void)state;
    logfwd_watch(NULL, NULL);
    assert_int_equal(seen_in(STREAM_NGINX, "{\"path\":\"/\",\"status\":500,\"bytes\":1}\n"), 0);
    assert_int_equal(seen_in(STREAM_PHP, "NOAUTH\n"), 0);
    logfwd_watch(on_refused, NULL);
}

static int listen_to_it(void **state)
{
    (void)state;
    logfmt_init(true, LOG_DEBUG_, "m1");
    logfwd_watch(on_refused, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_the_servers),
        cmocka_unit_test(requests_that_fail),
        cmocka_unit_test(nobody_may_be_listening),
    };
    return cmocka_run_group_tests(tests, listen_to_it, NULL);
}
