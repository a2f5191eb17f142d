/* ecs_protect.h - role "protect": asks ECS not to scale this task in while process 1 says that it installs, upgrades or runs cron.
 * Commands on its stdin: work, cron, nothing. Event: {"event":"protection","on":true,"for":"cron"}. Nothing waits for it: what ECS answers
 * changes a line in the log and in the status only. */
#ifndef MOODLECTL_BOOTSTRAP_ECS_PROTECT_H
#define MOODLECTL_BOOTSTRAP_ECS_PROTECT_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* Pure: an answer of the agent (amazon-ecs-agent, ecs-agent/tmds/handlers/taskprotection/v1). `on`: what was asked for. Status 200 may hold a failure.
 * E-ECS-PROTECTION with its words; -2: and asking again is vain. */
int ecs_protect_parse(long status, const char *json, size_t len, bool on, err_t *err);

int ecs_protect_main(int argc, char **argv);

#endif
