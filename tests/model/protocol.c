#include "tests/model/protocol.h"
#include "tests/model/protocol_steps.h"
#include <stdio.h>
#include <string.h>

/* ---- what comes from coord/ ---- */

static int kills_between(uint64_t from, uint64_t to, uint64_t kill, int most)
{
    if (to < from) return -1;
    uint64_t n = (to - from) / kill;
    return n < (uint64_t)most ? (int)n : most;
}

/* The deadline is two ticks; any other time lies as many ticks after it as whole kill budgets fit between, at most one, because
 * nothing in the protocol counts further. */
ticks_t protocol_ticks(const lease_times_t *t)
{
    ticks_t r = {.deadline = 2};
    r.idle = r.deadline + kills_between(t->deadline, t->idle, t->kill, 1);
    r.grace = r.deadline + kills_between(t->deadline, t->grace, t->kill, 1);
    r.evict = r.idle + kills_between(t->idle, t->evict, t->kill, 1);
    return r;
}

void protocol_parts(parts_t *ret)
{
    lease_times_t t;
    lease_times_make(100, &t);
    *ret = (parts_t){.deadline = true,
                     .keeper = true,
                     .grace = true,
                     .idle = true,
                     .evict_lead = true,
                     .evict_work = true,
                     .work_lock = true,
                     .fence_epoch = true,
                     .fence_holder = true,
                     .beat_lock = true,
                     .beat_row = true,
                     .relock = true,
                     .relock_row = true,
                     .ticks = protocol_ticks(&t)};
    for (int s = 0; s < REPLICA_COUNT_; s++)
        for (int e = 0; e < REPLICA_EV_COUNT_; e++)
            ret->next[s][e] = (unsigned char)replica_next((replica_state_t)s, (replica_event_t)e);
}

static void grace_table(protocol_t *p)
{
    lease_t l = {.times.grace = (uint64_t)p->parts.ticks.grace, .claimed_ms = 1000};
    strcpy(l.server_id, "h/1/100");
    for (int clean = 0; clean < 2; clean++)
        for (int same = 0; same < 2; same++)
            for (int age = 0; age <= TICKS_MAX; age++) {
                strcpy(l.prev.phase, clean ? "released" : "running");
                strcpy(l.prev.server_id, same ? "h/1/100" : "h/1/200");
                l.prev.age_ms = age;
                p->grace_left[clean][same][age] = (unsigned char)lease_grace_left(&l, l.claimed_ms);
            }
}

void protocol_init(protocol_t *p, const parts_t *parts, int members, int faults, int kinds, check_t check)
{
    *p = (protocol_t){*parts, members, faults, kinds, check, {{{0}}}};
    grace_table(p);
}

/* ---- states ---- */

static void load(const protocol_t *p, const space_state_t *s, world_t *w)
{
    w->n = p->members;
    for (int i = 0; i < w->n; i++) w->m[i].word = s->w[i];
    w->db.word = s->w[w->n];
}

static void store(const world_t *w, space_state_t *s)
{
    *s = (space_state_t){0};
    for (int i = 0; i < w->n; i++) s->w[i] = w->m[i].word;
    s->w[w->n] = w->db.word;
}

/* Of epochs only this matters: is it the row's, the one before, which a loss may bring back, or the one after, which was lost. */
enum { EPOCH_OLD = 1, EPOCH_BEFORE, EPOCH_NOW };

static void first(const void *self, space_state_t *ret)
{
    const protocol_t *p = self;
    world_t w = {.n = p->members};
    for (int i = 0; i < w.n; i++) w.m[i].alive = 1;
    w.db.clean = w.db.same = 1; /* somebody who is gone has led */
    w.db.epoch = EPOCH_NOW;
    w.db.faults = (unsigned)p->faults;
    store(&w, ret);
}

static void canon_epochs(world_t *w)
{
    int shift = EPOCH_NOW - (int)w->db.epoch;
    for (int i = 0; i < w->n; i++) {
        int e = (int)w->m[i].epoch + shift;
        if (e < EPOCH_BEFORE || (e == EPOCH_BEFORE && !w->db.can_lose)) e = EPOCH_OLD;
        w->m[i].epoch = w->m[i].epoch ? (unsigned)e & 15 : 0;
    }
    w->db.epoch = EPOCH_NOW;
}

