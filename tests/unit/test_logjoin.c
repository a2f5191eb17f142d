/* links: supervisor base */
#include "supervisor/logjoin.h"
#include "test.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    char text[64 * 1024]; /* "level|message\n" for each message, "+" behind a piece that is not the last */
    unsigned messages, longest;
} seen_t;

static void on_message(void *arg, log_level_t level, const char *bytes, size_t len, size_t head, bool last)
{
    seen_t *s = arg;
    size_t at = strlen(s->text);
    assert_true(head <= len);
    snprintf(s->text + at, sizeof s->text - at, "%s|%.*s%s\n", log_level_name(level), (int)len, bytes,
             last ? "" : "+");
    s->messages += last;
    if (len > s->longest) s->longest = (unsigned)len;
}

/* `lines` as a child of that kind writes them. */
static const char *join(stream_kind_t kind, const char *lines)
{
    static seen_t s;
    logjoin_t j = {.last_level = LOG_WARN_};
    s = (seen_t){0};
    for (const char *nl; (nl = strchr(lines, '\n')); lines = nl + 1)
        logjoin_line(&j, kind, LOG_WARN_, lines, (size_t)(nl - lines), on_message, &s);
    logjoin_end(&j, on_message, &s);
    assert_null(j.text.data);
    return s.text;
}

static void test_php_exception_with_trace(void **state)
{
    (void)state;
    assert_string_equal(
        join(STREAM_PHP, "[25-Nov-2026 07:00:00 UTC] PHP Fatal error:  Uncaught Exception: a in /f.php:3\n"
                         "Stack trace:\n#0 /f.php(9): g()\n#1 {main}\n\nNext Exception: b in /f.php:4\nStack "
                         "trace:\n#0 {main}\n"
                         "  thrown in /f.php on line 4\n"
                         "[25-Nov-2026 07:00:01 UTC] PHP Notice:  next in /f.php on line 5\n"),
        "error|[25-Nov-2026 07:00:00 UTC] PHP Fatal error:  Uncaught Exception: a in /f.php:3\n"
        "Stack trace:\n#0 /f.php(9): g()\n#1 {main}\nNext Exception: b in /f.php:4\nStack trace:\n#0 {main}\n"
        "  thrown in /f.php on line 4\n"
        "notice|[25-Nov-2026 07:00:01 UTC] PHP Notice:  next in /f.php on line 5\n");
}

/* lib/setuplib.php, default_exception_handler(); lib/weblib.php, debugging() */
static void test_moodle_backtraces(void **state)
{
    (void)state;
    assert_string_equal(
        join(STREAM_PHP, "[25-Nov-2026 07:00:00 Europe/Berlin] Default exception handler: Error reading from "
                         "database Debug: ERROR\n"
                         "LINE 1: SELECT *\n               ^\n[array (\n)]\nError code: dmlreadexception\n"
                         "* line 494 of /lib/dml/moodle_database.php: dml_read_exception thrown\n"
                         "[25-Nov-2026 07:00:00 Europe/Berlin] Debugging: old in\n* line 12 of /lib/x.php: "
                         "call to debugging()\n"),
        "error|[25-Nov-2026 07:00:00 Europe/Berlin] Default exception handler: Error reading from database "
        "Debug: ERROR\n"
        "LINE 1: SELECT *\n               ^\n[array (\n)]\nError code: dmlreadexception\n"
        "* line 494 of /lib/dml/moodle_database.php: dml_read_exception thrown\n"
        "notice|[25-Nov-2026 07:00:00 Europe/Berlin] Debugging: old in\n* line 12 of /lib/x.php: call to "
        "debugging()\n");
}

