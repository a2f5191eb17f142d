/* proc.h - processes as /proc shows them (proc(5)). Reads local files of the kernel: does not block. */
#ifndef MOODLECTL_BASE_PROC_H
#define MOODLECTL_BASE_PROC_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct proc_stat {
    char name[32], state; /* 'Z': a zombie */
    pid_t ppid;
} proc_stat_t;

bool proc_stat_parse(const char *text, proc_stat_t *ret); /* of /proc/PID/stat. Pure */

/* Calls `fn` for each child of this process that is no zombie; returns how many there are. */
typedef void proc_fn(pid_t pid, const proc_stat_t *p, void *arg);
unsigned proc_children(proc_fn *fn, void *arg);

#endif
