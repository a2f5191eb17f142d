/* links: supervisor base */
#include "base/environment.h"
#include "base/err.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/redact_forms.h"
#include "base/role.h"
#include "base/secret.h"
#include "supervisor/lineio.h"
#include "supervisor/logfwd.h"
#include "supervisor/redaction.h"
#include "test.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define VALUE "p\"ss/w\\rd &ö+1"

static int forget(void **state)
{
    (void)state;
    redact_forget(UINT64_MAX);
    return 0;
}

static void learn(const char *value) { assert_true(redact_add(value, strlen(value), 1)); }

static char *shown(const char *text)
{
    static char buf[8192];
    buf_t b = BUF_INIT;
    snprintf(buf, sizeof buf, "%s", redact_copy(text, strlen(text), &b) ? b.data : text);
    assert_int_equal(redact_find(text, strlen(text)), strcmp(buf, text) != 0);
    buf_free(&b);
    return buf;
}

static void test_a_value_is_masked_wherever_it_stands(void **state)
{
    (void)state;
    learn("geheim");
    assert_string_equal(shown("geheim"), "<secret>");
    assert_string_equal(shown("gehei"), "gehei");
    assert_string_equal(shown("xgeheimgeheim y geheim"), "x<secret> y <secret>");
    for (int before = 0; before < 40; before++) {
        char text[100], want[100];
        snprintf(text, sizeof text, "%.*sgeheim!", before, "----------------------------------------");
        snprintf(want, sizeof want, "%.*s<secret>!", before, "----------------------------------------");
        assert_string_equal(shown(text), want);
    }
}

static void test_overlapping_values_leave_no_rest(void **state)
{
    (void)state;
    learn("abcdefghijkl");
    learn("ijklmnopqrst");
    learn("fghijk");
    assert_string_equal(shown("--abcdefghijklmnopqrst--"), "--<secret>--");
    assert_string_equal(shown("--fghijk--"), "--<secret>--");
}

/* Written as PHP 8.2 and Python 3.11 write it: json_encode, urlencode, rawurlencode, base64_encode, bin2hex, quote. */
static void test_the_ways_in_which_others_write_it(void **state)
{
    (void)state;
    static const char *const WAYS[] = {VALUE,
                                       "p\\\"ss\\/w\\\\rd &\\u00f6+1",
                                       "p\\\"ss/w\\\\rd &\xc3\xb6+1",
                                       "p%22ss%2Fw%5Crd+%26%C3%B6%2B1",
                                       "p%22ss%2Fw%5Crd%20%26%C3%B6%2B1",
                                       "p%22ss%2fw%5crd%20%26%c3%b6%2b1",
                                       "p%22ss/w%5Crd%20%26%C3%B6%2B1",
                                       "702273732f775c72642026c3b62b31",
                                       "702273732F775C72642026C3B62B31"};
    learn(VALUE);
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++) assert_string_equal(shown(WAYS[i]), "<secret>");
    assert_string_equal(shown("cCJzcy93XHJkICbDtisx"), "<secret>");          /* alone */
    assert_string_equal(shown("dTpwInNzL3dccmQgJsO2KzE="), "dTp<secret>E="); /* u:VALUE */
    assert_string_equal(shown("dXM6cCJzcy93XHJkICbDtisx"), "dXM6<secret>");  /* us:VALUE */
    assert_string_equal(shown("dXNlOnAic3MvdxxyZCAmw7YrMQ=="),
                        "dXNlOnAic3MvdxxyZCAmw7YrMQ=="); /* another one */
}

static void count_form(void *arg, const char *bytes, size_t len)
{
    assert_true(len >= REDACT_LEAST);
    assert_non_null(bytes);
    ++*(unsigned *)arg;
}

static void test_no_form_is_too_short_to_be_looked_for(void **state)
{
    (void)state;
    unsigned n = 0;
    redact_forms_each("abcdef", 6, count_form, &n);
    redact_forms_each("\0\1\2\3\4\5", 6, count_form, &n);
    assert_true(n > 30);
}

static void test_short_values_are_not_looked_for(void **state)
{
    (void)state;
    assert_false(redact_add("12345", 5, 1));
    assert_string_equal(shown("12345"), "12345");
}

static void test_a_replaced_value_is_forgotten_in_time(void **state)
{
    (void)state;
    redact_add("old-one", 7, 100);
    redact_add("new-one", 7, 100);
    redact_add("new-one", 7, 200);
    redact_forget(150);
    assert_string_equal(shown("old-one new-one"), "old-one <secret>");
}

/* Against a search that cannot be wrong, on texts made of pieces of the values. */
static void test_the_filter_misses_nothing(void **state)
{
    (void)state;
    static const char *const VALUES[] = {"aaaaaa", "abababab", "secret-one", "one-secret",
                                         "bbbbbbbbbbbbbbbb"};
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) learn(VALUES[i]);
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t n = 0;
        while (n < 40) {
            seed = seed * 1103515245 + 12345;
            const char *v = VALUES[seed >> 16 & 3], *from = v + (seed >> 20) % strlen(v);
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)(seed >> 24 & 7), from);
        }
        bool there = false;
        for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) there |= strstr(text, VALUES[i]) != NULL;
        assert_int_equal(redact_find(text, strlen(text)), there);
        char *clean = shown(text);
        for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) assert_null(strstr(clean, VALUES[i]));
    }
}

static void test_a_text_in_pieces_is_cut_outside_of_values(void **state)
{
    (void)state;
    learn("geheimnis");
    assert_int_equal(redact_cut("text gehei", 10), 5);
    assert_int_equal(redact_cut("text", 4), 4);
    char full[16] = "the end geheimn"; /* a buffer that its writer filled */
    redact_text(full, sizeof full);
    assert_string_equal(full, "the end ");
}

