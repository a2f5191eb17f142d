#include "supervisor/spawn.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef enum {
    STEP_FORK,
    STEP_SESSION,
    STEP_FDS,
    STEP_LIMITS,
    STEP_CAPABILITIES,
    STEP_USER,
    STEP_PRIVILEGES,
    STEP_EXEC,
    STEP_COUNT_
} spawn_step_t;
static const char *const STEP_TEXT[STEP_COUNT_] = {
    [STEP_FORK] = "making a process for",           [STEP_SESSION] = "starting a session",
    [STEP_FDS] = "arranging file descriptors",      [STEP_LIMITS] = "setting limits",
    [STEP_CAPABILITIES] = "bounding capabilities",  [STEP_USER] = "switching user and groups",
    [STEP_PRIVILEGES] = "giving up new privileges", [STEP_EXEC] = "executing"};

typedef struct {
    spawn_step_t step;
    int error;
} spawn_report_t;

typedef struct {
    int in[2], out[2], err[2];
} pipes_t;

static int oom_fd = -1; /* our own oom_score_adj */
static int oom_base;
static uint64_t bounding; /* capabilities that can be dropped */

void spawn_init(void)
{
    char text[16] = "";
    oom_fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (oom_fd >= 0 && read(oom_fd, text, sizeof text - 1) > 0) oom_base = (int)strtol(text, NULL, 10);
    for (int cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) bounding |= 1ULL << cap;
}

/* The child inherits it, and we go back: raising and undoing it needs no privilege (proc(5)), writing it for a child that has another
 * user, or that may not be looked at, would. A wish, not a need. */
static void set_oom_score(int more)
{
    char text[16];
    int value = oom_base + more < 1000 ? oom_base + more : 1000;
    int n = snprintf(text, sizeof text, "%d", value);
    if (oom_fd >= 0 && pwrite(oom_fd, text, (size_t)n, 0) < 0) errno = 0;
}

void spawn_ignore_none(void)
{
    const struct sigaction otherwise = {.sa_handler = SIG_DFL};
    for (int sig = 1; sig <= SIGRTMAX; sig++) {
        struct sigaction was;
        if (sigaction(sig, NULL, &was) == 0 && was.sa_handler == SIG_IGN) sigaction(sig, &otherwise, NULL);
    }
}

void spawn_reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    spawn_ignore_none();
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* From here to exec only async-signal-safe calls (signal-safety(7)), and no memory written but its own stack and the report: the
 * child of vfork(2) runs in our memory. */

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
    struct rlimit none = {0, 0}, files;
    if (spec->nice && setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + spec->nice) < 0) return -1;
    if (spec->nofile && getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < spec->nofile) {
        files.rlim_cur = files.rlim_max < spec->nofile ? files.rlim_max : spec->nofile;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    umask(spec->umask);
    return setrlimit(RLIMIT_CORE, &none);
}

/* What root gets at an exec is bounded by two sets (capabilities(7), "Transformation of capabilities during execve"). Without
 * CAP_SETPCAP the first cannot be made smaller; without root nothing is left of it anyway. */
static int bound_capabilities(const spawn_spec_t *spec)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    for (int cap = 0; cap < 64; cap++)
        if (bounding & ~spec->caps & 1ULL << cap) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (syscall(SYS_capget, &head, sets) < 0) return -1;
    sets[0].inheritable &= (uint32_t)spec->caps;
    sets[1].inheritable &= (uint32_t)(spec->caps >> 32);
    return (int)syscall(SYS_capset, &head, sets);
}

static int switch_user(const spawn_spec_t *spec)
{
    if (!spec->switch_user) return 0;
    if (setgroups(0, NULL) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0) return -1;
    return setresuid(spec->uid, spec->uid, spec->uid);
}

/* Returns only when there was nothing to become, with the step that failed in errno. */
static spawn_step_t child_main(const spawn_spec_t *spec, const pipes_t *p)
{
    static const sigset_t none;
    if (setsid() < 0) return STEP_SESSION;
    if (arrange_fds(spec, p) < 0) return STEP_FDS;
    if (set_limits(spec) < 0) return STEP_LIMITS;
    if (bound_capabilities(spec) < 0) return STEP_CAPABILITIES;
    if (switch_user(spec) < 0) return STEP_USER;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return STEP_PRIVILEGES;
    sigprocmask(SIG_SETMASK, &none, NULL); /* no signal is ignored (spawn_ignore_none), so that is all */
    execve(spec->argv[0], spec->argv, spec->envp);
    return STEP_EXEC;
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
    if (high_pipe(p->out) < 0 || high_pipe(p->err) < 0) return -1;
    if (spec->want_stdin && high_pipe(p->in) < 0) return -1;
    /* A child that opens /dev/stdout or /dev/stderr by path needs the right to: the pipe is root's, the child may not be. */
    if (spec->switch_user &&
        (fchown(p->out[1], spec->uid, spec->gid) < 0 || fchown(p->err[1], spec->uid, spec->gid) < 0))
        return -1;
    return 0;
}

/* vfork(2): no page table is copied and no page faults twice. We go on when the child has executed its program, which lies in the
 * same image as our own. Its memory is ours until then, and closed to other processes of its user (PR_SET_DUMPABLE is 0). */
static pid_t fork_and_exec(const spawn_spec_t *spec, const pipes_t *p, volatile spawn_report_t *report)
{
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (pid != 0) return pid;
    report->step = child_main(spec, p); /* NOLINT(clang-analyzer-unix.Vfork) */
    report->error = errno;
    _exit(127);
}

int spawn_child(const spawn_spec_t *spec, spawned_t *ret, err_t *err)
{
    pipes_t p = {{-1, -1}, {-1, -1}, {-1, -1}};
    if (open_pipes(spec, &p) < 0) {
        err_sys(err, ERR_SPAWN, "pipes for %s", spec->argv[0]);
        close_pipes(&p);
        return -1;
    }
    volatile spawn_report_t report = {STEP_COUNT_, 0};
    if (spec->oom_score_adj) set_oom_score(spec->oom_score_adj);
    pid_t pid = fork_and_exec(spec, &p, &report);
    if (pid < 0) report = (spawn_report_t){STEP_FORK, errno};
    if (spec->oom_score_adj) set_oom_score(0);
    if (report.step != STEP_COUNT_) {
        close_pipes(&p);
        errno = report.error;
        return err_sys(err, ERR_SPAWN, "%s %s", STEP_TEXT[report.step], spec->argv[0]);
    }
    *ret = (spawned_t){.pid = pid, .in = p.in[1], .out = p.out[0], .err = p.err[0]};
    p.in[1] = p.out[0] = p.err[0] = -1;
    close_pipes(&p);
    return 0;
}
