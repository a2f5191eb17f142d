/* links: base */
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "test.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* jansson, an independent reader, must accept whatever bytes were escaped. */
static void test_any_bytes_make_valid_json(void **state)
{
    (void)state;
    srandom(11);
    for (int round = 0; round < 3000; round++) {
        char bytes[64];
        size_t len = (size_t)random() % sizeof bytes;
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(random() % 3 ? random() : "\xe2\x82\xac\"\\"[random() % 5]);
        buf_t b = BUF_INIT;
        buf_str(&b, "[\"");
        buf_json(&b, bytes, len);
        buf_str(&b, "\"]");
        json_error_t e;
        json_t *o = json_loadb(b.data, b.len, JSON_ALLOW_NUL, &e);
        if (!o) print_error("%s in %s\n", e.text, b.data);
        assert_non_null(o);
        json_decref(o);
        buf_free(&b);
    }
}

static void test_utf8_passes_and_bad_bytes_are_shown(void **state)
{
    (void)state;
    buf_t b = BUF_INIT;
    buf_json(&b, "\xc3\xbc \xff \xed\xa0\x80\n", 9);
    assert_string_equal(b.data, "\xc3\xbc \\\\xff \\\\xed\\\\xa0\\\\x80\\n");
    buf_free(&b);
}

static void test_errors_keep_their_words(void **state)
{
    (void)state;
    err_t e = {0};
    errno = ENOENT;
    assert_int_equal(err_sys(&e, ERR_DATA_MISSING, "open %s", "/x\ny"), -1);
    err_wrap(&e, "prepare");
    assert_string_equal(e.msg, "prepare: open /x y: No such file or directory");
    assert_int_equal(err_find("e-data-missing"), ERR_DATA_MISSING);
    assert_int_equal(err_find("E-NO-SUCH"), ERR_NONE);
    assert_int_equal(err_set(NULL, ERR_BUG, "nobody asks"), -1);
    for (int i = 1; i < ERR_COUNT_; i++) {
        assert_int_equal(err_find(err_name(i)), i); /* names are unique */
        assert_in_range(err_status(i), 1, 125);
        assert_true(strlen(err_cause(i)) > 10 && strlen(err_cure(i)) > 10);
    }
}

static void test_replace_is_whole_or_nothing(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_buf.XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0440};
    err_t e = {0};
    assert_int_equal(fd_replace_file(path, "one", 3, &spec, &e), 0);
    assert_int_equal(fd_replace_file(path, "two!", 4, &spec, &e), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0440);
    buf_t b = BUF_INIT;
    assert_int_equal(fd_read_file(path, 100, &b, &e), 0);
    assert_string_equal(b.data, "two!");
    buf_clear(&b);
    assert_int_equal(fd_read_file(path, 3, &b, &e), -1);
    assert_int_equal(fd_replace_file("/nonexistent/x", "a", 1, &spec, &e), -1);
    assert_int_equal(e.id, ERR_RENDER_WRITE);
    buf_free(&b);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_bytes_make_valid_json),
        cmocka_unit_test(test_utf8_passes_and_bad_bytes_are_shown),
        cmocka_unit_test(test_errors_keep_their_words),
        cmocka_unit_test(test_replace_is_whole_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