static void test_cron_output(void **state)
{
    (void)state;
    assert_string_equal(
        join(
            STREAM_EVENTS,
            "Execute scheduled task: A (b)\n... used 3 dbqueries\nScheduled task failed: A (b),no such host\n"
            "Debug info:\ncurl error 6\nBacktrace:\n* line 9 of /lib/a.php: call to b()\n"
            "Execute scheduled task: C (d)\n++ x is old ++\n* line 3 of /y.php: call to debugging()\n"),
        "warn|Execute scheduled task: A (b)\nwarn|... used 3 dbqueries\n"
        "error|Scheduled task failed: A (b),no such host\nDebug info:\n"
        "curl error 6\nBacktrace:\n* line 9 of /lib/a.php: call to b()\n"
        "warn|Execute scheduled task: C (d)\nwarn|++ x is old ++\n* line 3 of /y.php: call to debugging()\n");
}

/* fpm_stdio_child_said(), with decorate_workers_output */
static void test_fpm_wrapping(void **state)
{
    (void)state;
    assert_string_equal(
        join(STREAM_PHP,
             "[25-Nov-2026 07:00:00] NOTICE: ready to handle connections\n"
             "[25-Nov-2026 07:00:01] WARNING: [pool moodle] child 7 said into stderr: \"PHP Fatal error:  "
             "Uncaught X in /f:1\"\n"
             "[25-Nov-2026 07:00:01] WARNING: [pool moodle] child 7 said into stderr: \"Stack trace:\"\n"
             "[25-Nov-2026 07:00:01] WARNING: [pool moodle] child 7 said into stderr: \"#0 {main}\", pipe is "
             "closed\n"
             "[25-Nov-2026 07:00:01] ALERT: [pool moodle] out of shared memory\n"
             "[25-Nov-2026 07:00:01] NOTICE: PHP message: PHP Deprecated:  old in /f\n"),
        "notice|[25-Nov-2026 07:00:00] NOTICE: ready to handle connections\n"
        "error|PHP Fatal error:  Uncaught X in /f:1\nStack trace:\n#0 {main}\n"
        "error|[25-Nov-2026 07:00:01] ALERT: [pool moodle] out of shared memory\n"
        "info|[25-Nov-2026 07:00:01] NOTICE: PHP message: PHP Deprecated:  old in /f\n");
}

/* As php-fpm 8.2 writes them to standard error, its worker not being allowed to open its log, and php in the command line. */
static void test_without_a_time(void **state)
{
    (void)state;
    assert_string_equal(
        join(STREAM_PHP,
             "NOTICE: PHP message: Debugging: old in \n* line 12 of /lib/x.php: call to debugging()\n"
             "NOTICE: PHP message: PHP Warning:  watch out in /f.php on line 3\n"
             "NOTICE: PHP message: PHP Fatal error:  Uncaught RuntimeException: inner\nof two lines in "
             "/f.php:4\n"
             "Stack trace:\n#0 {main}\nNext LogicException: outer in /f.php:5\nStack trace:\n#0 {main}\n  "
             "thrown in /f.php on line 5\n"),
        "notice|NOTICE: PHP message: Debugging: old in \n* line 12 of /lib/x.php: call to debugging()\n"
        "warn|NOTICE: PHP message: PHP Warning:  watch out in /f.php on line 3\n"
        "error|NOTICE: PHP message: PHP Fatal error:  Uncaught RuntimeException: inner\nof two lines in "
        "/f.php:4\n"
        "Stack trace:\n#0 {main}\nNext LogicException: outer in /f.php:5\nStack trace:\n#0 {main}\n  thrown "
        "in /f.php on line 5\n");
    assert_string_equal(join(STREAM_EVENTS, "PHP Warning:  watch out in /f.php on line 3\nplain\n"
                                            "PHP Fatal error:  Uncaught RuntimeException: inner\nof two "
                                            "lines in /f.php:4\nStack trace:\n#0 {main}\n\n"
                                            "Next LogicException: outer in /f.php:5\nStack trace:\n#0 "
                                            "{main}\n  thrown in /f.php on line 5\nplain\n"),
                        "warn|PHP Warning:  watch out in /f.php on line 3\nwarn|plain\n"
                        "error|PHP Fatal error:  Uncaught RuntimeException: inner\nof two lines in "
                        "/f.php:4\nStack trace:\n#0 {main}\n"
                        "Next LogicException: outer in /f.php:5\nStack trace:\n#0 {main}\n  thrown in /f.php "
                        "on line 5\nwarn|plain\n");
}

