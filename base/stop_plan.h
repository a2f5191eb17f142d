/* stop_plan.h - how the time of one stop is shared out between its phases. Pure. Milliseconds since the stop was asked for.
 * Process 1 goes by it, and what nginx and PHP-FPM are told in their files is reckoned from the same numbers. */
#ifndef MOODLECTL_BASE_STOP_PLAN_H
#define MOODLECTL_BASE_STOP_PLAN_H

#include <stdint.h>

typedef enum {
    SP_LAME,    /* unready, serving on: the load balancer learns it */
    SP_QUIESCE, /* nginx accepts no more; requests under way are finished, at its end they are cut */
    SP_FINISH,  /* php-fpm ends what goes on without a visitor */
    SP_SWEEP,   /* the rest ends by itself; at its end comes SIGKILL */
    SP_MARGIN,  /* for the exit, and the last lines of the log */
    SP_COUNT_
} stop_part_t;

typedef struct stop_plan {
    uint64_t end_ms
        [SP_COUNT_]; /* when each part is over, never before the part above it; the last is the whole budget */
} stop_plan_t;

/* The lame duck gets at most half of the budget, finish, sweep and margin a second each and at most a tenth; quiesce gets the rest. */
stop_plan_t stop_plan_make(uint64_t budget_ms, uint64_t lame_duck_ms);
/* A second stop after `gone_ms`: no lame duck any more, and two seconds for what is under way. Never later than `plan`. */
stop_plan_t stop_plan_hurry(const stop_plan_t *plan, uint64_t gone_ms);
/* A third: everything is over. */
stop_plan_t stop_plan_kill(const stop_plan_t *plan, uint64_t gone_ms);
uint64_t stop_plan_length(const stop_plan_t *plan, stop_part_t part);
uint64_t stop_plan_left(const stop_plan_t *plan, stop_part_t part, uint64_t gone_ms); /* 0: over */

#endif
