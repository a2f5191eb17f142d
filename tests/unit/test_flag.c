/* links: coord base */
#include "base/buf.h"
#include "base/fd.h"
#include "coord/cron_adhoc.h"
#include "coord/flag.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/moodlectl-flag-XXXXXX";

static void put(const char *text)
{
    char path[100];
    snprintf(path, sizeof path, "%s/climaintenance.html", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void whose_mark(void **state)
{
    (void)state;
    flag_t f;
    err_t err = {0};
    assert_int_equal(flag_read(dir, &f, &err), 0);
    assert_int_equal(f.kind, FLAG_NONE);
    put("<html>by Moodle</html>");
    assert_int_equal(flag_read(dir, &f, &err), 0);
    assert_int_equal(f.kind, FLAG_FOREIGN);
    put("");
    assert_int_equal(flag_read(dir, &f, &err), 0);
    assert_int_equal(f.kind, FLAG_FOREIGN);
    put("<p>x</p><!-- moodlectl upgrade who=\"x\" -->"); /* only the first bytes count */
    assert_int_equal(flag_read(dir, &f, &err), 0);
    assert_int_equal(f.kind, FLAG_FOREIGN);
    assert_int_equal(flag_remove(dir, &err), 0);
    assert_int_equal(flag_remove(dir, &err), 0); /* it need not be there */
}

static void ours_comes_back(void **state)
{
    (void)state;
    flag_t f;
    err_t err = {0};
    char path[100];
    struct stat st;
    cleanup_buf buf_t b = BUF_INIT;
    assert_int_equal(
        flag_write(dir, FLAG_OPERATOR, "me at m1", "disk -->\n<script>\"x\"", (uid_t)-1, (gid_t)-1, &err), 0);
    assert_int_equal(flag_read(dir, &f, &err), 0);
    assert_int_equal(f.kind, FLAG_OPERATOR);
    assert_string_equal(f.who, "me at m1");
    assert_int_equal(strlen(f.when), strlen("2026-01-31T12:00:00.123Z"));
    snprintf(path, sizeof path, "%s/climaintenance.html", dir);
    assert_int_equal(fd_read_file(path, 65536, &b, &err), 0);
    assert_null(strstr(buf_cstr(&b), "<script>"));
    const char *end = strstr(buf_cstr(&b), "-->");
    assert_non_null(end);
    assert_int_equal(end[3], '\n'); /* the comment ends where we end it */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(flag_write(dir, FLAG_UPGRADE, "m2", "", (uid_t)-1, (gid_t)-1, &err), 0);
    assert_int_equal(flag_read(dir, &f, &err), 0);
    assert_int_equal(f.kind, FLAG_UPGRADE);
    assert_int_equal(flag_remove(dir, &err), 0);
}

static void missing_directory_is_no_mark(void **state)
{
    (void)state;
    err_t err = {0};
    assert_int_equal(flag_write("/nowhere/at/all", FLAG_UPGRADE, "m", "", (uid_t)-1, (gid_t)-1, &err), -1);
    assert_int_not_equal(err.id, ERR_NONE);
}

/* Observed on Moodle 4.5.6: database m1, prefix mdl_: the first key of every lock of its PostgreSQL factory is -407592296. */
static void locks_as_moodle_makes_them(void **state)
{
    (void)state;
    adhoc_lock_t k;
    cron_adhoc_lock("m1", "mdl_", "7", &k);
    assert_int_equal(k.key1, -407592296);
    assert_in_range(k.key2, 0, 0x0fffffff);
    assert_int_equal(strlen(k.name), 40);
    assert_int_equal(strspn(k.name, "0123456789abcdef"), 40);
}

int main(void)
{
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(whose_mark), cmocka_unit_test(ours_comes_back),
                                       cmocka_unit_test(missing_directory_is_no_mark),
                                       cmocka_unit_test(locks_as_moodle_makes_them)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
