/* links: coord base */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "coord/keeper.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *const ENV[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};

static int start(keeper_t *k, uint64_t deadline_in, const char *script, const char *input, err_t *err)
{
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, (char *)(uintptr_t)script, NULL};
    keeper_spec_t spec = {.argv = argv,
                          .envp = ENV,
                          .uid = geteuid() ? geteuid() : 65534,
                          .gid = getegid() ? getegid() : 65534,
                          .input = input,
                          .margin_ms = 50,
                          .hold_fd = -1};
    assert_int_equal(keeper_prepare(k, deadline_in ? clock_ms() + deadline_in : 0, NULL), 0);
    return keeper_start(k, &spec, err);
}

static void run(keeper_t *k, uint64_t deadline_in, const char *script)
{
    err_t err = {0};
    if (start(k, deadline_in, script, NULL, &err) < 0) fail_msg("%s", err.msg);
}

static void read_all(int fd, buf_t *b)
{
    char chunk[512];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0) buf_add(b, chunk, (size_t)n);
}

static pid_t read_pid(int fd)
{
    char text[32] = "";
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    return (pid_t)strtol(text, NULL, 10);
}

/* Dead, though perhaps not yet reaped by whoever is process 1 here. */
static bool gone(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    char *after = n ? strrchr(text, ')') : NULL;
    return !after || after[2] == 'Z';
}

static void wait_gone(pid_t pid, uint64_t ms)
{
    uint64_t until = clock_ms() + ms;
    while (!gone(pid)) {
        if (clock_ms() > until) fail_msg("process %d lives", (int)pid);
        clock_sleep_ms(5);
    }
}

static void passes_status_output_and_input(void **state)
{
    (void)state;
    keeper_t k;
    err_t err = {0};
    cleanup_buf buf_t out = BUF_INIT, errs = BUF_INIT;
    assert_int_equal(start(&k, 5000, "cat; echo no >&2; exit 7", "in 'put'\n", &err), 0);
    read_all(k.out, &out);
    read_all(k.err, &errs);
    keeper_result_t r = keeper_finish(&k);
    assert_string_equal(buf_cstr(&out), "in 'put'\n");
    assert_string_equal(buf_cstr(&errs), "no\n");
    assert_int_equal(r.why, KEEPER_EXITED);
    assert_true(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 7);
    keeper_free(&k);
}

static void runs_as_the_user_with_nothing_of_ours_open(void **state)
{
    (void)state;
    keeper_t k;
    cleanup_buf buf_t out = BUF_INIT;
    run(&k, 5000,
        "id -u; for f in /proc/self/fd/*; do [ -e $f ] && echo ${f##*/}; done; ps -o pgid= -p $$ | tr -d ' "
        "'; echo $$");
    read_all(k.out, &out);
    keeper_finish(&k);
    keeper_free(&k);
    char want[64];
    snprintf(want, sizeof want, "%d\n0\n1\n2\n", (int)(geteuid() ? geteuid() : 65534));
    assert_int_equal(strncmp(buf_cstr(&out), want, strlen(want)), 0);
    long group = 0, pid = 1;
    assert_int_equal(sscanf(buf_cstr(&out) + strlen(want), "%ld %ld", &group, &pid), 2);
    assert_int_equal(group, pid); /* a group of its own, so that it can be killed whole */
}

static void says_why_it_could_not_start(void **state)
{
    (void)state;
    keeper_t k;
    cleanup_buf buf_t errs = BUF_INIT;
    char *argv[] = {(char[]){"/nowhere/php"}, NULL};
    keeper_spec_t spec = {.argv = argv, .envp = ENV, .uid = 65534, .gid = 65534, .hold_fd = -1};
    assert_int_equal(keeper_prepare(&k, 0, NULL), 0);
    assert_int_equal(keeper_start(&k, &spec, NULL), 0);
    read_all(k.err, &errs);
    keeper_result_t r = keeper_finish(&k);
    assert_int_equal(WEXITSTATUS(r.status), 126);
    assert_non_null(strstr(buf_cstr(&errs), "/nowhere/php: No such file"));
    keeper_free(&k);
}

static void refuses_when_too_little_is_left(void **state)
{
    (void)state;
    keeper_t k;
    err_t err = {0};
    assert_int_equal(start(&k, 40, "true", NULL, &err), -1);
    assert_int_equal(err.id, ERR_LOCK_LOST);
    keeper_free(&k);
}

static void kills_at_the_deadline(void **state)
{
    (void)state;
    keeper_t k;
    uint64_t from = clock_ms();
    run(&k, 300, "trap '' TERM; echo $$; sleep 60");
    pid_t pid = read_pid(k.out);
    keeper_result_t r = keeper_finish(&k);
    assert_int_equal(r.why, KEEPER_DEADLINE);
    assert_in_range(clock_ms() - from, 295, 1000);
    assert_true(gone(pid));
    keeper_free(&k);
}

