/* roles.h - what roles say to PID 1 (base/role.h has the events) and what it means for the member's life. */
#ifndef MOODLECTL_SUPERVISOR_ROLES_H
#define MOODLECTL_SUPERVISOR_ROLES_H

#include "supervisor/member.h"

void roles_event(member_t *m, child_t *c, const char *line, size_t len);

#endif
