/* run.h - `moodlectl run`: PID 1. */
#ifndef MOODLECTL_SUPERVISOR_RUN_H
#define MOODLECTL_SUPERVISOR_RUN_H

#include "base/settings.h"

/* Arms signals before anything else, then lives a member's life until it has drained. Returns the exit status. */
int run_main(const settings_t *set);

/* `run -- cmd args...`: drops nothing, changes nothing but the environment a command expects, and executes it. Returns only
 * when that failed: 126 found but not executable, 127 not found. */
int run_foreign(char *const *argv);

#endif
