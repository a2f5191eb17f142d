/* links: supervisor base */
#include "base/clock.h"
#include "supervisor/fcgi.h"
#include "test.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void test_request_is_well_formed(void **state)
{
    (void)state;
    unsigned char b[512];
    size_t n = fcgi_request("/-/fpm-ping", b, sizeof b), at = 0;
    const int want[] = {1, 4, 4, 5}; /* BEGIN_REQUEST, PARAMS, empty PARAMS, empty STDIN: FastCGI 1.0, 3.3 */
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(b[at], 1);
        assert_int_equal(b[at + 1], want[i]);
        at += 8 + ((size_t)b[at + 4] << 8 | b[at + 5]) + b[at + 6];
    }
    assert_int_equal(at, n);
    assert_non_null(memmem(b, n, "SCRIPT_NAME/-/fpm-ping", 22));
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(fcgi_request(longer, b, sizeof b), 0);
}

static void test_answers_are_taken_apart_at_any_length(void **state)
{
    (void)state;
    const unsigned char answer[] = "\1\6\0\1\0\5\3\0Hello___"   /* 5 bytes, 3 of padding */
                                   "\1\7\0\1\0\2\0\0no"         /* stderr */
                                   "\1\6\0\1\0\1\0\0!"          /* one more byte */
                                   "\1\3\0\1\0\10\0\0________"; /* END_REQUEST */
    for (size_t len = 0; len < sizeof answer; len++) {
        char out[64];
        int end = -1;
        size_t n = fcgi_parse(answer, len, out, sizeof out, &end);
        assert_int_equal(end, len == sizeof answer - 1);
        assert_memory_equal(out, "Hello!", n);
        if (len >= 16) assert_true(n >= 5);
    }
    char small[3];
    int end;
    assert_int_equal(fcgi_parse(answer, sizeof answer - 1, small, sizeof small, &end), 3); /* bounded */
}

static err_id_t got_error;
static void on_answer(void *arg, const char *body, size_t len, const err_t *err)
{
    (void)arg;
    (void)len;
    assert_null(body);
    got_error = err->id;
}

static void test_nobody_there_is_an_error_later(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    got_error = ERR_NONE;
    assert_non_null(fcgi_get(&loop, "/nonexistent/fpm.sock", "/x", 1000, on_answer, NULL));
    assert_int_equal(got_error, ERR_NONE); /* never before fcgi_get has returned */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(got_error, ERR_PROBE_FAILED);
    fcgi_get_t *g = fcgi_get(&loop, "/nonexistent/fpm.sock", "/x", 1000, on_answer, NULL);
    got_error = ERR_NONE;
    fcgi_cancel(&g);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(got_error, ERR_NONE); /* cancelled: not called */
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_is_well_formed),
        cmocka_unit_test(test_answers_are_taken_apart_at_any_length),
        cmocka_unit_test(test_nobody_there_is_an_error_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
