#include "supervisor/restart.h"

void restart_init(restart_t *r, unsigned limit, uint64_t window_ms)
{
    *r =
        (restart_t){.limit = limit > RESTART_MAX_DEATHS ? RESTART_MAX_DEATHS : limit, .window_ms = window_ms};
}

bool restart_note_death(restart_t *r, uint64_t now_ms, uint64_t up_ms)
{
    r->in_a_row = up_ms >= RESTART_RESET_MS ? 1 : r->in_a_row + 1;
    r->deaths[r->count % RESTART_MAX_DEATHS] = now_ms;
    r->count++;
    if (r->limit == 0 || r->count < r->limit) return true;
    uint64_t oldest = r->deaths[(r->count - r->limit) % RESTART_MAX_DEATHS];
    return now_ms - oldest > r->window_ms;
}

uint64_t restart_delay_ms(const restart_t *r, uint32_t entropy)
{
    /* A service that ran well and died once comes back at once: users wait for it. */
    if (r->in_a_row <= 1 && r->count > 0) return 0;
    unsigned doublings = r->in_a_row > 2 ? r->in_a_row - 2 : 0;
    uint64_t ms = doublings > 7 ? RESTART_LAST_MS : (uint64_t)RESTART_FIRST_MS << doublings;
    if (ms > RESTART_LAST_MS) ms = RESTART_LAST_MS;
    return ms + ms * (entropy % 1000) / 4000;
}
