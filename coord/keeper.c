#include "coord/keeper.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "coord/keeper_child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct shared {
    _Atomic uint64_t deadline;
    _Atomic int group;
} shared_t;

int keeper_prepare(keeper_t *k, uint64_t deadline_ms, err_t *err)
{
    *k = (keeper_t){.control = -1, .result = -1, .out = -1, .err = -1};
    shared_t *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED) return err_sys(err, ERR_MEMORY, "shared memory for the keeper");
    atomic_store(&s->deadline, deadline_ms);
    k->deadline = &s->deadline;
    k->group = &s->group;
    return 0;
}

static int pipes_make(int pipes[KEEPER_PIPES][2], err_t *err)
{
    for (int i = 0; i < KEEPER_PIPES; i++) pipes[i][0] = pipes[i][1] = -1;
    for (int i = 0; i < KEEPER_PIPES; i++)
        if (pipe2(pipes[i], O_CLOEXEC) < 0) return err_sys(err, ERR_SPAWN, "pipe");
    return 0;
}

static void pipes_close(int pipes[KEEPER_PIPES][2])
{
    for (int i = 0; i < KEEPER_PIPES; i++) {
        fd_close(&pipes[i][0]);
        fd_close(&pipes[i][1]);
    }
}

static int take(int *fd)
{
    int copy = *fd;
    *fd = -1;
    return copy;
}

int keeper_start(keeper_t *k, const keeper_spec_t *spec, err_t *err)
{
    uint64_t deadline = atomic_load(k->deadline);
    if (deadline && clock_ms() + spec->margin_ms >= deadline)
        return err_set(err, ERR_LOCK_LOST, "too little is left of the lease to start %s", spec->argv[0]);
    int pipes[KEEPER_PIPES][2];
    if (pipes_make(pipes, err) < 0) {
        pipes_close(pipes);
        return -1;
    }
    if (spec->input) {
        /* a pipe takes 64 KiB before it blocks (pipe(7)); ours is small and nobody has to feed it later */
        if (fd_write_all(pipes[KEEPER_IN][1], spec->input, strlen(spec->input)) < 0)
            err_sys(err, ERR_SPAWN, "input");
    }
    fd_close(&pipes[KEEPER_IN][1]);
    pid_t role = getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    k->pid = fork();
    if (k->pid == 0) keeper_main(spec, pipes, k->deadline, k->group, role);
    if (k->pid < 0) {
        pipes_close(pipes);
        return err_sys(err, ERR_SPAWN, "fork");
    }
    k->control = take(&pipes[KEEPER_CONTROL][1]);
    k->result = take(&pipes[KEEPER_RESULT][0]);
    k->out = take(&pipes[KEEPER_OUT][0]);
    k->err = take(&pipes[KEEPER_ERR][0]);
    pipes_close(pipes);
    return 0;
}

static void tell(keeper_t *k, char what)
{
    if (k->control >= 0 && write(k->control, &what, 1) < 0 && errno != EPIPE) kill(k->pid, SIGTERM);
}

void keeper_term(keeper_t *k) { tell(k, KEEPER_SAY_TERM); }
void keeper_kill(keeper_t *k) { tell(k, KEEPER_SAY_KILL); }

static void child_kill(pid_t pid, const proc_stat_t *p, void *arg)
{
    (void)p;
    (void)arg;
    kill(pid, SIGKILL);
}

/* The keeper was killed: the parent-death signal took the program's leader only. Whatever else it started, also in groups of its
 * own, is ours now (keeper_start), and a role has no other children. */
static void orphans_kill(const keeper_t *k)
{
    int group = atomic_load(k->group);
    if (group > 1) kill(-group, SIGKILL);
    while (proc_children(child_kill, NULL) > 0) {
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        clock_sleep_ms(5);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

keeper_result_t keeper_finish(keeper_t *k)
{
    keeper_result_t r = {KEEPER_ORPHANED, 0};
    ssize_t n;
    while ((n = read(k->result, &r, sizeof r)) < 0 && errno == EINTR) continue;
    bool told = n == (ssize_t)sizeof r;
    fd_close(&k->control);
    while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR) continue;
    k->pid = 0;
    if (told) return r;
    orphans_kill(k);
    return (keeper_result_t){KEEPER_ORPHANED, SIGKILL};
}

void keeper_free(keeper_t *k)
{
    if (k->pid > 0) {
        keeper_kill(k);
        keeper_finish(k);
    }
    fd_close(&k->control);
    fd_close(&k->result);
    fd_close(&k->out);
    fd_close(&k->err);
    if (k->deadline) munmap((void *)k->deadline, sizeof(shared_t));
    k->deadline = NULL;
    k->group = NULL;
}
