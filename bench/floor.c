/* The least that a supervisor on epoll can be: starts each argument as a program, reaps, starts again what dies, hands SIGTERM on, ends
 * with the last. `floor --wrap PROGRAM` also reads its program's output and writes each line as a JSON object, one write a read: the
 * physical limit of a log path. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX = 8 };
static pid_t pids[MAX];
static char *programs[MAX];
static int count, left, pipe_fds[2] = {-1, -1};
static bool stopping;

static int start(int i)
{
    sigset_t none;
    sigemptyset(&none);
    pids[i] = fork();
    if (pids[i] == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (pipe_fds[1] >= 0) dup2(pipe_fds[1], STDOUT_FILENO);
        execv(programs[i], (char *[]){programs[i], NULL});
        _exit(127);
    }
    return pids[i] < 0 ? -1 : 0;
}

static void reap(void)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int i = 0; i < count; i++)
            if (pids[i] == pid) {
                pids[i] = 0;
                if (stopping || start(i) < 0) left--;
            }
}

static void on_signal(int fd)
{
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo == SIGCHLD) return reap();
    stopping = true;
    for (int i = 0; i < count; i++)
        if (pids[i] > 0) kill(pids[i], (int)info.ssi_signo);
}

/* One time stamp and one prefix a read, as any wrapper can have it at best. Partial lines at the end of a read wait for the next. */
static void wrap(void)
{
    static char in[65536], out[4 * sizeof in];
    static size_t have;
    char prefix[96];
    ssize_t n = read(pipe_fds[0], in + have, sizeof in - have);
    if (n <= 0) return;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    size_t len = (size_t)snprintf(prefix, sizeof prefix, "{\"ts\":%lld.%03ld,\"src\":\"child\",\"msg\":\"",
                                  (long long)t.tv_sec, t.tv_nsec / 1000000);
    size_t used = 0;
    char *at = in, *end = in + have + n, *nl;
    while ((nl = memchr(at, '\n', (size_t)(end - at)))) {
        memcpy(out + used, prefix, len);
        used += len;
        for (; at < nl; at++) {
            if ((unsigned char)*at < 32 || *at == '"' || *at == '\\') out[used++] = '\\';
            out[used++] = *at;
        }
        memcpy(out + used, "\"}\n", 3);
        used += 3;
        at = nl + 1;
    }
    have = (size_t)(end - at);
    memmove(in, at, have);
    for (size_t done = 0; done < used;) {
        n = write(STDOUT_FILENO, out + done, used - done);
        if (n <= 0) return;
        done += (size_t)n;
    }
}

int main(int argc, char **argv)
{
    bool wrapping = argc > 1 && strcmp(argv[1], "--wrap") == 0;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int sfd = signalfd(-1, &set, SFD_CLOEXEC), ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = sfd};
    epoll_ctl(ep, EPOLL_CTL_ADD, sfd, &ev);
    if (wrapping && pipe(pipe_fds) == 0) {
        ev.data.fd = pipe_fds[0];
        epoll_ctl(ep, EPOLL_CTL_ADD, pipe_fds[0], &ev);
    }
    for (int i = wrapping ? 2 : 1; i < argc && count < MAX; i++) {
        programs[count] = argv[i];
        if (start(count++) < 0) return 71;
        left++;
    }
    while (left > 0)
        if (epoll_wait(ep, &ev, 1, -1) == 1) {
            if (ev.data.fd == sfd)
                on_signal(sfd);
            else
                wrap();
        }
    return 0;
}
