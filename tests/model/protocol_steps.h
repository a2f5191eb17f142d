/* protocol_steps.h - what the steps of the model share: one state, what may follow it, and what happens to a script and its session.
 * protocol_member.c has the steps of a member, protocol_world.c those of the server, of time and of the faults. */
#ifndef MOODLECTL_TESTS_MODEL_PROTOCOL_STEPS_H
#define MOODLECTL_TESTS_MODEL_PROTOCOL_STEPS_H

#include "tests/model/protocol_state.h"

typedef struct {
    const protocol_t *p;
    const world_t *w; /* before */
    space_emit_t *emit;
    space_t *arg;
} gen_t;

/* A copy of the state before, in which member `m` may be changed. */
#define EDIT(name, i)                                                                                        \
    world_t name = *g->w;                                                                                    \
    member_t *m = &name.m[i]

void steps_put(const gen_t *g, step_t what, int who, const world_t *after); /* one state that may follow */

/* Before the lock there is nothing to lose. */
static inline bool steps_is_idle(replica_state_t s) { return s <= REPLICA_WAITING; }

static inline bool steps_runs(const member_t *m) { return m->alive && !m->halt; }
static inline bool steps_reaches(const member_t *m) { return steps_runs(m) && !m->cut; }

bool steps_held(const world_t *w); /* the lead lock */
unsigned steps_newest_term(const world_t *w);
bool steps_in_time(const gen_t *g, const member_t *m);
bool steps_keeper_due(const gen_t *g, const member_t *m);
void steps_ghost_clear(member_t *m);
void steps_script_die(member_t *m);

void steps_of_member(const gen_t *g, int i);
void steps_of_server(const gen_t *g, int i);
void steps_of_luck(const gen_t *g, int i); /* faults and their ends */
void steps_restart(const gen_t *g);
void steps_tick(const gen_t *g);

#endif
