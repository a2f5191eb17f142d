/* proc MODE: a small process for the tests of the supervisor. Every mode prints `ready` when a test may go on.
 *   signals   prints blocked and ignored signals, umask and open descriptors, then ends
 *   obedient  ends with 0 at SIGTERM          stubborn  ignores SIGTERM
 *   forker    leaves a sleeping orphan in a session of its own and ends with 0
 *   dies N    ends with status N              killed    kills itself with SIGKILL
 *   noisy N   writes N lines of 200 bytes     echo      repeats its stdin, line by line */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_signals(void)
{
    char line[256];
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0 ||
            strncmp(line, "NoNewPrivs", 10) == 0)
            fputs(line, stdout);
    if (f) fclose(f);
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    printf("umask %03o core %d session %d\nfds", (unsigned)umask(022), (int)core.rlim_cur,
           getsid(0) == getpid());
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && strtol(e->d_name, NULL, 10) != dirfd(d)) printf(" %s", e->d_name);
    puts("");
    if (d) closedir(d);
}

static void on_term(int sig)
{
    (void)sig;
    _exit(0);
}

static void forker(void)
{
    if (fork() == 0) {
        setsid();
        execl("/bin/sleep", "sleep", "1000", (char *)NULL);
        _exit(127);
    }
}

static void noisy(long n)
{
    char line[201];
    memset(line, 'n', 199);
    line[199] = '\n';
    line[200] = '\0';
    for (long i = 0; i < n; i++) { /* no two alike: repeats are folded */
        int digits = snprintf(line, sizeof line, "%ld", i);
        line[digits] = 'n';
        fputs(line, stdout);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    long n = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    setvbuf(stdout, NULL, strcmp(mode, "noisy") == 0 ? _IOFBF : _IOLBF, 65536);
    if (strcmp(mode, "signals") == 0) print_signals();
    if (strcmp(mode, "obedient") == 0) signal(SIGTERM, on_term);
    if (strcmp(mode, "stubborn") == 0) signal(SIGTERM, SIG_IGN);
    if (strcmp(mode, "forker") == 0) forker();
    if (strcmp(mode, "noisy") == 0) noisy(n);
    puts("ready");
    fflush(stdout);
    if (strcmp(mode, "obedient") == 0 || strcmp(mode, "stubborn") == 0)
        for (;;) pause();
    if (strcmp(mode, "killed") == 0) raise(SIGKILL);
    char line[256];
    while (strcmp(mode, "echo") == 0 && fgets(line, sizeof line, stdin)) fputs(line, stdout);
    return strcmp(mode, "dies") == 0 ? (int)n : 0;
}