static void follows_a_moved_deadline(void **state)
{
    (void)state;
    keeper_t k;
    run(&k, 250, "sleep 0.8; exit 3");
    for (int i = 0; i < 8; i++) { /* heartbeats */
        clock_sleep_ms(100);
        atomic_store(k.deadline, clock_ms() + 250);
    }
    atomic_store(k.deadline, clock_ms() + 5000);
    keeper_result_t r = keeper_finish(&k);
    assert_int_equal(r.why, KEEPER_EXITED);
    assert_int_equal(WEXITSTATUS(r.status), 3);
    keeper_free(&k);
}

static void terminates_politely(void **state)
{
    (void)state;
    keeper_t k;
    run(&k, 5000, "trap 'exit 143' TERM; echo $$; while :; do sleep 0.05; done");
    read_pid(k.out);
    keeper_term(&k);
    keeper_result_t r = keeper_finish(&k);
    assert_int_equal(r.why, KEEPER_EXITED);
    assert_int_equal(WEXITSTATUS(r.status), 143);
    keeper_free(&k);
}

static void kills_when_told(void **state)
{
    (void)state;
    keeper_t k;
    run(&k, 5000, "trap '' TERM; echo $$; while :; do sleep 1; done");
    pid_t pid = read_pid(k.out);
    keeper_term(&k);
    keeper_kill(&k);
    keeper_result_t r = keeper_finish(&k);
    assert_int_equal(r.why, KEEPER_TOLD);
    assert_true(WIFSIGNALED(r.status));
    assert_true(gone(pid));
    keeper_free(&k);
}

/* A daemon leaves the group and its parent; the keeper is its subreaper and finds it all the same. */
static void daemons_do_not_outlive_the_program(void **state)
{
    (void)state;
    keeper_t k;
    run(&k, 5000, "setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' & sleep 0.2; exit 0");
    pid_t daemon_pid = read_pid(k.out);
    keeper_result_t r = keeper_finish(&k);
    assert_int_equal(r.why, KEEPER_EXITED);
    wait_gone(daemon_pid, 1000);
    keeper_free(&k);
}

/* A process that plays the role; tells the pids of the program and of a daemon below it through a pipe. */
static pid_t fake_role(int deadline_in, pid_t ret[2])
{
    int p[2];
    assert_int_equal(pipe(p), 0);
    pid_t role = fork();
    if (role == 0) {
        keeper_t k;
        close(p[0]);
        run(&k, (uint64_t)deadline_in,
            "trap '' TERM; setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' & sleep 0.1; echo $$; while "
            ":; do sleep 1; done");
        for (int i = 0; i < 2; i++) {
            pid_t pid = read_pid(k.out);
            if (write(p[1], &pid, sizeof pid) < 0) _exit(1);
        }
        for (;;) pause();
    }
    close(p[1]);
    for (int i = 0; i < 2; i++) assert_int_equal(read(p[0], &ret[i], sizeof ret[i]), sizeof ret[i]);
    close(p[0]);
    return role;
}

static void role_killed_means_program_dead(void **state)
{
    (void)state;
    pid_t pids[2];
    pid_t role = fake_role(60000, pids);
    kill(role, SIGKILL);
    waitpid(role, NULL, 0);
    wait_gone(pids[0], 1000);
    wait_gone(pids[1], 1000);
}

static void role_stopped_means_program_dead_at_the_deadline(void **state)
{
    (void)state;
    pid_t pids[2];
    uint64_t from = clock_ms();
    pid_t role = fake_role(700, pids);
    kill(role, SIGSTOP);
    assert_false(gone(pids[0]));
    wait_gone(pids[0], 2000);
    assert_in_range(clock_ms() - from, 690, 1500);
    wait_gone(pids[1], 500);
    kill(role, SIGKILL);
    waitpid(role, NULL, 0);
}

static void keeper_killed_means_program_dead(void **state)
{
    (void)state;
    keeper_t k;
    run(&k, 60000,
        "trap '' TERM; setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' & sleep 0.1; echo $$; while :; "
        "do "
        "sleep 1; done");
    pid_t daemon_pid = read_pid(k.out), pid = read_pid(k.out);
    kill(k.pid, SIGKILL);
    keeper_result_t r = keeper_finish(&k);
    assert_int_equal(r.why, KEEPER_ORPHANED);
    wait_gone(pid, 1000);
    wait_gone(daemon_pid, 1000);
    keeper_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_status_output_and_input),
        cmocka_unit_test(runs_as_the_user_with_nothing_of_ours_open),
        cmocka_unit_test(says_why_it_could_not_start),
        cmocka_unit_test(refuses_when_too_little_is_left),
        cmocka_unit_test(kills_at_the_deadline),
        cmocka_unit_test(follows_a_moved_deadline),
        cmocka_unit_test(terminates_politely),
        cmocka_unit_test(kills_when_told),
        cmocka_unit_test(daemons_do_not_outlive_the_program),
        cmocka_unit_test(role_killed_means_program_dead),
        cmocka_unit_test(role_stopped_means_program_dead_at_the_deadline),
        cmocka_unit_test(keeper_killed_means_program_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
