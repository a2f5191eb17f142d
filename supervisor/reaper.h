/* reaper.h - the only place of PID 1 that waits for processes. One SIGCHLD may stand for many deaths (signal(7)), so it loops
 * until nothing is left; strangers, whose parents died before them, are reaped and counted. */
#ifndef MOODLECTL_SUPERVISOR_REAPER_H
#define MOODLECTL_SUPERVISOR_REAPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef bool reaper_fn(pid_t pid, int status); /* true: it was one of ours */

void reaper_adopt_orphans(void); /* becomes a subreaper when not PID 1 (prctl(2)) */
void reaper_run(reaper_fn *on_exit);
uint64_t reaper_strangers(void);

#endif