/* ---- the places where a text leaves ---- */

static char said[1024];
static void keep_said(log_level_t level, err_id_t id, const char *msg)
{
    (void)level;
    (void)id;
    snprintf(said, sizeof said, "%s", msg);
}

static void test_errors_and_messages_are_masked_at_their_source(void **state)
{
    (void)state;
    err_t err = {0};
    learn("geheim");
    err_set(&err, ERR_REDIS_AUTH, "ERR unknown command `AUTH`, with args beginning with: `%s`", "geheim");
    assert_string_equal(err.msg, "ERR unknown command `AUTH`, with args beginning with: `<secret>`");
    err_wrap(&err, "with %s", "geheim");
    assert_null(strstr(err.msg, "geheim"));
    log_set_sink(keep_said);
    log_error("it is %s", "geheim");
    log_set_sink(NULL);
    assert_string_equal(said, "it is <secret>");
}

static void test_only_words_for_people_are_masked_in_events(void **state)
{
    (void)state;
    learn("current"); /* nobody should, but a password that is a word of ours must not stop the program */
    json_t *e = json_pack("{s:s,s:s}", "state", "current", "reason", "the current one");
    role_redact(e);
    assert_string_equal(json_string_value(json_object_get(e, "state")), "current");
    assert_string_equal(json_string_value(json_object_get(e, "reason")), "the <secret> one");
    json_decref(e);
}

static void test_lines_of_children(void **state)
{
    (void)state;
    buf_t out = BUF_INIT;
    learn("geheim\"nis");
    logfmt_init(true, LOG_DEBUG_, "m");
    outq_divert(&out);
    stream_try(STREAM_NGINX, "nginx", "{\"uri\":\"/?geheim\\\"nis\"}\n", 24);
    stream_try(STREAM_NGINX, "nginx", "{\"uri\":\"/\"}\n", 12);
    buf_t line = BUF_INIT; /* twice across the places where a long line is cut */
    for (int i = 0; i < LINE_MAX_ - 5; i++) buf_str(&line, "x");
    buf_str(&line, "geheim\"nis");
    for (int i = 0; i < LINE_MAX_ - 12; i++) buf_str(&line, "y");
    buf_str(&line, "geheim\"nis\n");
    stream_try(STREAM_LINES, "php", line.data, line.len);
    buf_free(&line);
    outq_divert(NULL);
    assert_null(strstr(out.data, "gehei"));
    assert_null(strstr(out.data, "nis"));
    assert_non_null(strstr(out.data, "\"data\":{\"uri\":\"/\"}"));
    unsigned lines = 0;
    for (char *l = out.data, *end; (end = strchr(l, '\n')); l = end + 1, lines++) {
        json_t *o = json_loadb(l, (size_t)(end - l), 0, NULL);
        assert_non_null(o); /* every line is still JSON */
        json_decref(o);
    }
    assert_int_equal(lines, 5);
    buf_free(&out);
}

static void test_the_canary(void **state)
{
    (void)state;
    err_t err = {0};
    assert_int_equal(redaction_prove(&err), 0);
    assert_string_equal(shown("nothing is kept of it"), "nothing is kept of it");
}

/* ---- memory ---- */

static void test_no_core_whatever_the_limit(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit l;
        char filter[32] = "";
        secret_forbid_core();
        getrlimit(RLIMIT_CORE, &l);
        int fd = open("/proc/self/coredump_filter", O_RDONLY);
        ssize_t n = read(fd, filter, sizeof filter - 1);
        _exit(l.rlim_cur == 0 && l.rlim_max == 0 && n > 0 && strtoul(filter, NULL, 16) == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_environment(void **state)
{
    (void)state;
    err_t err = {0};
    char one[] = "A=1", two[] = "MOODLE_PASSWORD=\xff'x\n", three[] = "EMPTY=";
    char *envp[] = {one, two, three, NULL};
    int fd = environment_pack(envp, &err);
    assert_true(fd > STDERR_FILENO);
    environment_wipe(envp);
    assert_int_equal(strlen(two), 0);
    assert_int_equal(two[20], 0);
    for (int again = 0; again < 2; again++) {
        char **got = environment_unpack(fd, &err);
        assert_string_equal(got[0], "A=1");
        assert_string_equal(got[1], "MOODLE_PASSWORD=\xff'x\n");
        assert_string_equal(got[2], "EMPTY=");
        assert_null(got[3]);
        free(got[0]);
        free(got);
    }
    close(fd);
    assert_null(environment_unpack(fd, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_value_is_masked_wherever_it_stands, forget),
        cmocka_unit_test_teardown(test_overlapping_values_leave_no_rest, forget),
        cmocka_unit_test_teardown(test_the_ways_in_which_others_write_it, forget),
        cmocka_unit_test_teardown(test_no_form_is_too_short_to_be_looked_for, forget),
        cmocka_unit_test_teardown(test_short_values_are_not_looked_for, forget),
        cmocka_unit_test_teardown(test_a_replaced_value_is_forgotten_in_time, forget),
        cmocka_unit_test_teardown(test_the_filter_misses_nothing, forget),
        cmocka_unit_test_teardown(test_a_text_in_pieces_is_cut_outside_of_values, forget),
        cmocka_unit_test_teardown(test_errors_and_messages_are_masked_at_their_source, forget),
        cmocka_unit_test_teardown(test_only_words_for_people_are_masked_in_events, forget),
        cmocka_unit_test_teardown(test_lines_of_children, forget),
        cmocka_unit_test_teardown(test_the_canary, forget),
        cmocka_unit_test(test_no_core_whatever_the_limit),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
