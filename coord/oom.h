/* oom.h - did the kernel end a process of this container for want of memory? A child that it took looks like any other that
 * got SIGKILL; the control group's counter tells. Reads one small file of the kernel. */
#ifndef MOODLECTL_COORD_OOM_H
#define MOODLECTL_COORD_OOM_H

#include <stdint.h>

uint64_t oom_kills(const char *path); /* the counter oom_kill in that file; 0 when it cannot be read */

/* Of our own container, which finds its own group there: version 2 (Documentation/admin-guide/cgroup-v2.rst, memory.events), else
 * version 1 (cgroup-v1/memory.rst, memory.oom_control). */
uint64_t oom_kills_here(void);

#endif
