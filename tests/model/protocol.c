#include "tests/model/protocol.h"
#include "tests/model/protocol_state.h"
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

static void first(const void *self, space_state_t *ret)
{
    const protocol_t *p = self;
    world_t w = {.n = p->members};
    for (int i = 0; i < w.n; i++) w.m[i].alive = 1;
    w.db.clean = w.db.same = 1;
    w.db.faults = (unsigned)p->faults;
    store(&w, ret);
}

/* Members have no names, and an epoch is only older or newer than another one that somebody still has. */
static void canon(const void *self, space_state_t *s)
{
    const protocol_t *p = self;
    world_t w;
    load(p, s, &w);
    unsigned used = 0, rank[16], n = 0;
    for (int i = 0; i < w.n; i++) used |= 1U << w.m[i].epoch | 1U << w.m[i].ghost_epoch;
    used |= 1U << w.db.epoch;
    for (unsigned e = 0; e < 16; e++) rank[e] = (used & 1U << e) && e ? ++n : 0;
    w.db.epoch = rank[w.db.epoch] & 15;
    for (int i = 0; i < w.n; i++) {
        w.m[i].epoch = rank[w.m[i].epoch] & 15;
        w.m[i].ghost_epoch = rank[w.m[i].ghost_epoch] & 15;
    }
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

/* ---- steps ---- */

typedef struct {
    const protocol_t *p;
    const world_t *w; /* before */
    space_emit_t *emit;
    space_t *arg;
} gen_t;

static void put(const gen_t *g, step_t what, int who, const world_t *after)
{
    space_state_t s;
    store(after, &s);
    g->emit(g->arg, &s, (space_step_t){(uint8_t)what, (uint8_t)who, what >= STEP_FIRST_LUCK});
}

static replica_state_t next_of(const gen_t *g, replica_state_t s, replica_event_t ev)
{
    return s < REPLICA_COUNT_ ? (replica_state_t)g->p->parts.next[s][ev] : REPLICA_COUNT_;
}

/* Before the lock there is nothing to lose. */
static bool is_idle(replica_state_t s) { return s <= REPLICA_WAITING; }

/* From an idle state to the try of the lock; another state when the table does not lead there. */
static replica_state_t walk(const gen_t *g, replica_state_t s)
{
    for (int k = 0; k < REPLICA_COUNT_ && s != REPLICA_WAITING && is_idle(s); k++)
        s = next_of(g, s,
                    s == REPLICA_CONNECT ? REPLICA_EV_OK
                    : s == REPLICA_WATCH ? REPLICA_EV_NEEDED
                                         : REPLICA_EV_TIME);
    return s;
}

static bool held(const world_t *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->m[i].hold) return true;
    return false;
}

/* Who owns the work lock: a session of a script that has it, or what such a session left in the server. */
static bool work_owned(const world_t *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->m[i].conn || w->m[i].ghost) return true;
    return false;
}

static void ghost_clear(member_t *m) { m->ghost = m->ghost_stale = m->ghost_epoch = 0; }

/* The script's process ends. Its statement goes on in the server, and nobody tells the server of a client behind a cut. */
static void script_die(member_t *m)
{
    if (m->script && m->conn && (m->stmt || m->cut)) {
        m->ghost_epoch = m->ghost && m->ghost_epoch < m->epoch ? m->ghost_epoch : m->epoch;
        m->ghost = m->stmt || m->ghost == GHOST_RUNS ? GHOST_RUNS : GHOST_IDLE;
        m->ghost_stale = m->ghost_stale | m->stale;
    }
    m->script = SCRIPT_NONE;
    m->stmt = m->conn = m->stale = 0;
}

static void session_close(member_t *m)
{
    if (m->hold) m->hold = m->cut || m->hold == HOLD_ORPHAN ? HOLD_ORPHAN : HOLD_NONE;
    m->sess = m->beat = m->beat_age = 0;
}

/* The role is as at its start. Idle states that lead to the try of the lock are one. */
static void reset(const gen_t *g, member_t *m, replica_state_t s)
{
    script_die(m);
    session_close(m);
    m->superseded = m->epoch = m->age = m->grace = m->ran = 0;
    m->state = walk(g, s) == REPLICA_WAITING ? REPLICA_CONNECT : s;
}

/* An impossible event ends the role, and PID 1 starts another one. */
static void enter(const gen_t *g, member_t *m, replica_state_t s)
{
    m->state = s;
    if (s >= REPLICA_COUNT_) reset(g, m, REPLICA_CONNECT);
}

