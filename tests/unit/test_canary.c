/* links: base */
#include "test.h"

#include "base/buf.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EX_SOFTWARE_ = 70 };

/* `moodlectl run` of that program in an empty directory; its exit status and all that it said. */
static int start(const char *program, buf_t *said)
{
    char dir[] = "/tmp/test_canary.XXXXXX", run_dir[80], chunk[4096];
    int fds[2], status;
    assert_non_null(mkdtemp(dir));
    snprintf(run_dir, sizeof run_dir, "MOODLECTL_RUN_DIR=%s", dir);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {(char[]){"moodlectl"}, (char[]){"run"}, NULL};
        char *envp[] = {run_dir, (char[]){"MOODLECTL_LOG_FORMAT=json"}, (char[]){"PATH=/usr/bin:/bin"}, NULL};
        dup2(fds[1], 1);
        dup2(fds[1], 2);
        execve(program, argv, envp);
        _exit(99);
    }
    close(fds[1]);
    for (ssize_t n; (n = read(fds[0], chunk, sizeof chunk)) > 0;) buf_add(said, chunk, (size_t)n);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rmdir(dir);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_leak_refuses_the_start(void **state)
{
    (void)state;
    static const char *const LEAKY[] = {BINARY_DIR "/tests/leaky_copy", BINARY_DIR "/tests/leaky_find"};
    for (size_t i = 0; i < 2; i++) {
        buf_t said = BUF_INIT;
        assert_int_equal(start(LEAKY[i], &said), EX_SOFTWARE_);
        assert_non_null(strstr(buf_cstr(&said), "E-CANARY"));
        assert_null(strstr(buf_cstr(&said), "sings")); /* the canary itself is not said aloud */
        buf_free(&said);
    }
}

/* The same without a hole gets further: to the settings, of which it has none. */
static void without_a_leak_it_starts(void **state)
{
    (void)state;
    buf_t said = BUF_INIT;
    assert_int_not_equal(start(BINARY_DIR "/moodlectl", &said), EX_SOFTWARE_);
    assert_null(strstr(buf_cstr(&said), "E-CANARY"));
    assert_non_null(strstr(buf_cstr(&said), "E-SET-MISSING"));
    buf_free(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leak_refuses_the_start),
        cmocka_unit_test(without_a_leak_it_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
