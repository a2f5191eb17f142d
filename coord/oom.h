/* oom.h - did the kernel end a process of this container for want of memory? A child that it took looks like any other that
 * got SIGKILL; the control group's counter tells. Reads one small file of the kernel. */
#ifndef MOODLECTL_COORD_OOM_H
#define MOODLECTL_COORD_OOM_H

#include <stdint.h>

/* Inside a container this is its own group (cgroup_namespaces(7)); Documentation/admin-guide/cgroup-v2.rst, memory.events */
#define OOM_EVENTS "/sys/fs/cgroup/memory.events"

uint64_t oom_kills(const char *path); /* the counter oom_kill; 0 when it cannot be read */

#endif