/* A member that led leads no more: the script dies before the role's step ends (job_run), the session is closed (failed(),
 * step_stopped), and the epoch is forgotten (step_stopped; lease_init at the next connect). */
static void leave(const gen_t *g, member_t *m, replica_event_t ev)
{
    replica_state_t s = next_of(g, (replica_state_t)m->state, ev);
    if (s == REPLICA_STOPPED) s = next_of(g, s, REPLICA_EV_OK);
    reset(g, m, s < REPLICA_COUNT_ ? s : REPLICA_CONNECT);
}

static void begun(world_t *w, unsigned epoch)
{
    for (int i = 0; i < w->n; i++) {
        member_t *m = &w->m[i];
        if (m->script && m->epoch < epoch) m->stale = 1;
        if (m->epoch && m->epoch < epoch) m->superseded = 1;
        if (m->ghost && m->ghost_epoch < epoch) m->ghost_stale = 1;
    }
    if (w->db.done) w->db.twice = 1;
}

#define EDIT(name, i)                                                                                        \
    world_t name = *g->w;                                                                                    \
    member_t *m = &name.m[i]

static bool runs(const member_t *m) { return m->alive && !m->halt; }
static bool reaches(const member_t *m) { return runs(m) && !m->cut; }
static bool in_time(const gen_t *g, const member_t *m)
{
    return !g->p->parts.deadline || m->age < (unsigned)g->p->parts.ticks.deadline;
}

/* lead.c: connect, watch, waiting. The decision "needed" may be old when the lock is tried, so it is not asked here. */
static void contend(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!reaches(m) || !is_idle((replica_state_t)m->state)) return;
    replica_state_t s = walk(g, (replica_state_t)m->state);
    bool got = s == REPLICA_WAITING && !held(&w);
    if (s == REPLICA_WAITING) s = next_of(g, s, got ? REPLICA_EV_OK : REPLICA_EV_BUSY);
    if (is_idle(s)) return;
    m->sess = 1;
    if (got) {
        m->hold = HOLD_OURS;
        w.db.silent = 0;
    }
    enter(g, m, s);
    put(g, got ? STEP_TRY : STEP_NO_LOCK, i, &w);
}

/* lease_claim */
static void claim(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!reaches(m) || m->state != REPLICA_CLAIMED || !m->sess) return;
    m->grace =
        g->p->parts.grace ? g->p->grace_left[w.db.clean][w.db.same || g->p->parts.foreign_age][w.db.age] : 0;
    m->epoch = w.db.epoch + 1;
    m->age = m->beat = m->beat_age = 0;
    w.db.epoch = m->epoch;
    w.db.age = w.db.silent = w.db.clean = 0;
    w.db.same = 1;
    enter(g, m, next_of(g, REPLICA_CLAIMED, REPLICA_EV_OK));
    put(g, STEP_CLAIM, i, &w);
}

/* lead.c step_grace */
static void grace(const gen_t *g, int i)
{
    if (g->w->m[i].state != REPLICA_GRACE || g->w->m[i].grace || !reaches(&g->w->m[i]) || !g->w->m[i].sess)
        return;
    EDIT(w, i);
    if (g->p->parts.evict_work && work_owned(&w)) {
        for (int k = 0; k < w.n; k++) {
            w.m[k].conn = w.m[k].stmt = 0;
            ghost_clear(&w.m[k]);
        }
        put(g, STEP_EVICT_WORK, i, &w);
        return;
    }
    enter(g, m, next_of(g, REPLICA_GRACE, REPLICA_EV_OK));
    put(g, STEP_GRACE_OVER, i, &w);
}

static bool row_ours(const world_t *w, const member_t *m) { return m->epoch && m->epoch == w->db.epoch; }

/* lease_end and lease_release */
static void release(const gen_t *g, int i, replica_event_t ev, step_t step)
{
    EDIT(w, i);
    if (!reaches(m) || !m->sess || m->hold != HOLD_OURS || m->beat || !row_ours(&w, m)) return;
    w.db.clean = 1;
    leave(g, m, ev);
    put(g, step, i, &w);
}

