/* The child of every contestant. What it plays depends on the name it is started under:
 *   service         reports the time of its main() and waits for a signal
 *   nginx           the same, and accepts connections on the address in the file "listen"
 *   php-fpm         the same, and answers every FastCGI request on "run/fpm.sock" with a pong
 *   php             ends at once
 *   moodlectl-role  `prepare` says that everything is rendered and ends, `lead` says that the database is current and stays
 * Told by a signal, whatever it plays: SIGUSR1 leaves ORPHANS dead children to PID 1 at once and reports when the last has been
 * reaped ("reaped NS", the time it took); SIGUSR2 writes LINES lines of 200 bytes to standard output ("written NS"); SIGHUP writes a
 * line every half millisecond, SLOW_LINES of them, each with the time of its write ("paced NS"). A stop is reported with the time it
 * came ("stopped NS").
 * Files and the report socket lie beside the program: a supervisor may give its children any environment. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ORPHANS = 20000, LINES = 300000, SLOW_LINES = 6000, PACE_NS = 500000 };

static char dir[PATH_MAX - 64];

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static volatile sig_atomic_t wanted;

static void report(const char *name, uint64_t ns);

static void on_stop(int sig)
{
    uint64_t now =
        now_ns(); /* vDSO: safe in a handler, as are socket(2) and sendto(2); snprintf of numbers is in glibc */
    (void)sig;
    report("stopped", now);
    _exit(0);
}

static void on_order(int sig) { wanted = sig; }

static void find_dir(void)
{
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
    dir[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(dir, '/');
    if (slash) *slash = '\0';
}

static struct sockaddr_un local(const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%.80s/%s", dir, name);
    return addr;
}

static void report(const char *name, uint64_t ns)
{
    char text[64];
    struct sockaddr_un addr = local("report.sock");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int len = snprintf(text, sizeof text, "%.20s %llu", name, (unsigned long long)ns);
    if (fd >= 0 && len > 0) sendto(fd, text, (size_t)len, 0, (struct sockaddr *)&addr, sizeof addr);
    if (fd >= 0) close(fd);
}

/* A child with ORPHANS dead children of its own ends: all of them are PID 1's in that instant. */
static void leave_orphans(void)
{
    size_t size = ORPHANS * sizeof(pid_t);
    pid_t *pids = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pids == MAP_FAILED) _exit(1);
    pid_t maker = fork();
    if (maker == 0) {
        for (int i = 0; i < ORPHANS; i++)
            if ((pids[i] = fork()) == 0) _exit(0);
        for (int i = 0; i < ORPHANS; i++) {
            siginfo_t info;
            waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOWAIT);
        }
        _exit(0);
    }
    const struct timespec tick = {.tv_nsec = 200000};
    waitpid(maker, NULL, 0);
    uint64_t begin = now_ns();
    for (int i = 0; i < ORPHANS; i++)
        while (pids[i] > 0 && kill(pids[i], 0) == 0) nanosleep(&tick, NULL);
    report("reaped", now_ns() - begin);
    munmap(pids, size);
}

static void write_lines(void)
{
    enum { LINE = 200, BLOCK = 320 * LINE };
    static char block[BLOCK];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < BLOCK; i += LINE) { /* no two alike: repeats may be folded */
        snprintf(block + i, LINE, "%07d", i / LINE);
        block[i + 7] = ' ';
        block[i + LINE - 1] = '\n';
    }
    uint64_t begin = now_ns();
    for (size_t done = 0, all = (size_t)LINES * LINE; done < all;) {
        size_t at = done % BLOCK, left = all - done;
        ssize_t n = write(STDOUT_FILENO, block + at, left < BLOCK - at ? left : BLOCK - at);
        if (n < 0 && errno != EINTR) _exit(1);
        if (n > 0) done += (size_t)n;
    }
    report("written", now_ns() - begin);
}

static void write_paced(void)
{
    char line[201];
    memset(line, 'x', sizeof line);
    uint64_t begin = now_ns(), due = begin;
    for (int i = 0; i < SLOW_LINES; i++, due += PACE_NS) {
        struct timespec until = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        int n = snprintf(line, sizeof line, "sent %llu ", (unsigned long long)now_ns());
        line[n] = 'x';
        line[199] = '\n';
        if (write(STDOUT_FILENO, line, 200) < 0) _exit(1);
    }
    report("paced", now_ns() - begin);
}

static void obey(void)
{
    int sig = wanted;
    wanted = 0;
    if (sig == SIGUSR1) leave_orphans();
    if (sig == SIGUSR2) write_lines();
    if (sig == SIGHUP) write_paced();
}

static void say(const char *line)
{
    if (write(STDOUT_FILENO, line, strlen(line)) < 0) _exit(1);
}

static int listen_tcp(void)
{
    char path[PATH_MAX], text[32] = "";
    snprintf(path, sizeof path, "%s/listen", dir);
    FILE *f = fopen(path, "re");
    if (!f || !fgets(text, sizeof text, f)) _exit(1);
    fclose(f);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtol(text, NULL, 10))};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 64) < 0) _exit(1);
    return fd;
}

static int listen_unix(void)
{
    struct sockaddr_un addr = local("run/fpm.sock");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(addr.sun_path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 64) < 0) _exit(1);
    return fd;
}

/* FastCGI specification 1.0, section 8: one STDOUT record, then END_REQUEST, for request 1. */
static void answer_pong(int c)
{
    static const char BODY[] = "Content-Type: text/plain\r\n\r\npong";
    unsigned char out[128] = {1, 6, 0, 1, 0, sizeof BODY - 1, 0, 0};
    memcpy(out + 8, BODY, sizeof BODY - 1);
    size_t at = 8 + sizeof BODY - 1;
    const unsigned char end[16] = {1, 3, 0, 1, 0, 8};
    memcpy(out + at, end, sizeof end);
    char request[4096];
    if (recv(c, request, sizeof request, 0) > 0) send(c, out, at + sizeof end, MSG_NOSIGNAL);
}

static void serve(int fd, bool fastcgi)
{
    for (;;) {
        int c = accept(fd, NULL, NULL);
        obey();
        if (c < 0) continue;
        if (fastcgi) answer_pong(c);
        close(c);
    }
}

static void role(const char *which)
{
    if (strcmp(which, "prepare") == 0) {
        say("{\"event\":\"rendered\",\"stage\":\"boot\"}\n{\"event\":\"rendered\",\"stage\":\"all\"}\n");
        _exit(0);
    }
    say("{\"event\":\"state\",\"state\":\"current\",\"reason\":\"\"}\n");
}

int main(int argc, char **argv)
{
    uint64_t born = now_ns();
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGQUIT, &stop, NULL);
    struct sigaction order = {.sa_handler = on_order};
    sigaction(SIGUSR1, &order, NULL);
    sigaction(SIGUSR2, &order, NULL);
    sigaction(SIGHUP, &order, NULL);
    if (strcmp(name, "php") == 0) return 0;
    find_dir();
    report(name, born);
    if (strcmp(name, "moodlectl-role") == 0 && argc > 1) role(argv[1]);
    if (strcmp(name, "nginx") == 0) serve(listen_tcp(), false);
    if (strcmp(name, "php-fpm") == 0) serve(listen_unix(), true);
    for (;;) {
        pause();
        obey();
    }
}
