/* lifecycle.h - drives a member through its phases: feeds events to lifecycle_fsm, and after each compares what should run with
 * what runs. Idempotent; urgency only rises. Never blocks. */
#ifndef MOODLECTL_SUPERVISOR_LIFECYCLE_H
#define MOODLECTL_SUPERVISOR_LIFECYCLE_H

#include "supervisor/member.h"

void lifecycle_init(member_t *m);
void lifecycle_event(member_t *m, lifecycle_event_t event);
void lifecycle_stop(member_t *m,
                    const char *who); /* the first asks to drain, the second to hurry, the third kills */
void lifecycle_hold_check(
    member_t *m); /* after the reason of HOLD may have changed: old code does not wait for ever */
void lifecycle_fail(member_t *m, int exit_status, err_id_t id, const char *reason);
bool lifecycle_reap(member_t *m, pid_t pid, int status); /* true: one of our children */
void lifecycle_close(member_t *m);                       /* after EXIT: lets go of its handles */

#endif
