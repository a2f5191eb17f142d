/* clock.h - the two clocks. Neither blocks. */
#ifndef MOODLECTL_BASE_CLOCK_H
#define MOODLECTL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_ms(void);      /* CLOCK_BOOTTIME, milliseconds: counts suspended time; for every deadline */
uint64_t clock_wall_ms(void); /* CLOCK_REALTIME, milliseconds since 1970: for time stamps only */
void clock_rfc3339(uint64_t wall_ms, char buf[32]); /* 2026-01-31T12:00:00.123Z */
void clock_sleep_ms(uint64_t ms);                   /* blocks; roles only */

/* Two clocks that go on together, but for a step of the wall clock. Returns the step since the last call (0: none, or less than
 * a second, or the first call). Pure. */
typedef struct clock_watch {
    uint64_t boot_ms, wall_ms; /* at the last call; 0: there was none */
} clock_watch_t;
int64_t clock_watch(clock_watch_t *w, uint64_t boot_ms, uint64_t wall_ms);

uint64_t clock_jitter_ms(
    uint64_t ms); /* 75 to 125 per cent of it: members started together do not stay in step */

#endif
