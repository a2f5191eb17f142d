/* ecs_pace.h - when to ask ECS for scale-in protection, and for how long. Pure: times are clock_ms, given.
 *
 * Installs and upgrades are protected without a gap: renewed at half their time. Cron never ends, and a protected task holds a deployment
 * up (it waits for the old tasks), so cron is protected for ten minutes at a time with one minute between, in which ECS may take it.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection.html */
#ifndef MOODLECTL_BOOTSTRAP_ECS_PACE_H
#define MOODLECTL_BOOTSTRAP_ECS_PACE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { ECS_HOLD_NOTHING, ECS_HOLD_CRON, ECS_HOLD_WORK } ecs_hold_t;

enum { ECS_WORK_MIN = 30, ECS_CRON_MIN = 10, ECS_GAP_MS = 60000, ECS_NEVER = -1 };

typedef struct ecs_pace {
    ecs_hold_t want, have; /* have: what was asked for last with success */
    uint64_t from_ms;      /* of that success */
    uint64_t retry_ms;     /* not before; 0: at once */
    unsigned failures;     /* in a row */
    bool unsure;           /* an answer was lost: ECS may hold more than `have` */
    bool hopeless;         /* this task can never be protected */
} ecs_pace_t;

typedef struct ecs_step {
    bool ask;        /* now */
    bool on;         /* what for */
    int minutes;     /* 0: off */
    int64_t wait_ms; /* else: until then; ECS_NEVER: until what is wanted changes */
} ecs_step_t;

ecs_step_t ecs_pace_next(const ecs_pace_t *p, uint64_t now_ms);
void ecs_pace_want(ecs_pace_t *p, ecs_hold_t want);
void ecs_pace_asks(ecs_pace_t *p, const ecs_step_t *step); /* before the request */
void ecs_pace_good(ecs_pace_t *p, uint64_t asked_ms);
/* Full jitter up to 5 s * 2^(failures - 1), at most five minutes, and at least a second. `random`: any value. */
void ecs_pace_bad(ecs_pace_t *p, uint64_t now_ms, uint32_t random);

#endif
