/* links: supervisor base */
/* From what children write to what stands on standard output: real pipes, a real loop. */
#include "supervisor/lineio.h"
#include "supervisor/logfwd.h"
#include "supervisor/logjoin.h"
#include "test.h"
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uv_loop_t loop;
static uv_async_t alive; /* as the watcher of signals in process 1 */
static int out_pipe[2];
static buf_t out;
static uint64_t lost_before;

static int set_up(void **state)
{
    (void)state;
    if (pipe2(out_pipe, O_CLOEXEC) < 0 || uv_loop_init(&loop) < 0) return -1;
    uv_async_init(&loop, &alive, NULL);
    lost_before = outq_dropped();
    outq_open(&loop, out_pipe[1]);
    logfmt_init(true, LOG_DEBUG_, "m1");
    fcntl(out_pipe[0], F_SETFL, O_NONBLOCK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(out_pipe[0]);
    outq_close(0);
    uv_close((uv_handle_t *)&alive, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&loop), 0);
    close(out_pipe[1]);
    buf_free(&out);
    return 0;
}

static size_t read_out(void)
{
    static char chunk[65536];
    size_t all = 0;
    for (ssize_t n; (n = read(out_pipe[0], chunk, sizeof chunk)) > 0; all += (size_t)n)
        buf_add(&out, chunk, (size_t)n);
    return all;
}

/* A stream and the end of the pipe that its child would hold. */
static stream_t *open_stream(stream_kind_t kind, const char *src, int *ret_child)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    stream_t *s = stream_open(&loop, fds[0], kind, src, LOG_INFO_, NULL, NULL);
    assert_non_null(s);
    *ret_child = fds[1];
    return s;
}

static void put(int fd, const char *text, size_t len) { assert_int_equal(write(fd, text, len), len); }
static void say(int fd, const char *text) { put(fd, text, strlen(text)); }
static void turn(void) { uv_run(&loop, UV_RUN_NOWAIT); }

static void end(stream_t **s, int fd)
{
    close(fd);
    stream_drain_and_close(s);
    turn();
}

/* The lines of the output, each checked: one object, below the limit. */
static json_t *lines(void)
{
    json_t *list = json_array();
    for (int idle = 0; idle < 3; idle = read_out() ? 0 : idle + 1) turn();
    for (char *line = out.data, *nl; line && (nl = strchr(line, '\n')); line = nl + 1) {
        assert_true(nl + 1 - line <= LOGFMT_LINE_MAX);
        json_t *o = json_loadb(line, (size_t)(nl - line), JSON_ALLOW_NUL, NULL);
        assert_true(json_is_object(o));
        json_array_append_new(list, o);
    }
    assert_true(out.len == 0 || out.data[out.len - 1] == '\n');
    return list;
}

static const char *field(const json_t *list, size_t i, const char *key)
{
    const char *s = json_string_value(json_object_get(json_array_get(list, i), key));
    return s ? s : "";
}

static void test_nobody_forges_our_fields(void **state)
{
    (void)state;
    int fd;
    stream_t *s = open_stream(STREAM_LINES, "cron", &fd);
    say(fd, "{\"level\":\"error\",\"member\":\"evil\",\"data\":{\"src\":\"moodlectl\"}}\n{\"a\":1},"
            "\"member\":\"evil\"}\nx\",\"member\":\"evil\n");
    turn();
    json_t *l = lines();
    assert_int_equal(json_array_size(l), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(field(l, i, "member"), "m1");
        assert_string_equal(field(l, i, "src"), "cron");
        assert_string_equal(field(l, i, "level"), "info");
    }
    assert_non_null(json_object_get(json_array_get(l, 0), "data"));
    assert_string_equal(field(l, 1, "msg"), "{\"a\":1},\"member\":\"evil\"}");
    json_decref(l);
    end(&s, fd);
}

