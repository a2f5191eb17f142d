#include "bootstrap/rotate_pace.h"

uint64_t rotate_pace_delay_ms(const rotate_pace_t *p)
{
    if (p->failures == 0 || p->failures > ROTATE_RETRIES) return p->interval_ms;
    uint64_t ms = (uint64_t)ROTATE_RETRY_MS << (p->failures - 1);
    return ms < p->interval_ms ? ms : p->interval_ms;
}

void rotate_pace_note(rotate_pace_t *p, bool settled) { p->failures = settled ? 0 : p->failures + 1; }

void rotate_pace_suspect(rotate_pace_t *p, uint64_t now_ms)
{
    bool is_retried = p->failures > 0 && p->failures <= ROTATE_RETRIES;
    if (p->look_due_ms || is_retried) return;
    if (p->look_gap_ms && now_ms - p->looked_ms > 2 * p->look_gap_ms) p->look_gap_ms = 0; /* long ago */
    uint64_t earliest = p->looked_ms + p->look_gap_ms;
    p->look_due_ms = p->look_gap_ms && earliest > now_ms ? earliest : now_ms;
}

bool rotate_pace_look_due(const rotate_pace_t *p, uint64_t now_ms)
{
    return p->look_due_ms && now_ms >= p->look_due_ms;
}

void rotate_pace_looked(rotate_pace_t *p, uint64_t now_ms, bool was_right)
{
    p->looked_ms = now_ms;
    p->look_due_ms = 0;
    uint64_t gap = p->look_gap_ms ? 2 * p->look_gap_ms : ROTATE_LOOK_MS;
    if (was_right)
        p->look_gap_ms = 0;
    else
        p->look_gap_ms = gap < ROTATE_LOOK_MAX_MS ? gap : ROTATE_LOOK_MAX_MS;
}
