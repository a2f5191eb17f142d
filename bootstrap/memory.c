#include "bootstrap/memory.h"
#include "base/fd.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CGROUP "/sys/fs/cgroup"

/* The first two words of a small file as numbers; "max" is none. Number of numbers. */
static int read_numbers(const char *path, unsigned long long ret[2])
{
    cleanup_buf buf_t b = BUF_INIT;
    int n = 0;
    if (fd_read_file(path, 4096, &b, NULL) < 0) return 0;
    for (const char *p = buf_cstr(&b); n < 2; n++) {
        char *end = NULL;
        errno = 0;
        ret[n] = strtoull(p, &end, 10);
        if (end == p || errno) break;
        p = end;
    }
    return n;
}

/* Our place in the version 2 tree ("0::/path" of /proc/self/cgroup); "" is the root. */
static void own_cgroup(char *buf, size_t size)
{
    cleanup_buf buf_t b = BUF_INIT;
    buf[0] = '\0';
    if (fd_read_file("/proc/self/cgroup", 1 << 16, &b, NULL) < 0) return;
    const char *line = strstr(buf_cstr(&b), "0::/");
    if (line) snprintf(buf, size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    if (strcmp(buf, "/") == 0) buf[0] = '\0';
}

/* Calls for our cgroup and each one above it: the least limit counts (kernel, admin-guide/cgroup-v2). */
static void each_cgroup(const char *file, void (*fn)(const unsigned long long *n, int count, void *arg),
                        void *arg)
{
    char group[PATH_MAX], path[PATH_MAX + 64];
    own_cgroup(group, sizeof group);
    for (;;) {
        unsigned long long n[2] = {0, 0};
        snprintf(path, sizeof path, CGROUP "%s/%s", group, file);
        fn(n, read_numbers(path, n), arg);
        char *slash = strrchr(group, '/');
        if (!slash) return;
        *slash = '\0';
    }
}

static void least_memory(const unsigned long long *n, int count, void *arg)
{
    uint64_t *least = arg;
    if (count > 0 && n[0] < *least) *least = n[0];
}

/* cpu.max: "QUOTA PERIOD" in microseconds */
static void least_cpus(const unsigned long long *n, int count, void *arg)
{
    int *least = arg;
    if (count < 2 || n[1] == 0) return;
    unsigned long long cpus = (n[0] + n[1] - 1) / n[1];
    if (cpus < (unsigned long long)*least) *least = cpus < 1 ? 1 : (int)cpus;
}

uint64_t memory_limit_bytes(void)
{
    unsigned long long n[2];
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    each_cgroup("memory.max", least_memory, &least);
    if (read_numbers(CGROUP "/memory/memory.limit_in_bytes", n) > 0 && n[0] < least)
        least = n[0]; /* version 1 */
    return least;
}

int memory_cpus(void)
{
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    each_cgroup("cpu.max", least_cpus, &cpus);
    return cpus < 1 ? 1 : cpus;
}