/* Bytes that take six in JSON, characters across the cuts: parts below the limit that make the whole again. */
static void test_parts_make_the_whole(void **state)
{
    (void)state;
    static const char *const units[] = {"\x01", "\xe2\x82\xac", "ab\"\\"};
    for (size_t u = 0; u < 3; u++) {
        int fd;
        buf_t want = BUF_INIT, got = BUF_INIT;
        stream_t *s = open_stream(STREAM_LINES, "cron", &fd);
        while (want.len < 30000) buf_str(&want, units[u]);
        put(fd, want.data, want.len);
        say(fd, "\nshort\n");
        turn();
        json_t *l = lines();
        size_t parts = json_array_size(l) - 1;
        assert_true(parts > 1);
        for (size_t i = 0; i < parts; i++) {
            const json_t *o = json_array_get(l, i);
            assert_int_equal(json_integer_value(json_object_get(o, "part")), i + 1);
            assert_int_equal(json_is_true(json_object_get(o, "last")), i + 1 == parts);
            buf_str(&got, field(l, i, "msg"));
        }
        assert_string_equal(got.data, want.data);
        assert_null(json_object_get(json_array_get(l, parts), "part"));
        json_decref(l);
        end(&s, fd);
        buf_free(&want);
        buf_free(&got);
        buf_free(&out);
    }
}

/* A stream's timer runs only while something waits for it. */
static void test_a_trace_comes_without_a_line_behind_it(void **state)
{
    (void)state;
    int fd;
    stream_t *s = open_stream(STREAM_PHP, "php", &fd);
    say(fd, "[25-Nov-2026 07:00:00 UTC] PHP Fatal error:  x in /f:1\nStack trace:\n#0 {main}\n");
    turn();
    assert_int_equal(read_out(), 0);
    assert_in_range(uv_backend_timeout(&loop), 1, JOIN_WAIT_MS);
    uv_run(&loop, UV_RUN_ONCE);
    json_t *l = lines();
    assert_int_equal(json_array_size(l), 1);
    assert_string_equal(field(l, 0, "level"), "error");
    assert_string_equal(field(l, 0, "msg"),
                        "[25-Nov-2026 07:00:00 UTC] PHP Fatal error:  x in /f:1\nStack trace:\n#0 {main}");
    assert_int_equal(uv_backend_timeout(&loop), -1);
    json_decref(l);
    end(&s, fd);
}

static void test_repeats_are_folded(void **state)
{
    (void)state;
    int fd;
    stream_t *s = open_stream(STREAM_NGINX, "nginx", &fd);
    say(fd, "2026/11/25 07:00:00 [error] 7#7: *1 no such host\n");
    turn();
    assert_int_equal(uv_backend_timeout(&loop), -1);
    say(fd, "2026/11/25 07:00:00 [error] 7#7: *2 no such host\n2026/11/25 07:00:01 [error] 8#8: *3 no such "
            "host\n");
    turn();
    assert_in_range(uv_backend_timeout(&loop), FOLD_WAIT_MS / 2, FOLD_WAIT_MS);
    say(fd, "2026/11/25 07:00:02 [error] 7#7: *4 else\n");
    turn();
    assert_int_equal(uv_backend_timeout(&loop), -1);
    json_t *l = lines();
    assert_int_equal(json_array_size(l), 3);
    assert_string_equal(field(l, 1, "msg"), "last message repeated 2 times");
    assert_string_equal(field(l, 1, "level"), "error");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(l, 1), "repeats")), 2);
    json_decref(l);
    say(fd, "2026/11/25 07:00:02 [error] 7#7: *4 else\n");
    buf_free(&out);
    end(&s, fd); /* told at the end of its writer, too */
    l = lines();
    assert_string_equal(field(l, 0, "msg"), "last message repeated 1 times");
    json_decref(l);
}

static void test_two_writers_are_never_mixed_and_a_last_line_needs_no_newline(void **state)
{
    (void)state;
    int a, b;
    stream_t *sa = open_stream(STREAM_LINES, "a", &a), *sb = open_stream(STREAM_LINES, "b", &b);
    say(a, "one of ");
    turn();
    say(b, "two of b\nthe ");
    turn();
    say(a, "a\nlast of ");
    turn();
    say(b, "end");
    turn();
    say(a, "a");
    end(&sa, a);
    end(&sb, b);
    json_t *l = lines();
    static const char *const want[][2] = {
        {"b", "two of b"}, {"a", "one of a"}, {"a", "last of a"}, {"b", "the end"}};
    assert_int_equal(json_array_size(l), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(field(l, i, "src"), want[i][0]);
        assert_string_equal(field(l, i, "msg"), want[i][1]);
    }
    json_decref(l);
}

enum { ACCESS = 40000, ERRORS = 100 };

