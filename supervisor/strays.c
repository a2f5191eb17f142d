#include "supervisor/strays.h"
#include "supervisor/logfmt.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char name[32], state;
    int ppid;
} proc_t;

/* proc(5), /proc/pid/stat: "pid (name) state ppid ..."; the name may hold blanks and parentheses. */
static bool read_stat(long pid, proc_t *ret)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = '\0';
    char *open_p = strchr(text, '('), *close_p = strrchr(text, ')');
    if (!open_p || !close_p || strlen(close_p) < 5) return false;
    *close_p = '\0';
    snprintf(ret->name, sizeof ret->name, "%s", open_p + 1);
    ret->state = close_p[2];
    ret->ppid = (int)strtol(close_p + 4, NULL, 10);
    return true;
}

unsigned strays_signal(int sig, bool name_them)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc");
    if (!dir) return 0;
    for (struct dirent *d; (d = readdir(dir));) {
        proc_t p;
        long pid = strtol(d->d_name, NULL, 10);
        if (pid <= 1 || !read_stat(pid, &p) || p.ppid != getpid() || p.state == 'Z') continue;
        count++;
        if (name_them)
            logfmt_own(LOG_WARN_, ERR_NONE, "stray", "ending %s (pid %ld), which outlived its parent", p.name,
                       pid);
        kill((pid_t)pid, sig);
        kill((pid_t)pid, SIGCONT);
    }
    closedir(dir);
    return count;
}
