/* restart.h - when may a dead child start again? Pure: the time is an argument.
 * Delays double from 100 ms to 10 s with up to 25 % of jitter, and begin anew after 10 s of being up. A child that died
 * `limit` times within `window_ms` has used up its tries (limit 0: never). */
#ifndef MOODLECTL_SUPERVISOR_RESTART_H
#define MOODLECTL_SUPERVISOR_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum { RESTART_MAX_DEATHS = 8, RESTART_FIRST_MS = 100, RESTART_LAST_MS = 10000, RESTART_RESET_MS = 10000 };

typedef struct restart {
    unsigned limit; /* at most RESTART_MAX_DEATHS */
    uint64_t window_ms;
    uint64_t deaths[RESTART_MAX_DEATHS]; /* ring of the newest deaths, ms */
    unsigned count;                      /* deaths in all */
    unsigned in_a_row;                   /* since it was last up for RESTART_RESET_MS */
} restart_t;

void restart_init(restart_t *r, unsigned limit, uint64_t window_ms);
/* Notes a death; false: the tries are used up. `up_ms`: how long it lived. */
bool restart_note_death(restart_t *r, uint64_t now_ms, uint64_t up_ms);
/* Delay before the next start. `entropy`: any number, for the jitter. */
uint64_t restart_delay_ms(const restart_t *r, uint32_t entropy);

#endif
