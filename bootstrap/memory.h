/* memory.h - how much memory and how many processors this container may use. Local files only. */
#ifndef MOODLECTL_BOOTSTRAP_MEMORY_H
#define MOODLECTL_BOOTSTRAP_MEMORY_H

#include <stddef.h>
#include <stdint.h>

uint64_t memory_limit_bytes(void); /* the least of all cgroup limits above us and the machine's memory */
int memory_cpus(void);             /* of the affinity mask and the cgroup's quota, at least 1 */

#endif
