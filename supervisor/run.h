/* run.h - `moodlectl run`: PID 1. */
#ifndef MOODLECTL_SUPERVISOR_RUN_H
#define MOODLECTL_SUPERVISOR_RUN_H

#include "base/settings.h"
#include <stdbool.h>

/* Arms signals before anything else, then lives a member's life until it has drained. Returns the exit status. */
int run_main(const settings_t *set);

/* `run -- cmd args...`: renders the site first when MOODLE_URL is set and nothing is rendered yet, so that PHP scripts and
 * "moodlectl moodle" find config.php; then becomes the command. `anyway`: also when the rendering failed, with the reasons on
 * stderr. Returns only when there was nothing to become: 126 found but not executable, 127 not found, else prepare's status. */
int run_foreign(char *const *argv, bool anyway);
bool run_is_rendered(const settings_t *set);

#endif
