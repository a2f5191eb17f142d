/* ecs.h - what process 1 knows of its ECS task, and what it tells role protect to protect it for. Never blocks. */
#ifndef MOODLECTL_SUPERVISOR_ECS_H
#define MOODLECTL_SUPERVISOR_ECS_H

#include "supervisor/member.h"

bool ecs_is_protected(const member_t *m); /* on ECS, and not switched off: role protect runs */
void ecs_hold(member_t *m);               /* call when a lead or cron role has spoken, or ended */
void ecs_protect_changed(member_t *m);    /* the role's process has started or ended */
void ecs_on_identity(member_t *m, const json_t *event);
void ecs_on_protection(member_t *m, const json_t *event);
json_t *ecs_json(const member_t *m); /* null when there is nothing to tell */

#endif
