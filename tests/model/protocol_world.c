#include "tests/model/protocol_steps.h"

bool steps_held(const world_t *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->m[i].hold) return true;
    return false;
}

void steps_ghost_clear(member_t *m) { m->ghost = m->ghost_stale = m->ghost_term = 0; }

/* The script's process ends. Its statement goes on in the server, and nobody tells the server of a client behind a cut. */
void steps_script_die(member_t *m)
{
    if (m->script && m->conn && (m->stmt || m->cut)) {
        m->ghost_term = m->ghost && m->ghost_term < m->term ? m->ghost_term : m->term;
        m->ghost = m->stmt || m->ghost == GHOST_RUNS ? GHOST_RUNS : GHOST_IDLE;
        m->ghost_stale = m->ghost_stale | m->stale;
    }
    m->script = SCRIPT_NONE;
    m->stmt = m->conn = m->stale = 0;
}

unsigned steps_newest_term(const world_t *w)
{
    unsigned newest = w->db.term;
    for (int i = 0; i < w->n; i++)
        if (w->m[i].term > newest) newest = w->m[i].term;
    return newest;
}

bool steps_in_time(const gen_t *g, const member_t *m)
{
    return !g->p->parts.deadline || m->age < (unsigned)g->p->parts.ticks.deadline;
}

bool steps_keeper_due(const gen_t *g, const member_t *m)
{
    return m->alive && m->halt == HALT_HUNG && g->p->parts.keeper && m->script && !steps_in_time(g, m);
}

/* ---- the server and time ---- */

static void server(const gen_t *g, int i)
{
    EDIT(w, i);
    if (m->ghost && (m->ghost == GHOST_RUNS || !m->cut)) {
        if (m->cut)
            m->ghost = GHOST_IDLE;
        else
            steps_ghost_clear(m);
        steps_put(g, STEP_GHOST_END, i, &w);
        w = *g->w;
    }
    if (m->hold == HOLD_ORPHAN && !m->cut) {
        m->hold = HOLD_NONE;
        steps_put(g, STEP_FIN, i, &w);
        w = *g->w;
    }
    if (m->hold && g->p->parts.idle && w.db.silent >= (unsigned)g->p->parts.ticks.idle) {
        m->hold = HOLD_NONE;
        m->sess = m->beat = m->beat_age = 0;
        steps_put(g, STEP_IDLE, i, &w);
    }
}

/* lease_evict_lead when lease_is_stale, by a member that waits */
static void evict_lead(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!g->p->parts.evict_lead || !steps_reaches(m) || !steps_is_idle((replica_state_t)m->state) ||
        !steps_held(&w) || (w.db.clean ? w.db.silent : w.db.age) < (unsigned)g->p->parts.ticks.evict)
        return;
    for (int k = 0; k < w.n; k++)
        if (w.m[k].hold) {
            if (w.m[k].hold == HOLD_OURS) w.m[k].sess = w.m[k].beat = w.m[k].beat_age = 0;
            w.m[k].hold = HOLD_NONE;
        }
    steps_put(g, STEP_EVICT_LEAD, i, &w);
}

void steps_of_server(const gen_t *g, int i)
{
    server(g, i);
    evict_lead(g, i);
}

/* Whoever runs acts on its deadline before more time passes; that is what the kill budget is for. */
static bool urgent(const gen_t *g)
{
    const parts_t *p = &g->p->parts;
    for (int i = 0; i < g->w->n; i++) {
        const member_t *m = &g->w->m[i];
        if ((steps_runs(m) && m->epoch && !steps_in_time(g, m) && !p->relock_late) || steps_keeper_due(g, m))
            return true;
    }
    return p->idle && steps_held(g->w) && g->w->db.silent >= (unsigned)p->ticks.idle;
}

static unsigned up(unsigned v, int most) { return v < (unsigned)most ? v + 1 : v; }

void steps_tick(const gen_t *g)
{
    const ticks_t *t = &g->p->parts.ticks;
    world_t w = *g->w;
    if (urgent(g)) return;
    int oldest = g->p->parts.evict_lead && t->evict > t->grace ? t->evict : t->grace;
    int quietest = g->p->parts.idle ? t->idle : t->evict;
    for (int i = 0; i < w.n; i++) {
        member_t *m = &w.m[i];
        if (m->halt == HALT_FROZEN) continue;
        if (m->epoch) m->age = up(m->age, t->deadline + 1);
        if (m->beat) m->beat_age = up(m->beat_age, t->deadline + 1);
        if (m->grace) m->grace--;
    }
    w.db.silent = steps_held(&w) ? up(w.db.silent, quietest) : 0;
    w.db.age = up(w.db.age, oldest);
    steps_put(g, STEP_TICK, 0, &w);
}

