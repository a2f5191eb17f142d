#include "base/stop_plan.h"

enum { STEP_MS = 1000, HURRY_MS = 2000, HURRY_STEP_MS = 500 };

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

stop_plan_t stop_plan_make(uint64_t budget_ms, uint64_t lame_duck_ms)
{
    uint64_t step = least(STEP_MS, budget_ms / 10);
    stop_plan_t p;
    p.end_ms[SP_LAME] = least(lame_duck_ms, budget_ms / 2); /* requests need time, too */
    p.end_ms[SP_QUIESCE] = budget_ms - 3 * step;
    p.end_ms[SP_FINISH] = budget_ms - 2 * step;
    p.end_ms[SP_SWEEP] = budget_ms - step;
    p.end_ms[SP_MARGIN] = budget_ms;
    return p;
}

stop_plan_t stop_plan_hurry(const stop_plan_t *plan, uint64_t gone_ms)
{
    stop_plan_t p = {{gone_ms, gone_ms + HURRY_MS}};
    for (int i = SP_FINISH; i < SP_COUNT_; i++) p.end_ms[i] = p.end_ms[i - 1] + HURRY_STEP_MS;
    for (int i = 0; i < SP_COUNT_; i++) p.end_ms[i] = least(p.end_ms[i], plan->end_ms[i]);
    return p;
}

stop_plan_t stop_plan_kill(const stop_plan_t *plan, uint64_t gone_ms)
{
    stop_plan_t p = *plan;
    for (int i = 0; i < SP_MARGIN; i++) p.end_ms[i] = least(gone_ms, plan->end_ms[i]);
    return p;
}

uint64_t stop_plan_length(const stop_plan_t *plan, stop_part_t part)
{
    return plan->end_ms[part] - (part ? plan->end_ms[part - 1] : 0);
}

uint64_t stop_plan_left(const stop_plan_t *plan, stop_part_t part, uint64_t gone_ms)
{
    return gone_ms < plan->end_ms[part] ? plan->end_ms[part] - gone_ms : 0;
}
