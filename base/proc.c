#include "base/proc.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "pid (name) state ppid ..."; the name may hold blanks and parentheses. */
bool proc_stat_parse(const char *text, proc_stat_t *ret)
{
    const char *open_p = strchr(text, '('), *close_p = strrchr(text, ')');
    if (!open_p || !close_p || close_p < open_p || strlen(close_p) < 5) return false;
    snprintf(ret->name, sizeof ret->name, "%.*s", (int)(close_p - open_p - 1), open_p + 1);
    ret->state = close_p[2];
    ret->ppid = (pid_t)strtol(close_p + 4, NULL, 10);
    return true;
}

static bool stat_read(long pid, proc_stat_t *ret)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = '\0';
    return proc_stat_parse(text, ret);
}

unsigned proc_children(proc_fn *fn, void *arg)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc");
    if (!dir) return 0;
    for (struct dirent *d; (d = readdir(dir));) {
        proc_stat_t p;
        long pid = strtol(d->d_name, NULL, 10);
        if (pid <= 1 || !stat_read(pid, &p) || p.ppid != getpid() || p.state == 'Z') continue;
        count++;
        fn((pid_t)pid, &p, arg);
    }
    closedir(dir);
    return count;
}
