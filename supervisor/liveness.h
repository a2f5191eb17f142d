/* liveness.h - what happens to a PHP-FPM that is alive and stuck (fpm_watch.h): MOODLECTL_FPM_STUCK decides. */
#ifndef MOODLECTL_SUPERVISOR_LIVENESS_H
#define MOODLECTL_SUPERVISOR_LIVENESS_H

#include "supervisor/member.h"

void liveness_init(member_t *m);
void liveness_follow(member_t *m, bool up); /* php-fpm has come up, or is up no longer */
void liveness_close(member_t *m);

#endif
