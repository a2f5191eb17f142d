/* links: supervisor base */
/* A real loop and real processes (tests/helpers/proc.c): child, spawn, reaper, logfwd, outq together. Every test ends with
 * all handles closed. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/child.h"
#include "supervisor/reaper.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static uv_loop_t loop;
static uv_signal_t sigchld;
static uv_timer_t tick; /* turns the loop while a test waits */
static child_t child;
static child_row_t row;
static const char *mode[4];
static buf_t events;
static unsigned entered[CS_COUNT_];
static int out_pipe[2];
static buf_t out;

static bool on_prepare(child_t *c, spawn_spec_t *spec)
{
    (void)c;
    static char *envp[] = {NULL};
    spec->argv = (char *const *)mode;
    spec->envp = envp;
    return true;
}

static void on_changed(child_t *c, child_state_t from, const char *why)
{
    (void)from;
    (void)why;
    entered[c->state]++;
}

static void on_event(child_t *c, const char *line, size_t len)
{
    (void)c;
    buf_add(&events, line, len);
    buf_str(&events, "\n");
    if (len == 5 && memcmp(line, "ready", 5) == 0) child_ready(&child);
}

static const child_hooks_t HOOKS = {.prepare = on_prepare, .changed = on_changed, .event = on_event};

static bool on_exit_of(pid_t pid, int status) { return child_on_exit(&child, pid, status); }
static void on_sigchld(uv_signal_t *w, int sig)
{
    (void)w;
    (void)sig;
    reaper_run(on_exit_of);
}

static void on_tick(uv_timer_t *t) { (void)t; }

static void read_out(void)
{
    char chunk[65536];
    for (ssize_t n; (n = read(out_pipe[0], chunk, sizeof chunk)) > 0;) buf_add(&out, chunk, (size_t)n);
}

/* Runs the loop until the child is in `state`; fails after 10 s. */
static void run_until(child_state_t state)
{
    uint64_t until = clock_ms() + 10000;
    uv_timer_start(&tick, on_tick, 5, 5);
    while (child.state != state && clock_ms() < until) {
        uv_run(&loop, UV_RUN_ONCE);
        read_out();
    }
    uv_timer_stop(&tick);
    assert_string_equal(child_state_name(child.state), child_state_name(state));
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &tick);
    uv_signal_init(&loop, &sigchld);
    uv_signal_start(&sigchld, on_sigchld, SIGCHLD);
    if (pipe2(out_pipe, O_CLOEXEC) < 0) return -1;
    fcntl(out_pipe[0], F_SETFL, O_NONBLOCK);
    outq_open(&loop, out_pipe[1]);
    logfmt_init(true, LOG_DEBUG_, "test");
    memset(entered, 0, sizeof entered);
    row = (child_row_t){.name = "svc",
                        .kind = CK_ROLE,
                        .ready = READY_BY_EVENT,
                        .stop_signal = SIGTERM,
                        .kill_leftovers = true};
    mode[0] = BINARY_DIR "/tests/helper_proc";
    mode[1] = mode[2] = mode[3] = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    child_close(&child);
    uv_close((uv_handle_t *)&sigchld, NULL);
    uv_close((uv_handle_t *)&tick, NULL);
    outq_close(100);
    uv_run(&loop, UV_RUN_DEFAULT);
    int busy = uv_loop_close(&loop);
    close(out_pipe[0]);
    close(out_pipe[1]);
    buf_free(&events);
    buf_free(&out);
    return busy;
}

static void start(const char *what, const char *arg)
{
    mode[1] = what;
    mode[2] = arg;
    child_init(&child, &loop, &row, &HOOKS, 0);
    child_start(&child);
}