/* Nobody reads: what is written is taken all the same, errors outlive access lines, and what is missing is told. */
static void flood(int nginx, int php)
{
    char line[400];
    for (int i = 0; i < ACCESS; i++) {
        int n = snprintf(line, sizeof line, "{\"path\":\"/%0200d\",\"status\":200}\n", i);
        struct pollfd p = {.fd = nginx, .events = POLLOUT};
        while (poll(&p, 1, 0) == 0) uv_run(&loop, UV_RUN_ONCE);
        put(nginx, line, (size_t)n);
        if (i % (ACCESS / ERRORS)) continue;
        n = snprintf(line, sizeof line, "[25-Nov-2026 07:00:00] ALERT: number %d\n", i);
        put(php, line, (size_t)n);
    }
    turn();
}

static void count(size_t *ret_access, size_t *ret_errors, const char **ret_told, json_t *l,
                  json_int_t *ret_metric)
{
    json_t *o;
    size_t i;
    *ret_access = *ret_errors = 0;
    json_array_foreach(l, i, o)
    {
        *ret_access += strcmp(field(l, i, "src"), "nginx.access") == 0;
        *ret_errors += strcmp(field(l, i, "src"), "php") == 0;
        if (strcmp(field(l, i, "event"), "log.lost") == 0) *ret_told = field(l, i, "msg");
        if (json_object_get(o, "LogAccessLinesLost"))
            *ret_metric = (json_int_t)json_number_value(json_object_get(o, "LogAccessLinesLost"));
    }
}

static void test_a_stopped_reader_costs_access_lines_first(void **state)
{
    (void)state;
    int nginx, php;
    stream_t *sn = open_stream(STREAM_NGINX, "nginx", &nginx), *sp = open_stream(STREAM_PHP, "php", &php);
    flood(nginx, php);
    assert_true(outq_is_stalled());
    assert_true(outq_dropped() > lost_before);
    json_t *l = lines();
    size_t access, errors;
    const char *told = "";
    json_int_t metric = 0;
    count(&access, &errors, &told, l, &metric);
    assert_int_equal(errors, ERRORS);
    assert_true(access < ACCESS);
    assert_int_equal(metric, ACCESS - access);
    assert_int_equal(outq_dropped() - lost_before, ACCESS - access);
    char want[200];
    snprintf(want, sizeof want,
             "the reader of standard output was slow, dropped: %zu access lines of nginx.access",
             ACCESS - access);
    assert_string_equal(told, want);
    assert_false(outq_is_stalled());
    json_decref(l);
    end(&sn, nginx);
    end(&sp, php);
}

static void test_the_inherited_descriptor_stays_as_it_is(void **state)
{
    (void)state;
    int fd;
    stream_t *s = open_stream(STREAM_LINES, "cron", &fd);
    say(fd, "x\n");
    turn();
    assert_int_equal(fcntl(out_pipe[1], F_GETFL) & O_NONBLOCK, 0);
    end(&s, fd);
}

/* Where /proc/self/fd/1 may not be opened anew (stdout is another user's pipe), a full pipe does not block either. */
static int poll_and_write(void)
{
    static char line[1000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    uint64_t before = outq_dropped();
    if (setuid(65534) < 0 || uv_loop_init(&loop) < 0 || outq_open(&loop, out_pipe[1]) < 0) return 1;
    alarm(20);
    for (int i = 0; i < 8000; i++) outq_line(OUT_OTHER, "x", line, sizeof line); /* 8 MB */
    outq_flush();
    if (!outq_is_stalled() || outq_dropped() == before) return 2;
    if (fcntl(out_pipe[1], F_GETFL) & O_NONBLOCK) return 3;
    outq_close(300);
    return 0;
}

static void test_without_a_descriptor_of_its_own(void **state)
{
    (void)state;
    int status = 0;
    if (geteuid() != 0) skip();
    outq_close(0);
    pid_t pid = fork();
    if (pid == 0) _exit(poll_and_write());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    read_out();
    assert_true(out.len >= 4096); /* what the pipe holds */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_forges_our_fields),
        TEST(test_parts_make_the_whole),
        TEST(test_a_trace_comes_without_a_line_behind_it),
        TEST(test_repeats_are_folded),
        TEST(test_two_writers_are_never_mixed_and_a_last_line_needs_no_newline),
        TEST(test_a_stopped_reader_costs_access_lines_first),
        TEST(test_the_inherited_descriptor_stays_as_it_is),
        TEST(test_without_a_descriptor_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
