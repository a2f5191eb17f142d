#include "bootstrap/runner.h"
#include "base/clock.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1 << 16, CHILD_USER = 126, CHILD_EXEC = 127, POLL_MS = 5 };

/* In the child, between fork and exec: as `user`, with stdin from nowhere, dying with us. */
static void child_begin(const runner_user_t *user, int out, int errs)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(out >= 0 ? out : null, STDOUT_FILENO);
    dup2(errs >= 0 ? errs : null, STDERR_FILENO);
    if (user && geteuid() == 0 &&
        (setgroups(1, &user->gid) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0))
        _exit(CHILD_USER);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
}

/* Waits; after the deadline it kills. Exit status, 128 + signal, or -1 when it had to be killed. */
static int child_wait(pid_t pid, uint64_t deadline)
{
    for (bool killed = false;;) {
        int status = 0;
        pid_t got = waitpid(pid, &status, killed ? 0 : WNOHANG);
        if (got == pid && killed) return -1;
        if (got == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (got < 0 && errno != EINTR) return -1;
        if (clock_ms() >= deadline) {
            kill(pid, SIGKILL);
            killed = true;
        } else if (got == 0) {
            clock_sleep_ms(POLL_MS);
        }
    }
}

static int finish(pid_t pid, const char *what, uint64_t deadline, int timeout_ms, err_t *err)
{
    int status = child_wait(pid, deadline);
    if (status < 0) return err_set(err, ERR_SPAWN, "%s did not end within %d ms", what, timeout_ms);
    if (status == CHILD_USER) return err_set(err, ERR_SPAWN, "%s: cannot become its user", what);
    return status;
}

/* Reads both pipes until both are at their end or the time is over. */
static void read_outputs(int fds[2], buf_t *out[2], uint64_t deadline)
{
    while (fds[0] >= 0 || fds[1] >= 0) {
        uint64_t now = clock_ms();
        struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
        if (now >= deadline || (poll(p, 2, (int)(deadline - now)) < 0 && errno != EINTR)) return;
        for (int i = 0; i < 2; i++) {
            char chunk[4096];
            if (!(p[i].revents & (POLLIN | POLLHUP | POLLERR))) continue;
            ssize_t n = read(fds[i], chunk, sizeof chunk);
            if (n > 0 && out[i]->len + (size_t)n <= OUTPUT_MAX) buf_add(out[i], chunk, (size_t)n);
            if (n == 0 || (n < 0 && errno != EINTR)) fd_close(&fds[i]);
        }
    }
}

int runner_program(char *const argv[], const runner_user_t *user, int timeout_ms, buf_t *ret_out,
                   buf_t *ret_err, err_t *err)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                lang[] = "LANG=C.UTF-8";
    char *const envp[] = {path, lang, NULL};
    int out[2], errs[2];
    uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
    if (pipe2(out, O_CLOEXEC) < 0) return err_sys(err, ERR_OS, "pipe");
    if (pipe2(errs, O_CLOEXEC) < 0) {
        err_sys(err, ERR_OS, "pipe");
        close(out[0]);
        close(out[1]);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        child_begin(user, out[1], errs[1]);
        execve(argv[0], argv, envp);
        _exit(CHILD_EXEC);
    }
    close(out[1]);
    close(errs[1]);
    int fds[2] = {out[0], errs[0]};
    buf_t *bufs[2] = {ret_out, ret_err};
    if (pid > 0) read_outputs(fds, bufs, deadline);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    if (pid < 0) return err_sys(err, ERR_SPAWN, "fork");
    int status = finish(pid, argv[0], deadline, timeout_ms, err);
    if (status == CHILD_EXEC && access(argv[0], X_OK) < 0)
        return err_sys(err, ERR_PROGRAM_MISSING, "%s", argv[0]);
    return status;
}

int runner_call(int (*fn)(void *arg), void *arg, const runner_user_t *user, int timeout_ms, err_t *err)
{
    uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
    pid_t pid = fork();
    if (pid < 0) return err_sys(err, ERR_SPAWN, "fork");
    if (pid == 0) {
        child_begin(user, -1, -1);
        _exit(fn(arg));
    }
    return finish(pid, "a check as the web user", deadline, timeout_ms, err);
}