static void recheck(const gen_t *g, int i)
{
    EDIT(w, i);
    if (m->state != REPLICA_RECHECK || !reaches(m) || !m->sess) return;
    release(g, i, w.db.done ? REPLICA_EV_NOTHING : REPLICA_EV_HOLD, STEP_NOTHING);
    if (w.db.done || !row_ours(&w, m)) return; /* its statements are for the row's owner only (run_mine) */
    enter(g, m, next_of(g, REPLICA_RECHECK, REPLICA_EV_NEEDED));
    put(g, STEP_NEEDED, i, &w);
}

/* job.c: a script is started only when a kill budget is left until the deadline (keeper_start); cron starts several in one epoch */
static void leading(const gen_t *g, int i)
{
    if (g->w->m[i].state != REPLICA_LEADING) return;
    EDIT(w, i);
    if (m->script == SCRIPT_NONE) release(g, i, REPLICA_EV_OK, STEP_RELEASE);
    if (g->p->parts.early_release && m->script && !w.db.clean && reaches(m) && m->sess && row_ours(&w, m)) {
        w.db.clean = 1;
        put(g, STEP_RELEASE_EARLY, i, &w);
        w.db.clean = 0;
    }
    if (m->script || m->ran || !runs(m) || !in_time(g, m)) return;
    m->ran = g->p->check == CHECK_O;
    m->script = SCRIPT_FORKED;
    m->stale = m->superseded;
    put(g, STEP_FORK, i, &w);
}

/* ---- heartbeats: lease_beat, job_lease_keep ---- */

static void stop_with(const gen_t *g, int i, step_t step)
{
    EDIT(w, i);
    leave(g, m, REPLICA_EV_FAILED);
    put(g, step, i, &w);
}

static void beat_send(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!runs(m) || !m->epoch || !m->sess || m->beat || m->age < 1) return;
    m->beat = BEAT_SENT;
    m->beat_age = 0;
    put(g, STEP_BEAT_SEND, i, &w);
}

static void beat_serve(const gen_t *g, int i)
{
    const parts_t *p = &g->p->parts;
    EDIT(w, i);
    if (m->beat != BEAT_SENT || m->cut || !m->alive || !m->sess) return;
    bool ok = (!p->beat_lock || m->hold == HOLD_OURS) && (!p->beat_row || row_ours(&w, m));
    if (m->hold == HOLD_OURS) w.db.silent = 0;
    if (ok) w.db.age = 0;
    m->beat = ok ? BEAT_GOOD : BEAT_BAD;
    put(g, ok ? STEP_BEAT_GOOD : STEP_BEAT_BAD, i, &w);
}

static void beat_answer(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!reaches(m)) return;
    if (m->beat == BEAT_BAD) stop_with(g, i, STEP_REFUSED);
    if (m->beat != BEAT_GOOD) return;
    m->age = g->p->parts.from_reply ? 0 : m->beat_age;
    m->beat = m->beat_age = 0;
    put(g, STEP_BEAT_ANSWER, i, &w);
}

/* No answer in the time of a statement: the client gives the session up, the server may not know it yet. */
static void beat_give_up(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!runs(m) || !m->beat || m->beat_age < 1 || !m->sess) return;
    if (m->hold == HOLD_OURS) m->hold = HOLD_ORPHAN;
    m->sess = m->beat = m->beat_age = 0;
    put(g, STEP_GIVE_UP, i, &w);
}

/* lease_relock: a new session, the lock, a heartbeat that proves the row */
static void relock(const gen_t *g, int i)
{
    const parts_t *p = &g->p->parts;
    EDIT(w, i);
    if (!p->relock || !reaches(m) || !m->epoch || m->sess || held(&w)) return;
    if (p->relock_row && !row_ours(&w, m)) return;
    if (!p->relock_late && m->age >= (unsigned)p->ticks.deadline) return;
    m->sess = 1;
    m->hold = HOLD_OURS;
    m->age = m->beat = m->beat_age = 0;
    w.db.silent = w.db.age = 0;
    put(g, STEP_RELOCK, i, &w);
}

static void lost(const gen_t *g, int i)
{
    const member_t *m = &g->w->m[i];
    bool deadline = m->epoch && !in_time(g, m);
    if (!runs(m) || is_idle((replica_state_t)m->state)) return;
    if (deadline && !g->p->parts.relock_late) stop_with(g, i, STEP_DEADLINE);
    if (!deadline && !m->sess && !m->cut) stop_with(g, i, STEP_CLOSED);
}

static bool keeper_due(const gen_t *g, const member_t *m)
{
    return m->alive && m->halt == HALT_HUNG && g->p->parts.keeper && m->script && !in_time(g, m);
}