static void test_nginx_levels_and_what_php_sent(void **state)
{
    (void)state;
    assert_string_equal(
        join(STREAM_NGINX,
             "2026/11/25 07:00:00 [crit] 7#7: *1 open() failed\n2026/11/25 07:00:00 [notice] 7#7: "
             "start\nnginx: [emerg] bad\n"
             "2026/11/25 07:00:01 [error] 7#7: *2 FastCGI sent in stderr: \"PHP message: PHP Warning:  x\n"
             "Stack trace:\n#0 {main}\" while reading response header from upstream\nsomething with [error] "
             "in it\n"),
        "error|2026/11/25 07:00:00 [crit] 7#7: *1 open() failed\nnotice|2026/11/25 07:00:00 [notice] 7#7: "
        "start\nerror|nginx: [emerg] bad\n"
        "warn|2026/11/25 07:00:01 [error] 7#7: *2 FastCGI sent in stderr: \"PHP message: PHP Warning:  x\n"
        "Stack trace:\n#0 {main}\" while reading response header from upstream\nwarn|something with [error] "
        "in it\n");
}

static void test_an_endless_message_is_cut(void **state)
{
    (void)state;
    static seen_t s;
    logjoin_t j = {0};
    char line[1000];
    memset(line, 'x', sizeof line);
    s = (seen_t){0};
    logjoin_line(&j, STREAM_PHP, LOG_INFO_, "PHP Warning: x", 14, on_message, &s);
    for (int i = 0; i < 40; i++) {
        line[0] = ' ';
        logjoin_line(&j, STREAM_PHP, LOG_INFO_, line, sizeof line, on_message, &s);
    }
    logjoin_end(&j, on_message, &s);
    assert_int_equal(s.messages, 1); /* in pieces */
    assert_true(s.longest <= LINE_MAX_);
    s = (seen_t){0};
    logjoin_line(&j, STREAM_PHP, LOG_INFO_, "PHP Warning: x", 14, on_message, &s);
    for (int i = 0; i < JOIN_LINES_MAX + 10; i++)
        logjoin_line(&j, STREAM_PHP, LOG_INFO_, " ", 1, on_message, &s);
    logjoin_end(&j, on_message, &s);
    assert_true(s.messages > 1);
}

static void test_repeats_are_counted(void **state)
{
    (void)state;
    logfold_t f = {0};
    static char longer[FOLD_MAX + 1];
    assert_false(logfold_is_repeat(&f, LOG_INFO_, "a", 1));
    logfold_remember(&f, LOG_INFO_, "a", 1);
    assert_true(logfold_is_repeat(&f, LOG_INFO_, "a", 1));
    assert_false(logfold_is_repeat(&f, LOG_ERROR_, "a", 1));
    assert_false(logfold_is_repeat(&f, LOG_INFO_, "b", 1));
    f.repeats = 3;
    assert_int_equal(logfold_take(&f), 3);
    assert_int_equal(logfold_take(&f), 0);
    logfold_remember(&f, LOG_INFO_, longer, sizeof longer);
    assert_false(logfold_is_repeat(&f, LOG_INFO_, longer, sizeof longer));
    assert_null(f.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_php_exception_with_trace),
        cmocka_unit_test(test_moodle_backtraces),
        cmocka_unit_test(test_without_a_time),
        cmocka_unit_test(test_cron_output),
        cmocka_unit_test(test_fpm_wrapping),
        cmocka_unit_test(test_nginx_levels_and_what_php_sent),
        cmocka_unit_test(test_an_endless_message_is_cut),
        cmocka_unit_test(test_repeats_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