/* ---- faults and their ends ---- */

static void heal(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!m->alive) {
        m->alive = 1;
        steps_put(g, STEP_START, i, &w);
        w = *g->w;
    }
    if (m->halt) {
        m->halt = HALT_NONE;
        steps_put(g, STEP_RESUME, i, &w);
        w = *g->w;
    }
    if (m->cut) {
        m->cut = 0;
        steps_put(g, STEP_HEAL, i, &w);
    }
}

static void crash(const gen_t *g, int i, world_t w)
{
    member_t *m = &w.m[i];
    unsigned hold = m->hold ? HOLD_ORPHAN : HOLD_NONE;
    steps_script_die(m);
    member_t left = {.cut = m->cut,
                     .hold = hold,
                     .ghost = m->ghost,
                     .ghost_stale = m->ghost_stale,
                     .ghost_term = m->ghost_term};
    *m = left;
    steps_put(g, STEP_CRASH, i, &w);
}

static void session_end(member_t *m)
{
    m->hold = HOLD_NONE;
    m->sess = m->beat = m->beat_age = 0;
}

static void faults_of(const gen_t *g, int i)
{
    int kinds = g->p->kinds;
    EDIT(w, i);
    w.db.faults--;
    const world_t base = w;
    if (m->alive && (kinds & FAULT_CRASH)) crash(g, i, base);
#define FAULT(kind, condition, change, step)                                                                 \
    do {                                                                                                     \
        if ((kinds & (kind)) && (condition)) {                                                               \
            w = base;                                                                                        \
            change;                                                                                          \
            steps_put(g, step, i, &w);                                                                       \
        }                                                                                                    \
    } while (0)
    FAULT(FAULT_FREEZE, base.m[i].alive && !base.m[i].halt, m->halt = HALT_FROZEN, STEP_FREEZE);
    FAULT(FAULT_HANG, base.m[i].sess && !base.m[i].halt, m->halt = HALT_HUNG, STEP_HANG);
    FAULT(FAULT_CUT, !base.m[i].cut, m->cut = 1, STEP_CUT);
    FAULT(FAULT_SESSION, base.m[i].hold, session_end(m), STEP_SESSION_END);
    FAULT(FAULT_LOCK, base.m[i].hold == HOLD_OURS, m->hold = HOLD_NONE, STEP_LOCK_GONE);
    FAULT(FAULT_SCRIPT, base.m[i].script && base.m[i].halt != HALT_FROZEN, steps_script_die(m),
          STEP_SCRIPT_KILLED);
#undef FAULT
}

void steps_of_luck(const gen_t *g, int i)
{
    heal(g, i);
    if (g->w->db.faults) faults_of(g, i);
}

static void restart(const gen_t *g, world_t w, step_t what)
{
    w.db.faults--;
    w.db.same = w.db.silent = 0;
    w.db.age = (unsigned)g->p->parts.ticks.grace; /* the new clock may say anything: this is the worst */
    for (int i = 0; i < w.n; i++) {
        session_end(&w.m[i]);
        w.m[i].conn = w.m[i].stmt = 0;
        steps_ghost_clear(&w.m[i]);
    }
    steps_put(g, what, 0, &w);
}

/* The row is as before the last raise, and so is Moodle's part of the database. What the lost leader has written is gone: whoever
 * the row names is newer now, and not replaced any more. */
static void lose_raise(const gen_t *g)
{
    world_t w = *g->w;
    unsigned lost = w.db.term;
    for (int i = 0; i < w.n; i++) {
        member_t *m = &w.m[i];
        if (m->term == w.db.old_term) m->stale = m->superseded = 0;
        if (m->term) m->term = m->term == lost ? 1 : m->term + 1U;
    }
    w.db.term = w.db.old_term ? w.db.old_term + 1U : 0;
    w.db.epoch--;
    w.db.clean = w.db.old_clean;
    w.db.done = w.db.old_done;
    w.db.can_lose = 0;
    restart(g, w, STEP_LOSS);
}

void steps_restart(const gen_t *g)
{
    if (g->p->kinds & FAULT_RESTART) restart(g, *g->w, STEP_RESTART);
    if ((g->p->kinds & FAULT_LOSS) && g->w->db.can_lose) lose_raise(g);
}