static void keeper(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!keeper_due(g, m)) return;
    script_die(m);
    put(g, STEP_KEEPER, i, &w);
}

/* ---- the script: templates/fence.php, and what it does then ---- */

static void work_begin(const gen_t *g, int i, world_t *w)
{
    w->m[i].script = SCRIPT_WORKS;
    w->m[i].conn = 1;
    begun(w, w->m[i].epoch);
    put(g, STEP_BEGIN, i, w);
}

static void script_refused(const gen_t *g, int i, step_t step)
{
    EDIT(w, i);
    script_die(m);
    put(g, step, i, &w);
}

static void fence(const gen_t *g, int i)
{
    const parts_t *p = &g->p->parts;
    EDIT(w, i);
    bool stale = p->fence_epoch && m->epoch != w.db.epoch;
    if (m->script == SCRIPT_FORKED && !p->work_lock) {
        if (stale) script_refused(g, i, STEP_FENCE_EPOCH);
        if (!stale) work_begin(g, i, &w);
    } else if (m->script == SCRIPT_FORKED && p->fence_first) {
        if (stale) script_refused(g, i, STEP_FENCE_EPOCH);
        m->script = SCRIPT_FENCED;
        if (!stale) put(g, STEP_EPOCH_READ, i, &w);
    } else if (m->script == SCRIPT_FORKED || (m->script == SCRIPT_FENCED && p->fence_first)) {
        if (work_owned(&w)) {
            script_refused(g, i, STEP_FENCE_BUSY);
            return;
        }
        if (p->fence_first) {
            work_begin(g, i, &w);
            return;
        }
        m->script = SCRIPT_FENCED;
        m->conn = 1;
        put(g, STEP_WORK_LOCK, i, &w);
    } else if (m->script == SCRIPT_FENCED) {
        if (!m->conn)
            script_refused(g, i, STEP_SCRIPT_LOST);
        else if (stale)
            script_refused(g, i, STEP_FENCE_EPOCH);
        else
            work_begin(g, i, &w);
    }
}

static void script(const gen_t *g, int i)
{
    const member_t *now = &g->w->m[i];
    if (now->stmt) { /* the server's work: it needs no client */
        EDIT(w, i);
        m->stmt = 0;
        put(g, STEP_STMT_END, i, &w);
    }
    if (!now->alive || now->halt == HALT_FROZEN || now->cut) return;
    if (now->script && now->script != SCRIPT_WORKS) fence(g, i);
    if (now->script != SCRIPT_WORKS || now->stmt) return;
    if (!now->conn) {
        script_refused(g, i, STEP_SCRIPT_LOST);
        return;
    }
    EDIT(w, i);
    m->stmt = 1;
    put(g, STEP_STMT, i, &w);
    w = *g->w;
    script_die(m);
    put(g, STEP_SCRIPT_FAILED, i, &w);
    w.db.done = 1;
    put(g, STEP_SCRIPT_DONE, i, &w);
}

/* ---- the server and time ---- */

static void server(const gen_t *g, int i)
{
    EDIT(w, i);
    if (m->ghost && (m->ghost == GHOST_RUNS || !m->cut)) {
        if (m->cut)
            m->ghost = GHOST_IDLE;
        else
            ghost_clear(m);
        put(g, STEP_GHOST_END, i, &w);
        w = *g->w;
    }
    if (m->hold == HOLD_ORPHAN && !m->cut) {
        m->hold = HOLD_NONE;
        put(g, STEP_FIN, i, &w);
        w = *g->w;
    }
    if (m->hold && g->p->parts.idle && w.db.silent >= (unsigned)g->p->parts.ticks.idle) {
        m->hold = HOLD_NONE;
        m->sess = m->beat = m->beat_age = 0;
        put(g, STEP_IDLE, i, &w);
    }
}

/* lease_evict_lead when lease_is_stale, by a member that waits */
static void evict_lead(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!g->p->parts.evict_lead || !reaches(m) || !is_idle((replica_state_t)m->state) || !held(&w) ||
        (w.db.clean ? w.db.silent : w.db.age) < (unsigned)g->p->parts.ticks.evict)
        return;
    for (int k = 0; k < w.n; k++)
        if (w.m[k].hold) {
            if (w.m[k].hold == HOLD_OURS) w.m[k].sess = w.m[k].beat = w.m[k].beat_age = 0;
            w.m[k].hold = HOLD_NONE;
        }
    put(g, STEP_EVICT_LEAD, i, &w);
}

