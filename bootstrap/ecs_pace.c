#include "bootstrap/ecs_pace.h"

enum { RETRY_BASE_MS = 5000, RETRY_MAX_MS = 300000, RETRY_LEAST_MS = 1000 };

static uint64_t minutes_ms(int minutes) { return (uint64_t)minutes * 60000; }

/* When what we have has to be asked for again, in clock_ms. */
static uint64_t due_ms(const ecs_pace_t *p)
{
    if (p->want != p->have || p->want == ECS_HOLD_NOTHING) return 0;
    return p->from_ms +
           (p->want == ECS_HOLD_WORK ? minutes_ms(ECS_WORK_MIN) / 2 : minutes_ms(ECS_CRON_MIN) + ECS_GAP_MS);
}

ecs_step_t ecs_pace_next(const ecs_pace_t *p, uint64_t now_ms)
{
    const ecs_step_t asleep = {.wait_ms = ECS_NEVER};
    if (p->hopeless || (p->want == ECS_HOLD_NOTHING && p->have == ECS_HOLD_NOTHING && !p->unsure))
        return asleep;
    uint64_t due = due_ms(p);
    if (due < p->retry_ms) due = p->retry_ms;
    if (due > now_ms) return (ecs_step_t){.wait_ms = (int64_t)(due - now_ms)};
    int minutes = p->want == ECS_HOLD_WORK ? ECS_WORK_MIN : p->want == ECS_HOLD_CRON ? ECS_CRON_MIN : 0;
    return (ecs_step_t){.ask = true, .on = minutes > 0, .minutes = minutes};
}

void ecs_pace_want(ecs_pace_t *p, ecs_hold_t want)
{
    if (p->want == want) return;
    p->want = want;
    if (want == ECS_HOLD_WORK) p->retry_ms = 0; /* not behind the waits of cron */
}

void ecs_pace_asks(ecs_pace_t *p, const ecs_step_t *step) { p->unsure |= step->on; }

void ecs_pace_good(ecs_pace_t *p, uint64_t asked_ms)
{
    p->have = p->want;
    p->unsure = false;
    p->from_ms = asked_ms;
    p->retry_ms = 0;
    p->failures = 0;
}

void ecs_pace_bad(ecs_pace_t *p, uint64_t now_ms, uint32_t random)
{
    uint64_t most = RETRY_BASE_MS;
    for (unsigned i = 0; i < p->failures && most < RETRY_MAX_MS; i++) most *= 2;
    if (most > RETRY_MAX_MS) most = RETRY_MAX_MS;
    p->failures++;
    uint64_t wait = most * random / UINT32_MAX;
    p->retry_ms = now_ms + (wait < RETRY_LEAST_MS ? RETRY_LEAST_MS : wait);
}
