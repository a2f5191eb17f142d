/* links: coord base */
#include "coord/job_line.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void progress_steps(void **state)
{
    (void)state;
    job_progress_t p = {.total = 3};
    assert_false(job_progress_step(&p, "++ Success (0.09 seconds) ++"));
    assert_false(job_progress_step(&p, "-->"));
    assert_true(job_progress_step(&p, "-->System"));
    assert_true(job_progress_step(&p, "-->mod_quiz"));
    assert_string_equal(p.detail, "mod_quiz");
    assert_int_equal(p.done, 2);
    for (int i = 0; i < 5; i++) job_progress_step(&p, "-->x");
    assert_int_equal(p.done, 7);
    assert_int_equal(p.total, 7); /* never more than all */
    job_progress_t install = {.total = 400, .core = 254};
    job_progress_step(&install, "-->System");
    assert_int_equal(install.done, 1);
    job_progress_step(&install, "-->mod_quiz"); /* core's tables are there */
    assert_int_equal(install.done, 256);
}

static void feed(job_lines_t *l, const char *s) { job_lines_feed(l, s, strlen(s)); }

static void lines_are_put_together(void **state)
{
    (void)state;
    job_lines_t l;
    job_progress_t p = {.total = 2};
    job_lines_init(&l, "install", "info", &p, true);
    feed(&l, "-->mo");
    assert_int_equal(p.done, 0);
    feed(&l, "d_a\r\n\n\n-->mod_b");
    assert_int_equal(p.done, 1);
    assert_string_equal(p.detail, "mod_a");
    job_lines_feed(&l, "\0x\n", 3); /* a NUL does not lose the rest */
    assert_int_equal(p.done, 2);
    feed(&l, "last");
    job_lines_end(&l);
    assert_string_equal(l.last, "last");
    job_lines_free(&l);
}

static void note(void *arg, const char *line)
{
    if (strncmp(line, JOB_LINE_CRON_PASS, strlen(JOB_LINE_CRON_PASS)) == 0) (*(int *)arg)++;
}

static void lines_are_looked_at(void **state)
{
    (void)state;
    job_lines_t l;
    int passes = 0;
    job_lines_init(&l, "cron", "info", NULL, true);
    l.line = note;
    l.arg = &passes;
    assert_int_equal(l.bytes_ms, 0);
    feed(&l, "Cron run completed correctly\nCron run comp");
    feed(&l, "leted correctly\n");
    assert_int_equal(passes, 2);
    assert_true(l.bytes_ms > 0); /* silence counts from here */
    assert_false(l.out_of_memory);
    feed(&l, "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 1 bytes) "
             "in x.php\n");
    assert_true(l.out_of_memory);
    job_lines_free(&l);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    job_lines_t l;
    job_lines_init(&l, "install", "info", NULL, true);
    for (int i = 0; i < 5000; i++) feed(&l, "0123456789");
    assert_true(l.part.len <= JOB_LINE_MAX);
    feed(&l, "\nend\n");
    assert_string_equal(l.last, "end");
    job_lines_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_steps), cmocka_unit_test(lines_are_put_together),
        cmocka_unit_test(long_lines_are_cut), cmocka_unit_test(lines_are_looked_at)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
