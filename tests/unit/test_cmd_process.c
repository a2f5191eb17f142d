/* links: base */
/* The program from outside: exit status, what goes to which output, and how many lines it takes to say no. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 6 };

static void drain(int fd, buf_t *out)
{
    char chunk[4096];
    for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0;) buf_add(out, chunk, (size_t)n);
    close(fd);
}

/* Standard error is read after the end: it never holds more than a pipe does. */
static int run(const char *const *words, const char *env, buf_t *out, buf_t *errors)
{
    int o[2], e[2];
    assert_int_equal(pipe(o), 0);
    assert_int_equal(pipe(e), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *argv[MAX_WORDS + 2] = {(char[]){"moodlectl"}};
        for (int i = 0; i < MAX_WORDS && words[i]; i++) argv[i + 1] = strdup(words[i]);
        char *envp[] = {(char[]){"MOODLECTL_RUN_DIR=/nonexistent"}, (char[]){"PATH=/usr/bin:/bin"},
                        env ? strdup(env) : NULL, NULL};
        dup2(o[1], 1);
        dup2(e[1], 2);
        execve(BINARY_DIR "/moodlectl", argv, envp);
        _exit(99);
    }
    close(o[1]);
    close(e[1]);
    drain(o[0], out);
    drain(e[0], errors);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static size_t lines(const buf_t *b)
{
    size_t n = 0;
    for (const char *p = buf_cstr(b); *p; p++) n += *p == '\n';
    return n;
}

static void says_no_in_two_lines(void **state)
{
    (void)state;
    static const struct {
        const char *words[MAX_WORDS];
        int status;
        const char *says;
    } ROWS[] = {
        {{"stauts"}, 64, "Did you mean \"moodlectl status\"?"},
        {{"frobnicate"}, 64, "\"moodlectl help\" lists them."},
        {{"upgrade"}, 64, "There is: upgrade plan, upgrade run."},
        {{"upgrade", "rnu"}, 64, "Did you mean \"moodlectl upgrade run\"?"},
        {{"upgrade", "frobnicate"}, 64, "There is: upgrade plan, upgrade run."},
        {{"status", "--jsn"}, 64, "did you mean --json?"},
        {{"status", "x"}, 64, "is too much"},
        {{"render", "--diff", "--check"}, 64, "render takes one of"},
        {{"explain", "E-DB-ATH"}, 64, "Did you mean E-DB-AUTH?"},
        {{"help", "stauts"}, 64, "Did you mean \"moodlectl help status\"?"},
        {{"run", "--frob"}, 64, "run has no options"},
        {{"run", "run"}, 64, "run cannot run inside run"},
        {{"status"}, 69, "E-NOT-RUNNING"},
        {{"drain"}, 69, "E-NOT-RUNNING"},
        {{"reload"}, 69, "E-NOT-RUNNING"},
        {{"upgrade", "run"}, 69, "E-NOT-RUNNING"},
        {{"cron", "run-now"}, 69, "E-NOT-RUNNING"},
        {{"moodle", "cron"}, 69, "E-NOT-RUNNING"},
        {{"upgrade", "plan"}, 69, "E-NOT-RUNNING: nothing has been rendered"},
        {{"cron", "status"}, 69, "E-NOT-RUNNING: nothing has been rendered"},
        {{"maintenance", "on"}, 69, "E-NOT-RUNNING: nothing has been rendered"},
        {{"healthcheck", "live"}, 1, "E-NOT-RUNNING"},
        {{"healthcheck", "alive"},
         1,
         "healthcheck needs one of"}, /* never 64: 2 and up mean something else to Docker */
        {{"healthcheck"}, 1, "healthcheck needs"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        buf_t out = BUF_INIT, errors = BUF_INIT;
        int status = run(ROWS[i].words, NULL, &out, &errors);
        if (status != ROWS[i].status || lines(&errors) != 2 || out.len ||
            !strstr(buf_cstr(&errors), ROWS[i].says))
            fail_msg("row %zu: status %d, out \"%s\", errors \"%s\"", i, status, buf_cstr(&out),
                     buf_cstr(&errors));
        buf_free(&out);
        buf_free(&errors);
    }
}

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *words[MAX_WORDS];
        const char *says;
    } ROWS[] = {
        {{NULL}, "Commands\n"},
        {{"--help"}, "Commands\n"},
        {{"help", "exit-codes"}, "\n 14  OLD-CODE"},
        {{"help", "settings"}, "MOODLE_DATABASE_PASSWORD (text, required, secret)"},
        {{"help", "errors"}, "E-DB-AUTH (exit status 77)"},
        {{"help", "upgrade"}, "moodlectl upgrade run\n"},
        {{"status", "--help"}, "moodlectl status [--json]\n"},
        {{"run", "--help"}, "moodlectl run [-- COMMAND...]\n"},
        {{"explain", "db-auth"}, "E-DB-AUTH\n"},
        {{"--version"}, "moodlectl " MOODLECTL_VERSION " (libuv "},
        {{"version", "--json"}, "{\"moodlectl\":\"" MOODLECTL_VERSION "\""},
        {{"config", "env"}, "\nMOODLE_URL=\n"},
        {{"config", "env", "--json"}, "{\"name\":\"MOODLE_URL\",\"type\":\"address\""},
        {{"doc", "errors"}, "| `E-DB-AUTH` | 77 |"},
        {{"run", "--", "echo", "hello"}, "hello\n"},
        {{"run", "echo", "hello"}, "hello\n"},
        {{"run", "explain", "E-BUG"}, "E-BUG\n"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        buf_t out = BUF_INIT, errors = BUF_INIT;
        int status = run(ROWS[i].words, NULL, &out, &errors);
        if (status != 0 || errors.len || !strstr(buf_cstr(&out), ROWS[i].says) ||
            strchr(buf_cstr(&out), '\033'))
            fail_msg("row %zu: status %d, out \"%s\", errors \"%s\"", i, status, buf_cstr(&out),
                     buf_cstr(&errors));
        buf_free(&out);
        buf_free(&errors);
    }
}

static void secrets_are_not_shown(void **state)
{
    (void)state;
    static const char *const WAYS[][MAX_WORDS] = {{"config", "show"}, {"config", "show", "--json"}};
    for (size_t i = 0; i < 2; i++) {
        buf_t out = BUF_INIT, errors = BUF_INIT;
        assert_int_equal(run(WAYS[i], "MOODLE_DATABASE_PASSWORD=hush-hush", &out, &errors), 0);
        assert_null(strstr(buf_cstr(&out), "hush-hush"));
        assert_null(strstr(buf_cstr(&errors), "hush-hush"));
        assert_non_null(strstr(buf_cstr(&out), "<secret>"));
        buf_free(&out);
        buf_free(&errors);
    }
}

static void a_foreign_command_that_fails(void **state)
{
    (void)state;
    buf_t out = BUF_INIT, errors = BUF_INIT;
    assert_int_equal(run((const char *const[MAX_WORDS]){"run", "--", "/nonexistent/x"}, NULL, &out, &errors),
                     127);
    assert_int_equal(run((const char *const[MAX_WORDS]){"run", "--", "/etc/passwd"}, NULL, &out, &errors),
                     126);
    assert_int_equal(
        run((const char *const[MAX_WORDS]){"run", "--", "sh", "-c", "exit 5"}, NULL, &out, &errors), 5);
    buf_free(&out);
    buf_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_no_in_two_lines),
        cmocka_unit_test(answers),
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(a_foreign_command_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
