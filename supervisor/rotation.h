/* rotation.h - what PID 1 does about secrets that change: hands suspicions and commands to role secrets, and keeps what it says for
 * the control socket. Never sees a secret. */
#ifndef MOODLECTL_SUPERVISOR_ROTATION_H
#define MOODLECTL_SUPERVISOR_ROTATION_H

#include "supervisor/member.h"

bool rotation_is_wanted(const member_t *m);
void rotation_begin(member_t *m);   /* PHP's and nginx's lines are looked at from now on */
void rotation_started(member_t *m); /* the role is a new process: it has been asked nothing */
void rotation_suspect(member_t *m); /* somebody was refused a login, or so it looks */
/* An error of another role: a refused login is a suspicion. */
void rotation_error(member_t *m, const child_t *c, err_id_t id);
void rotation_on_secrets(member_t *m, const json_t *event);
void rotation_on_rotated(member_t *m, const json_t *event);
/* `cmd`: refresh or check. The number under which its end will be told, or 0 when no role takes it. */
json_int_t rotation_ask(member_t *m, const char *cmd);
json_t *rotation_json(const member_t *m); /* new reference; NULL: no memory */

#endif