static void test_children_inherit_nothing(void **state)
{
    (void)state;
    int leak = open("/dev/null", O_RDONLY); /* not close-on-exec, as a careless library would */
    sigset_t blocked, before;
    signal(SIGPIPE, SIG_IGN); /* as a careless launcher leaves it, and a real-time signal with it */
    signal(SIGRTMIN + 3, SIG_IGN);
    spawn_ignore_none();
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    row.kind = CK_ROLE_ONESHOT;
    start("signals", NULL);
    run_until(CS_DONE);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_non_null(strstr(events.data, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(events.data, "SigIgn:\t0000000000000000"));
    assert_non_null(strstr(events.data, "NoNewPrivs:\t1"));
    assert_non_null(strstr(events.data, "umask 022 core 0 session 1"));
    assert_non_null(strstr(events.data, "fds 0 1 2\n"));
    close(leak);
}

static void test_a_polite_stop(void **state)
{
    (void)state;
    start("obedient", NULL);
    run_until(CS_UP);
    child_stop(&child, 5000, 5000);
    run_until(CS_DOWN);
    assert_int_equal(entered[CS_KILLING], 0);
    assert_true(WIFEXITED(child.exit_status));
}

static void test_a_stubborn_one_is_killed_when_its_grace_is_over(void **state)
{
    (void)state;
    start("stubborn", NULL);
    run_until(CS_UP);
    child_stop(&child, 50000, 60000);
    child_stop(&child, 40, 80);       /* shortens */
    child_stop(&child, 50000, 60000); /* does not lengthen */
    uint64_t asked = clock_ms();
    run_until(CS_DOWN);
    assert_true(clock_ms() - asked < 5000);
    assert_int_equal(entered[CS_INSISTING], 1);
    assert_int_equal(entered[CS_KILLING], 1);
    assert_true(WIFSIGNALED(child.exit_status));
}

static void test_deaths_back_off_and_end_in_failed(void **state)
{
    (void)state;
    row.max_deaths = 3;
    row.death_window_ms = 60000;
    start("dies", "3");
    run_until(CS_FAILED);
    assert_int_equal(child.starts, 3);
    assert_int_equal(entered[CS_BACKOFF], 2);
    assert_int_equal(WEXITSTATUS(child.exit_status), 3);
}

static void test_a_program_that_is_not_there_says_so(void **state)
{
    (void)state;
    row.max_deaths = 1;
    row.death_window_ms = 60000;
    mode[0] = "/nonexistent/program";
    start(NULL, NULL);
    run_until(CS_FAILED);
    assert_int_equal(child.last_error.id, ERR_SPAWN);
    assert_non_null(strstr(child.last_error.msg, "executing"));
    assert_non_null(strstr(child.last_error.msg, "No such file"));
}

static void test_not_ready_in_time_is_started_anew(void **state)
{
    (void)state;
    row.kind = CK_DAEMON; /* its stdout is no events: never says ready */
    row.ready = READY_BY_PROBE;
    row.start_ms = 50;
    row.max_deaths = 2;
    row.death_window_ms = 60000;
    start("stubborn", NULL);
    run_until(CS_FAILED);
    assert_int_equal(child.starts, 2);
    assert_int_equal(entered[CS_BOUNCING], 2);
}

static void test_commands_reach_a_role(void **state)
{
    (void)state;
    start("echo", NULL);
    run_until(CS_UP);
    assert_true(child_send(&child, "{\"cmd\":\"hello\"}\n"));
    for (int i = 0; i < 200 && !strstr(buf_cstr(&events), "hello"); i++) uv_run(&loop, UV_RUN_ONCE);
    assert_non_null(strstr(events.data, "{\"cmd\":\"hello\"}"));
    child_stop(&child, 2000, 2000);
    run_until(CS_DOWN);
}

static void test_every_line_of_a_flood_comes_whole(void **state)
{
    (void)state;
    row.kind = CK_ONESHOT;
    start("noisy", "20000");
    run_until(CS_DONE);
    for (int i = 0; i < 1000 && (read_out(), outq_is_stalled()); i++) uv_run(&loop, UV_RUN_NOWAIT);
    outq_flush();
    read_out();
    size_t lines = 0, whole = 0;
    for (char *line = out.data, *nl; line && (nl = strchr(line, '\n')); line = nl + 1) {
        json_t *o = json_loadb(line, (size_t)(nl - line), 0, NULL);
        assert_non_null(o);
        const char *msg = json_string_value(json_object_get(o, "msg"));
        lines++;
        if (msg && strlen(msg) == 199) whole++;
        json_decref(o);
    }
    assert_int_equal(whole, 20000);
    assert_int_equal(lines, 20001); /* and `ready` */
    assert_int_equal(outq_dropped(), 0);
}

static void test_a_stalled_reader_stops_nobody(void **state)
{
    (void)state;
    row.kind = CK_ONESHOT;
    uint64_t before = outq_dropped();
    mode[1] = "noisy";
    mode[2] = "60000"; /* 12 MB as JSON: more than the pipe and the ring hold */
    child_init(&child, &loop, &row, &HOOKS, 0);
    child_start(&child);
    uint64_t until = clock_ms() + 10000;
    while (child.state != CS_DONE && clock_ms() < until)
        uv_run(&loop, UV_RUN_ONCE); /* nobody reads out_pipe */
    assert_int_equal(child.state, CS_DONE);
    assert_true(outq_is_stalled());
    for (int i = 0; i < 10000 && outq_is_stalled(); i++) {
        read_out();
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    outq_flush();
    read_out();
    assert_true(outq_dropped() > before);
    assert_non_null(strstr(out.data, "log.lost"));
}

static void test_orphans_are_reaped_and_counted(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    uint64_t before = reaper_strangers();
    row.kind = CK_ONESHOT;
    start("forker", NULL);
    run_until(CS_DONE);
    char path[64], pids[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, pids, sizeof pids - 1) > 0);
    close(fd);
    pid_t orphan = (pid_t)strtol(pids, NULL, 10);
    assert_true(orphan > 1);
    kill(orphan, SIGKILL);
    for (int i = 0; i < 500 && reaper_strangers() == before; i++) uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(reaper_strangers(), before + 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_children_inherit_nothing),
        TEST(test_a_polite_stop),
        TEST(test_a_stubborn_one_is_killed_when_its_grace_is_over),
        TEST(test_deaths_back_off_and_end_in_failed),
        TEST(test_a_program_that_is_not_there_says_so),
        TEST(test_not_ready_in_time_is_started_anew),
        TEST(test_commands_reach_a_role),
        TEST(test_every_line_of_a_flood_comes_whole),
        TEST(test_a_stalled_reader_stops_nobody),
        TEST(test_orphans_are_reaped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