/* Whoever runs acts on its deadline before more time passes; that is what the kill budget is for. */
static bool urgent(const gen_t *g)
{
    const parts_t *p = &g->p->parts;
    for (int i = 0; i < g->w->n; i++) {
        const member_t *m = &g->w->m[i];
        if ((runs(m) && m->epoch && !in_time(g, m) && !p->relock_late) || keeper_due(g, m)) return true;
    }
    return p->idle && held(g->w) && g->w->db.silent >= (unsigned)p->ticks.idle;
}

static unsigned up(unsigned v, int most) { return v < (unsigned)most ? v + 1 : v; }

static void tick(const gen_t *g)
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
    w.db.silent = held(&w) ? up(w.db.silent, quietest) : 0;
    w.db.age = up(w.db.age, oldest);
    put(g, STEP_TICK, 0, &w);
}

/* ---- faults and their ends ---- */

static void heal(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!m->alive) {
        m->alive = 1;
        put(g, STEP_START, i, &w);
        w = *g->w;
    }
    if (m->halt) {
        m->halt = HALT_NONE;
        put(g, STEP_RESUME, i, &w);
        w = *g->w;
    }
    if (m->cut) {
        m->cut = 0;
        put(g, STEP_HEAL, i, &w);
    }
}

static void crash(const gen_t *g, int i, world_t w)
{
    member_t *m = &w.m[i];
    unsigned hold = m->hold ? HOLD_ORPHAN : HOLD_NONE;
    script_die(m);
    member_t left = {.cut = m->cut,
                     .hold = hold,
                     .ghost = m->ghost,
                     .ghost_stale = m->ghost_stale,
                     .ghost_epoch = m->ghost_epoch};
    *m = left;
    put(g, STEP_CRASH, i, &w);
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
            put(g, step, i, &w);                                                                             \
        }                                                                                                    \
    } while (0)
    FAULT(FAULT_FREEZE, base.m[i].alive && !base.m[i].halt, m->halt = HALT_FROZEN, STEP_FREEZE);
    FAULT(FAULT_HANG, base.m[i].sess && !base.m[i].halt, m->halt = HALT_HUNG, STEP_HANG);
    FAULT(FAULT_CUT, !base.m[i].cut, m->cut = 1, STEP_CUT);
    FAULT(FAULT_SESSION, base.m[i].hold, session_end(m), STEP_SESSION_END);
    FAULT(FAULT_LOCK, base.m[i].hold == HOLD_OURS, m->hold = HOLD_NONE, STEP_LOCK_GONE);
    FAULT(FAULT_SCRIPT, base.m[i].script && base.m[i].halt != HALT_FROZEN, script_die(m), STEP_SCRIPT_KILLED);
#undef FAULT
}

static void restart(const gen_t *g)
{
    world_t w = *g->w;
    if (!(g->p->kinds & FAULT_RESTART)) return;
    w.db.faults--;
    w.db.same = w.db.silent = 0;
    w.db.age = (unsigned)g->p->parts.ticks.grace; /* the new clock may say anything: this is the worst */
    for (int i = 0; i < w.n; i++) {
        session_end(&w.m[i]);
        w.m[i].conn = w.m[i].stmt = 0;
        ghost_clear(&w.m[i]);
    }
    put(g, STEP_RESTART, 0, &w);
}

static void next(const void *self, const space_state_t *s, space_emit_t *emit, space_t *arg)
{
    world_t w;
    load(self, s, &w);
    const gen_t g = {self, &w, emit, arg};
    for (int i = 0; i < w.n; i++) {
        contend(&g, i);
        claim(&g, i);
        grace(&g, i);
        recheck(&g, i);
        leading(&g, i);
        beat_send(&g, i);
        beat_serve(&g, i);
        beat_answer(&g, i);
        beat_give_up(&g, i);
        relock(&g, i);
        lost(&g, i);
        keeper(&g, i);
        script(&g, i);
        server(&g, i);
        evict_lead(&g, i);
        heal(&g, i);
        if (w.db.faults) faults_of(&g, i);
    }
    if (w.db.faults) restart(&g);
    tick(&g);
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
    if (step.what == STEP_TICK || step.what == STEP_RESTART)
        printf("    %s\n", text);
    else
        printf("    %c%s%s\n", 'A' + step.who, *text == ':' ? "" : " ", text);
}
