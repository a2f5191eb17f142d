/* links: bootstrap base */
#include "test.h"

#include "base/fd.h"
#include "bootstrap/quote.h"
#include "bootstrap/runner.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Values that trip escaping, and random ones. The real readers say whether a literal means what it was made from. */
enum { FIXED = 24, RANDOM = 400, VALUES = FIXED + RANDOM, VALUE_MAX = 24 };
static char values[VALUES][VALUE_MAX];
static const char *const AWKWARD[FIXED] = {
    "",        "plain", "'",   "''", "'a",   "a'",  "\\",  "\\'", "\\\\'", "\"",       "\"\n", "a\"b",
    "${HOME}", "$x",    "%7B", "\n", "\r\n", "\t ", "a;b", "#a",  "{{x}}", "\xff\x80", "é",    "?>'<?php"};

static int setup(void **state)
{
    (void)state;
    static const char nasty[] = "'\"\\$ {}\n;#=%&|^~!()[]`\r\t\x01\x7f\xff";
    uint32_t seed = 20240229;
    for (size_t i = 0; i < VALUES; i++) {
        if (i < FIXED) {
            snprintf(values[i], VALUE_MAX, "%s", AWKWARD[i]);
            continue;
        }
        size_t n = 0, len = 1 + i % (VALUE_MAX - 2);
        while (n < len) {
            seed = seed * 1664525 + 1013904223;
            unsigned char c = seed & 1u << 30 ? (unsigned char)nasty[(seed >> 8) % (sizeof nasty - 1)]
                                              : (unsigned char)(seed >> 16);
            if (c) values[i][n++] = (char)c;
        }
    }
    return 0;
}

static void add_hex(buf_t *out, const char *s)
{
    for (; *s; s++) buf_printf(out, "%02x", (unsigned char)*s);
    buf_str(out, "\n");
}

static const char *php(void)
{
    return access("/usr/bin/php", X_OK) == 0         ? "/usr/bin/php"
           : access("/usr/local/bin/php", X_OK) == 0 ? "/usr/local/bin/php"
                                                     : NULL;
}

static void file_put(char *path, const buf_t *b)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, b->data, b->len), 0);
    close(fd);
}

/* Runs PHP with `options` and compares its output with the hex form of all values, a line each. */
static void php_expect(char *const argv[])
{
    cleanup_buf buf_t out = BUF_INIT, expected = BUF_INIT;
    err_t err = {0};
    for (size_t i = 0; i < VALUES; i++) add_hex(&expected, values[i]);
    if (runner_program(argv, NULL, 20000, &out, &out, &err) != 0) fail_msg("%s %s", err.msg, buf_cstr(&out));
    assert_string_equal(buf_cstr(&out), buf_cstr(&expected));
}

static void test_php(void **state)
{
    (void)state;
    if (!php()) skip();
    cleanup_buf buf_t script = BUF_INIT;
    char path[] = "/tmp/test_quote_XXXXXX", program[64], n[] = "-n";
    buf_str(&script, "<?php ");
    for (size_t i = 0; i < VALUES; i++) {
        buf_str(&script, "echo bin2hex(");
        quote_php(&script, values[i], strlen(values[i]));
        buf_str(&script, "), \"\\n\";\n");
    }
    file_put(path, &script);
    snprintf(program, sizeof program, "%s", php());
    php_expect((char *[]){program, n, path, NULL});
    unlink(path);
}

static void test_ini(void **state)
{
    (void)state;
    if (!php()) skip();
    cleanup_buf buf_t ini = BUF_INIT;
    char path[] = "/tmp/test_quote_XXXXXX", program[64], n[] = "-n", r[] = "-r";
    char code[] = "foreach (parse_ini_file($argv[1]) as $v) echo bin2hex($v), \"\\n\";";
    for (size_t i = 0; i < VALUES; i++) {
        buf_printf(&ini, "k%zu = ", i);
        quote_ini(&ini, values[i], strlen(values[i]));
        buf_str(&ini, "\n");
    }
    file_put(path, &ini);
    snprintf(program, sizeof program, "%s", php());
    php_expect((char *[]){program, n, r, code, path, NULL});
    unlink(path);
}

/* nginx says what it has read when it refuses it: invalid value "..." in "pcre_jit" directive */
static void nginx_expect(const char *value)
{
    cleanup_buf buf_t conf = BUF_INIT, out = BUF_INIT, expected = BUF_INIT;
    char path[] = "/tmp/test_quote_XXXXXX", program[] = "/usr/sbin/nginx", t[] = "-t", e[] = "-e",
         to[] = "stderr", c[] = "-c";
    err_t err = {0};
    buf_str(&conf, "pid /dev/null; pcre_jit ");
    if (quote_nginx(&conf, value, strlen(value), &err) < 0) {
        assert_non_null(strchr(value, '$'));
        assert_int_equal(err.id, ERR_SET_INVALID);
        return;
    }
    buf_str(&conf, "; events {}\n");
    file_put(path, &conf);
    assert_int_equal(
        runner_program((char *[]){program, t, e, to, c, path, NULL}, NULL, 5000, &out, &out, &err), 1);
    unlink(path);
    buf_printf(&expected, "invalid value \"%s\" in \"pcre_jit\" directive", value);
    if (!strstr(buf_cstr(&out), buf_cstr(&expected))) fail_msg("%s gives %s", value, buf_cstr(&out));
}

static void test_nginx(void **state)
{
    (void)state;
    if (access("/usr/sbin/nginx", X_OK) < 0) skip();
    for (size_t i = 0; i < FIXED + 60; i++) nginx_expect(values[i]);
}

static void test_html_and_base64(void **state)
{
    (void)state;
    cleanup_buf buf_t b = BUF_INIT;
    quote_html(&b, "<a href='x'>&\"", 14);
    assert_string_equal(buf_cstr(&b), "&#60;a href=&#39;x&#39;&#62;&#38;&#34;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_php),
        cmocka_unit_test(test_ini),
        cmocka_unit_test(test_nginx),
        cmocka_unit_test(test_html_and_base64),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