/* A term is only older or newer than another one that somebody still has. */
static void canon_terms(world_t *w)
{
    unsigned used = 1U << w->db.term | 1U << w->db.old_term, rank[16], n = 0;
    for (int i = 0; i < w->n; i++) used |= 1U << w->m[i].term | 1U << w->m[i].ghost_term;
    for (unsigned t = 0; t < 16; t++) rank[t] = (used & 1U << t) && t ? ++n : 0;
    w->db.term = rank[w->db.term] & 15;
    w->db.old_term = rank[w->db.old_term] & 15;
    for (int i = 0; i < w->n; i++) {
        w->m[i].term = rank[w->m[i].term] & 15;
        w->m[i].ghost_term = rank[w->m[i].ghost_term] & 15;
    }
}

/* Members have no names, and what cannot matter any more is forgotten. */
static void canon(const void *self, space_state_t *s)
{
    const protocol_t *p = self;
    world_t w;
    load(p, s, &w);
    if (!(p->kinds & FAULT_LOSS) || !w.db.faults || !w.db.can_lose)
        w.db.can_lose = w.db.old_clean = w.db.old_done = w.db.old_term = 0;
    canon_epochs(&w);
    canon_terms(&w);
    for (int i = 1; i < w.n; i++)
        for (int k = i; k > 0 && w.m[k].word < w.m[k - 1].word; k--) {
            member_t t = w.m[k];
            w.m[k] = w.m[k - 1];
            w.m[k - 1] = t;
        }
    store(&w, s);
}

static bool bad(const void *self, const space_state_t *s)
{
    const protocol_t *p = self;
    world_t w;
    load(p, s, &w);
    if (p->check == CHECK_O) return w.db.twice;
    for (int i = 0; i < w.n; i++) {
        const member_t *m = &w.m[i];
        if (p->check == CHECK_S && ((m->stmt && m->stale) || (m->ghost == GHOST_RUNS && m->ghost_stale)))
            return true;
        if (p->check == CHECK_X && m->script == SCRIPT_WORKS && m->stale && m->halt != HALT_FROZEN)
            return true;
    }
    return false;
}

static bool goal(const void *self, const space_state_t *s)
{
    world_t w;
    load(self, s, &w);
    for (int i = 0; i < w.n; i++)
        if (w.m[i].script == SCRIPT_WORKS && !w.m[i].stale && !w.m[i].superseded && !w.m[i].halt &&
            w.m[i].conn)
            return true;
    return w.db.done;
}

static bool healthy(const void *self, const space_state_t *s)
{
    world_t w;
    load(self, s, &w);
    for (int i = 0; i < w.n; i++)
        if (w.m[i].alive && !w.m[i].halt && !w.m[i].cut) return true;
    return false;
}

void steps_put(const gen_t *g, step_t what, int who, const world_t *after)
{
    space_state_t s;
    store(after, &s);
    g->emit(g->arg, &s, (space_step_t){(uint8_t)what, (uint8_t)who, what >= STEP_FIRST_LUCK});
}

static void next(const void *self, const space_state_t *s, space_emit_t *emit, space_t *arg)
{
    world_t w;
    load(self, s, &w);
    const gen_t g = {self, &w, emit, arg};
    for (int i = 0; i < w.n; i++) {
        steps_of_member(&g, i);
        steps_of_server(&g, i);
        steps_of_luck(&g, i);
    }
    if (w.db.faults) steps_restart(&g);
    steps_tick(&g);
}

space_model_t protocol_model(const protocol_t *p, bool live)
{
    return (space_model_t){.self = p,
                           .words = p->members + 1,
                           .first = first,
                           .next = next,
                           .canon = canon,
                           .bad = bad,
                           .goal = live ? goal : NULL,
                           .healthy = healthy};
}

void protocol_show(const void *self, const space_state_t *after, space_step_t step)
{
    static const char *const words[] = {
#define X(name, text) text,
        STEPS(X)
#undef X
    };
    (void)self;
    (void)after;
    const char *text = words[step.what];
    if (step.what == STEP_TICK || step.what == STEP_RESTART || step.what == STEP_LOSS)
        printf("    %s\n", text);
    else
        printf("    %c%s%s\n", 'A' + step.who, *text == ':' ? "" : " ", text);
}
