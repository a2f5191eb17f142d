#include "supervisor/spawn.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum {
    STEP_SESSION,
    STEP_FDS,
    STEP_LIMITS,
    STEP_USER,
    STEP_PRIVILEGES,
    STEP_EXEC,
    STEP_COUNT_
} spawn_step_t;
static const char *const STEP_TEXT[STEP_COUNT_] = {[STEP_SESSION] = "starting a session",
                                                   [STEP_FDS] = "arranging file descriptors",
                                                   [STEP_LIMITS] = "setting limits",
                                                   [STEP_USER] = "switching user and groups",
                                                   [STEP_PRIVILEGES] = "giving up new privileges",
                                                   [STEP_EXEC] = "executing"};

typedef struct {
    spawn_step_t step;
    int error;
} spawn_report_t;

typedef struct {
    int in[2], out[2], err[2], report[2];
} pipes_t;

void spawn_reset_signals(void)
{
    struct sigaction sa = {.sa_handler = SIG_DFL};
    sigemptyset(&sa.sa_mask);
    for (int sig = 1; sig <= SIGRTMAX; sig++)
        sigaction(sig, &sa, NULL); /* fails for KILL, STOP and glibc's own: fine */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* From here to exec only async-signal-safe calls (signal-safety(7)): the process is a copy of one with open libraries. */
static void child_fail(int report, spawn_step_t step)
{
    spawn_report_t r = {step, errno};
    if (write(report, &r, sizeof r) < 0) _exit(127);
    _exit(127);
}

static void write_oom_score(int value)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d", value);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (write(fd, text, (size_t)n) < 0) errno = 0; /* lowering needs a capability: a wish, not a need */
    close(fd);
}

static int arrange_fds(const spawn_spec_t *spec, const pipes_t *p)
{
    int in = spec->want_stdin ? p->in[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || dup2(in, 0) < 0 || dup2(p->out[1], 1) < 0 || dup2(p->err[1], 2) < 0) return -1;
    /* The pipes were made above 2, so dup2 really copied and close-on-exec is off on 0 to 2 only. */
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return -1;
    return spec->extra_fd > 2 ? fcntl(spec->extra_fd, F_SETFD, 0) : 0;
}

static int set_limits(const spawn_spec_t *spec)
{
    struct rlimit none = {0, 0};
    if (spec->oom_score_adj) write_oom_score(spec->oom_score_adj);
    if (spec->nice && setpriority(PRIO_PROCESS, 0, spec->nice) < 0) return -1;
    umask(spec->umask);
    return setrlimit(RLIMIT_CORE, &none);
}

static int switch_user(const spawn_spec_t *spec)
{
    if (!spec->switch_user) return 0;
    if (setgroups(0, NULL) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0) return -1;
    return setresuid(spec->uid, spec->uid, spec->uid);
}

static void child_main(const spawn_spec_t *spec, const pipes_t *p)
{
    int report = p->report[1];
    if (setsid() < 0) child_fail(report, STEP_SESSION);
    if (arrange_fds(spec, p) < 0) child_fail(report, STEP_FDS);
    if (set_limits(spec) < 0) child_fail(report, STEP_LIMITS);
    if (switch_user(spec) < 0) child_fail(report, STEP_USER);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) child_fail(report, STEP_PRIVILEGES);
    spawn_reset_signals();
    execve(spec->argv[0], spec->argv, spec->envp);
    child_fail(report, STEP_EXEC);
}

/* A pipe with both ends above 2, so that arranging 0 to 2 never overwrites one. */
static int high_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) < 0) return -1;
    for (int i = 0; i < 2; i++) {
        if (fds[i] > 2) continue;
        int high = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (high < 0) return -1;
        close(fds[i]);
        fds[i] = high;
    }
    return 0;
}

static void close_pipes(pipes_t *p)
{
    int *all = (int *)p;
    for (size_t i = 0; i < sizeof *p / sizeof(int); i++) fd_close(&all[i]);
}

static int open_pipes(const spawn_spec_t *spec, pipes_t *p)
{
    if (high_pipe(p->out) < 0 || high_pipe(p->err) < 0 || high_pipe(p->report) < 0) return -1;
    if (spec->want_stdin && high_pipe(p->in) < 0) return -1;
    /* A child that opens /dev/stdout or /dev/stderr by path needs the right to: the pipe is root's, the child may not be. */
    if (spec->switch_user &&
        (fchown(p->out[1], spec->uid, spec->gid) < 0 || fchown(p->err[1], spec->uid, spec->gid) < 0))
        return -1;
    return 0;
}

int spawn_child(const spawn_spec_t *spec, spawned_t *ret, err_t *err)
{
    pipes_t p = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    sigset_t all, before;
    if (open_pipes(spec, &p) < 0) {
        err_sys(err, ERR_SPAWN, "pipes for %s", spec->argv[0]);
        close_pipes(&p);
        return -1;
    }
    sigfillset(&all); /* no handler of ours may run in the child */
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) child_main(spec, &p);
    int saved = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    if (pid < 0) {
        err_sys(err, ERR_SPAWN, "fork for %s", spec->argv[0]);
        close_pipes(&p);
        return -1;
    }
    *ret = (spawned_t){.pid = pid, .in = p.in[1], .out = p.out[0], .err = p.err[0], .report = p.report[0]};
    p.in[1] = p.out[0] = p.err[0] = p.report[0] = -1;
    close_pipes(&p);
    return 0;
}

bool spawn_failed(int *report, const char *program, err_t *err)
{
    spawn_report_t r;
    fcntl(*report, F_SETFL,
          O_NONBLOCK); /* a daemonised grandchild cannot hold it: close-on-exec; be sure all the same */
    ssize_t n = *report >= 0 ? read(*report, &r, sizeof r) : 0;
    fd_close(report);
    if (n != (ssize_t)sizeof r || r.step >= STEP_COUNT_) return false;
    errno = r.error;
    err_sys(err, ERR_SPAWN, "%s %s", STEP_TEXT[r.step], program);
    return true;
}
