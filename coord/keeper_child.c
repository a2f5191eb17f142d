#include "coord/keeper_child.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXEC_FAILED = 126, FDS_FIRST_FREE = 3 };

typedef struct keep {
    int control, result, signals, timer;
    _Atomic uint64_t *deadline;
    _Atomic int *group;
    pid_t program;
    keeper_why_t why;
    int status;
} keep_t;

/* ---- the program, before exec ---- */

static _Noreturn void give_up(const char *step)
{
    dprintf(STDERR_FILENO, "moodlectl-role: starting a job: %s: %s\n", step, strerror(errno));
    _exit(EXEC_FAILED);
}

static void signals_reset(void)
{
    for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void user_become(const keeper_spec_t *spec)
{
    if (geteuid() != 0) return;
    if (setgroups(0, NULL) < 0) give_up("setgroups");
    if (setgid(spec->gid) < 0) give_up("setgid");
    if (setuid(spec->uid) < 0) give_up("setuid");
}

static _Noreturn void program_exec(const keeper_spec_t *spec, int pipes[KEEPER_PIPES][2],
                                   const _Atomic uint64_t *deadline, pid_t keeper)
{
    setsid();
    if (spec->input ? dup2(pipes[KEEPER_IN][0], STDIN_FILENO) < 0 : false) give_up("stdin");
    if (dup2(pipes[KEEPER_OUT][1], STDOUT_FILENO) < 0 || dup2(pipes[KEEPER_ERR][1], STDERR_FILENO) < 0)
        give_up("output");
    if (!spec->input) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0) give_up("/dev/null");
    }
    close_range(FDS_FIRST_FREE, ~0U, 0);
    if (chdir(spec->dir ? spec->dir : "/") < 0) give_up("chdir");
    user_become(spec);
    /* after setuid, which clears it (prctl(2)) */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != keeper) _exit(EXEC_FAILED);
    signals_reset();
    umask(0002);
    uint64_t d = atomic_load(deadline);
    if (d && clock_ms() + spec->margin_ms >= d) {
        errno = ETIME;
        give_up("the lease");
    }
    execve(spec->argv[0], spec->argv, spec->envp);
    give_up(spec->argv[0]);
}

/* ---- the keeper ---- */

static void child_kill(pid_t pid, const proc_stat_t *p, void *arg)
{
    (void)p;
    (void)arg;
    kill(pid, SIGKILL);
}

static void reap(keep_t *k)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == k->program) {
            k->program = 0;
            k->status = status;
        }
}

/* Until nothing is left below us. A process in uninterruptible sleep (dead NFS) is waited for: it may still write. */
static void all_kill(keep_t *k)
{
    int group = atomic_load(k->group);
    for (;;) {
        if (group > 1) kill(-group, SIGKILL);
        /* the program, and what it left behind: we are its subreaper */
        unsigned left = proc_children(child_kill, NULL);
        reap(k);
        if (left == 0 && k->program == 0) return;
        clock_sleep_ms(5);
    }
}

static void timer_set(keep_t *k)
{
    uint64_t d = atomic_load(k->deadline);
    struct itimerspec t = {.it_value = {.tv_sec = (time_t)(d / 1000), .tv_nsec = (long)(d % 1000) * 1000000}};
    timerfd_settime(k->timer, TFD_TIMER_ABSTIME, &t, NULL); /* 0: disarmed */
}

static bool deadline_passed(const keep_t *k)
{
    uint64_t d = atomic_load(k->deadline);
    return d && clock_ms() >= d;
}

static void on_timer(keep_t *k)
{
    uint64_t count;
    if (read(k->timer, &count, sizeof count) < 0) return;
    if (!deadline_passed(k)) {
        timer_set(k);
        return;
    }
    k->why = KEEPER_DEADLINE;
    all_kill(k);
}

static void on_control(keep_t *k)
{
    char c;
    ssize_t n = read(k->control, &c, 1);
    if (n == 1 && c == KEEPER_SAY_TERM && k->program) {
        if (kill(-k->program, SIGTERM) < 0) kill(k->program, SIGTERM); /* it may not lead its group yet */
    } else if (n == 0 || (n == 1 && c == KEEPER_SAY_KILL)) {
        k->why = n == 0 ? KEEPER_ORPHANED : KEEPER_TOLD;
        all_kill(k);
    }
}

static void on_signal(keep_t *k)
{
    struct signalfd_siginfo si;
    if (read(k->signals, &si, sizeof si) != (ssize_t)sizeof si) return;
    reap(k);
    if (si.ssi_signo == SIGTERM &&
        k->program) { /* the role died (parent-death signal), or somebody wants us gone */
        k->why = KEEPER_ORPHANED;
        all_kill(k);
    }
}

static void keep_loop(keep_t *k)
{
    timer_set(k);
    reap(k);
    while (k->program) {
        struct pollfd p[] = {{.fd = k->timer, .events = POLLIN},
                             {.fd = k->control, .events = POLLIN},
                             {.fd = k->signals, .events = POLLIN}};
        if (poll(p, 3, -1) < 0) continue;
        if (p[0].revents) on_timer(k);
        if (p[2].revents) on_signal(k);
        if (k->program && p[1].revents) on_control(k);
    }
    all_kill(k); /* what the program left running */
}

static void keep_setup(keep_t *k, sigset_t *old)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, old);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    k->signals = signalfd(-1, &set, SFD_CLOEXEC);
    k->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
}

/* Only what the keeper needs stays open: the role's other descriptors are not ours to keep alive. */
static void descriptors_close(const keep_t *k, int hold_fd)
{
    int keep[] = {k->control, k->result, k->signals, k->timer, hold_fd};
    for (int fd = 0; fd < 1024; fd++) {
        bool ours = false;
        for (size_t i = 0; i < sizeof keep / sizeof *keep; i++) ours = ours || keep[i] == fd;
        if (!ours) close(fd);
    }
}

_Noreturn void keeper_main(const keeper_spec_t *spec, int pipes[KEEPER_PIPES][2], _Atomic uint64_t *deadline,
                           _Atomic int *group, pid_t role)
{
    keep_t k = {.control = pipes[KEEPER_CONTROL][0],
                .result = pipes[KEEPER_RESULT][1],
                .deadline = deadline,
                .group = group};
    sigset_t old;
    setsid(); /* a SIGKILL to the role's group must not take the one who cleans up */
    prctl(PR_SET_NAME, "moodlectl-keep", 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    keep_setup(&k, &old);
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    close(pipes[KEEPER_CONTROL][1]); /* or we would never see the role's end */
    if (getppid() != role || deadline_passed(&k)) _exit(1);
    pid_t self = getpid();
    k.program = fork();
    if (k.program == 0) program_exec(spec, pipes, deadline, self);
    if (k.program < 0) _exit(1);
    atomic_store(group, k.program);
    descriptors_close(&k, spec->hold_fd);
    keep_loop(&k);
    keeper_result_t r = {k.why, k.status};
    _exit(write(k.result, &r, sizeof r) == (ssize_t)sizeof r ? 0 : 1);
}
