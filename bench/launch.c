/* launch [--namespace] [--output FD] PROGRAM ARGUMENTS...: starts one contestant, as PID 1 of a PID namespace with a /proc of its own
 * when asked, its standard output and error on FD (else /dev/null), and keeps time. On standard output: "pid N" (as seen from outside), "start NS" just before the exec; after the line "term" on standard
 * input, which sends SIGTERM, "sent NS" (when) and "gone NS STATUS" with the time from signal to exit. End of input kills. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void become(char **argv, bool namespaced, int output, int out)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (namespaced && mount("proc", "/proc", "proc", 0, NULL) < 0) _exit(70);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    for (int fd = 0; fd < 3; fd++) dup2(fd > 0 && output > 2 ? output : null, fd);
    if (output > 2) close(output);
    dprintf(out, "start %llu\n", (unsigned long long)now_ns());
    execv(argv[0], argv);
    _exit(127);
}

static void stop(pid_t pid, int sig, int out)
{
    int status = 0;
    uint64_t begin = now_ns();
    kill(pid, sig);
    waitpid(pid, &status, 0);
    dprintf(out, "sent %llu\ngone %llu %d\n", (unsigned long long)begin,
            (unsigned long long)(now_ns() - begin),
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
    bool namespaced = argc > 1 && strcmp(argv[1], "--namespace") == 0;
    char **command = argv + (namespaced ? 2 : 1), line[16];
    int output = -1;
    if (command[0] && command[1] && strcmp(command[0], "--output") == 0) {
        output = (int)strtol(command[1], NULL, 10);
        command += 2;
    }
    if (!*command) return 64;
    if (namespaced &&
        (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)) {
        perror("namespace");
        return 71;
    }
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    pid_t pid = fork();
    if (pid == 0) become(command, namespaced, output, out);
    if (output > 2) close(output);
    if (pid < 0) return 71;
    dprintf(out, "pid %d\n", (int)pid);
    bool term = fgets(line, sizeof line, stdin) && strcmp(line, "term\n") == 0;
    stop(pid, term ? SIGTERM : SIGKILL, out);
    return 0;
}
