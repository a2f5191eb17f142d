/* links: supervisor base */
#include "supervisor/drain_tally.h"
#include "supervisor/nginx_load.h"
#include "supervisor/tcp_resets.h"
#include "test.h"
#include <stdio.h>
#include <string.h>

#define LINE(status, completed, seconds)                                                                     \
    "{\"method\":\"GET\",\"path\":\"/x\",\"status\":" status ",\"completed\":" completed                     \
    ",\"bytes\":5,\"seconds\":" seconds                                                                      \
    ",\"php_seconds\":null,\"agent\":\"a\\\",\\\"completed\\\":true,\\\"seconds\\\":99\"}"

static void count(drain_tally_t *t, const char *line, bool time_is_up)
{
    drain_tally_line(t, line, strlen(line), time_is_up);
}

static void test_each_request_is_counted_once(void **state)
{
    (void)state;
    drain_tally_t t = {0};
    count(&t, LINE("200", "true", "0.250"), false);
    count(&t, LINE("304", "true", "0.000"), true); /* answered in time, however late it is */
    count(&t, LINE("503", "true", "5.001"), false);
    count(&t, LINE("499", "false", "7.500"),
          false); /* the client went away, whatever its User-Agent claims */
    count(&t, LINE("0", "false", "22.000"), true);
    assert_int_equal(t.completed, 3);
    assert_int_equal(t.errors, 1);
    assert_int_equal(t.aborted, 1);
    assert_int_equal(t.cut, 1);
    assert_int_equal(t.longest_ms, 22000);
}

static void test_a_line_of_another_shape_is_harmless(void **state)
{
    (void)state;
    drain_tally_t t = {0};
    count(&t, "{}", false);
    count(&t, "{\"completed\":true,\"seconds\":", false);
    assert_int_equal(t.completed, 1);
    assert_int_equal(t.aborted, 1);
    static const char *const seconds[] = {"1e26", "-1", "nan", "inf", "0x1p99"};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        char line[64];
        snprintf(line, sizeof line, "{\"completed\":true,\"seconds\":%s}", seconds[i]);
        count(&t, line, false);
    }
    assert_int_equal(t.completed, 6);
    assert_int_equal(t.longest_ms, 0);
}

static void test_nginx_says_what_it_has_under_way(void **state)
{
    (void)state;
    nginx_load_t load;
    const char *answer = "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nActive connections: 24 \nserver accepts "
                         "handled requests\n 291 291 291 \n"
                         "Reading: 2 Writing: 6 Waiting: 16 \n";
    assert_true(nginx_load_parse(answer, strlen(answer), &load));
    assert_int_equal(load.in_flight, 7); /* without the question itself */
    assert_int_equal(load.keep_alive, 16);
    assert_false(nginx_load_parse("HTTP/1.1 404 Not Found\r\n\r\n", 26, &load));
    assert_false(nginx_load_parse(answer, strlen(answer) - 6, &load)); /* not the whole answer */
}

static void test_resets_are_found_by_their_name(void **state)
{
    (void)state;
    assert_int_equal(
        tcp_resets_parse(
            "Ip: A B\nIp: 1 2\nTcp: RtoAlgorithm OutSegs RetransSegs InErrs OutRsts InCsumErrors\n"
            "Tcp: 1 22 333 4444 55555 6\nUdp: A\nUdp: 1\n"),
        55555);
    assert_int_equal(tcp_resets_parse("Tcp: A OutRsts\nTcp: 1 7"), 7);
    assert_int_equal(tcp_resets_parse("Tcp: A OutRsts\nTcp: 1\n"), 0);
    assert_int_equal(tcp_resets_parse("Tcp: A\nTcp: 1\n"), 0);
    assert_int_equal(tcp_resets_parse(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_request_is_counted_once),
                                       cmocka_unit_test(test_a_line_of_another_shape_is_harmless),
                                       cmocka_unit_test(test_nginx_says_what_it_has_under_way),
                                       cmocka_unit_test(test_resets_are_found_by_their_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
