/* ecs_task.h - what ECS says about the task that this container belongs to: task metadata endpoint, version 4.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html; members as in amazon-ecs-agent,
 * ecs-agent/tmds/handlers/v4/state/response.go. Fields may be missing, and new ones come. */
#ifndef MOODLECTL_BOOTSTRAP_ECS_TASK_H
#define MOODLECTL_BOOTSTRAP_ECS_TASK_H

#include "base/err.h"
#include "base/settings.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ecs_task { /* "" or 0: not said */
    char id[64];          /* the last part of the task's ARN */
    char cluster[256], service[256], zone[64];
    char definition[300]; /* family:revision */
    uint64_t memory_bytes;
    double cpus;
} ecs_task_t;

/* Pure. E-ECS-METADATA when it is no description of a task. */
int ecs_task_parse(const char *json, size_t len, ecs_task_t *ret, err_t *err);

/* 0 with an empty *ret where there is no endpoint (ECS_CONTAINER_METADATA_URI_V4 is not set). `ask_now`: from the endpoint, which blocks
 * for two seconds at most, and the answer is kept in the run directory; else what is kept there. E-ECS-METADATA. */
int ecs_task_read(const settings_t *set, bool ask_now, ecs_task_t *ret, err_t *err);

#endif
