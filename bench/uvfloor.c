/* The least that a supervisor on libuv can be: starts each argument as a program, reaps, starts again what dies, hands SIGTERM
 * on, ends with the last. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { MAX = 8 };
static pid_t pids[MAX];
static char *programs[MAX];
static int count, left, stopping;

static int start(int i)
{
    pids[i] = fork();
    if (pids[i] == 0) {
        execv(programs[i], (char *[]){programs[i], NULL});
        _exit(127);
    }
    return pids[i] < 0 ? -1 : 0;
}

static void on_child(uv_signal_t *s, int sig)
{
    (void)sig;
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int i = 0; i < count; i++)
            if (pids[i] == pid) {
                pids[i] = 0;
                if (stopping || start(i) < 0) left--;
            }
    if (left == 0) uv_stop(s->loop);
}

static void on_term(uv_signal_t *s, int sig)
{
    (void)s;
    stopping = 1;
    for (int i = 0; i < count; i++)
        if (pids[i] > 0) kill(pids[i], sig);
}

int main(int argc, char **argv)
{
    uv_signal_t chld, term;
    uv_loop_t *loop = uv_default_loop();
    uv_signal_init(loop, &chld);
    uv_signal_init(loop, &term);
    uv_signal_start(&chld, on_child, SIGCHLD);
    uv_signal_start(&term, on_term, SIGTERM);
    for (int i = 1; i < argc && count < MAX; i++) {
        programs[count] = argv[i];
        if (start(count++) < 0) return 71;
        left++;
    }
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}
