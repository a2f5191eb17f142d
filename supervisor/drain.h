/* drain.h - one stop: its plan, what nginx had under way when it began, what became of that, and the two lines that say so.
 * lifecycle.c moves the phases; this file measures them. Never blocks. */
#ifndef MOODLECTL_SUPERVISOR_DRAIN_H
#define MOODLECTL_SUPERVISOR_DRAIN_H

#include "supervisor/member.h"

void drain_begin(member_t *m, bool served); /* the first second; does nothing when it has begun */
void drain_ask(member_t *m, bool served);   /* after the first signals: nginx is asked for its load, once */
void drain_hurry(member_t *m);              /* as often as a stop is asked for again: the plan gets shorter */
void drain_phase_over(member_t *m);         /* called before m->phase changes, in every phase */
uint64_t drain_lame_wait(
    member_t *m); /* the lame duck is over: ms to wait all the same, then ask again; 0: on */
uint64_t drain_left(const member_t *m, stop_part_t); /* ms; outside of a stop: as if it began now */
void drain_end(member_t *m);                         /* the report, and the exit status */
json_t *drain_plan_json(const member_t *m);          /* for "drain --simulate" */

#endif
