#include "tests/model/protocol_steps.h"

static replica_state_t next_of(const gen_t *g, replica_state_t s, replica_event_t ev)
{
    return s < REPLICA_COUNT_ ? (replica_state_t)g->p->parts.next[s][ev] : REPLICA_COUNT_;
}

/* From an idle state to the try of the lock; another state when the table does not lead there. */
static replica_state_t walk(const gen_t *g, replica_state_t s)
{
    for (int k = 0; k < REPLICA_COUNT_ && s != REPLICA_WAITING && steps_is_idle(s); k++)
        s = next_of(g, s,
                    s == REPLICA_CONNECT ? REPLICA_EV_OK
                    : s == REPLICA_WATCH ? REPLICA_EV_NEEDED
                                         : REPLICA_EV_TIME);
    return s;
}

/* Who owns the work lock: a session of a script that has it, or what such a session left in the server. */
static bool work_owned(const world_t *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->m[i].conn || w->m[i].ghost) return true;
    return false;
}

static void session_close(member_t *m)
{
    if (m->hold) m->hold = m->cut || m->hold == HOLD_ORPHAN ? HOLD_ORPHAN : HOLD_NONE;
    m->sess = m->beat = m->beat_age = 0;
}

/* The role is as at its start. Idle states that lead to the try of the lock are one. */
static void reset(const gen_t *g, member_t *m, replica_state_t s)
{
    steps_script_die(m);
    session_close(m);
    m->superseded = m->epoch = m->term = m->age = m->grace = m->ran = 0;
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

static void begun(world_t *w, unsigned term)
{
    for (int i = 0; i < w->n; i++) {
        member_t *m = &w->m[i];
        if (m->script && m->term < term) m->stale = 1;
        if (m->term && m->term < term) m->superseded = 1;
        if (m->ghost && m->ghost_term < term) m->ghost_stale = 1;
    }
    if (w->db.done) w->db.twice = 1;
}

/* lead.c: connect, watch, waiting. The decision "needed" may be old when the lock is tried, so it is not asked here. */
static void contend(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!steps_reaches(m) || !steps_is_idle((replica_state_t)m->state)) return;
    replica_state_t s = walk(g, (replica_state_t)m->state);
    bool got = s == REPLICA_WAITING && !steps_held(&w);
    if (s == REPLICA_WAITING) s = next_of(g, s, got ? REPLICA_EV_OK : REPLICA_EV_BUSY);
    if (steps_is_idle(s)) return;
    m->sess = 1;
    if (got) {
        m->hold = HOLD_OURS;
        w.db.silent = 0;
    }
    enter(g, m, s);
    steps_put(g, got ? STEP_TRY : STEP_NO_LOCK, i, &w);
}

/* lease_claim */
static void claim(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!steps_reaches(m) || m->state != REPLICA_CLAIMED || !m->sess) return;
    const parts_t *p = &g->p->parts;
    bool same = w.db.same || (w.db.clean ? p->old_release : p->foreign_age);
    m->grace = p->grace ? g->p->grace_left[w.db.clean][same][w.db.age] : 0;
    w.db.can_lose = 1;
    w.db.old_clean = w.db.clean;
    w.db.old_done = w.db.done;
    w.db.old_term = w.db.term;
    m->epoch = w.db.epoch = w.db.epoch + 1;
    m->term = w.db.term = steps_newest_term(&w) + 1;
    m->age = m->beat = m->beat_age = 0;
    w.db.age = w.db.silent = w.db.clean = 0;
    w.db.same = 1;
    enter(g, m, next_of(g, REPLICA_CLAIMED, REPLICA_EV_OK));
    steps_put(g, STEP_CLAIM, i, &w);
}

/* lead.c step_grace */
static void grace(const gen_t *g, int i)
{
    if (g->w->m[i].state != REPLICA_GRACE || g->w->m[i].grace || !steps_reaches(&g->w->m[i]) ||
        !g->w->m[i].sess)
        return;
    EDIT(w, i);
    if (g->p->parts.evict_work && work_owned(&w)) {
        for (int k = 0; k < w.n; k++) {
            w.m[k].conn = w.m[k].stmt = 0;
            steps_ghost_clear(&w.m[k]);
        }
        steps_put(g, STEP_EVICT_WORK, i, &w);
        return;
    }
    enter(g, m, next_of(g, REPLICA_GRACE, REPLICA_EV_OK));
    steps_put(g, STEP_GRACE_OVER, i, &w);
}

/* Epoch and holder: a member has one term at a time, so the row has its term or not. */
static bool row_ours(const world_t *w, const member_t *m) { return m->term && m->term == w->db.term; }

/* lease_end and lease_release */
static void release(const gen_t *g, int i, replica_event_t ev, step_t step)
{
    EDIT(w, i);
    if (!steps_reaches(m) || !m->sess || m->hold != HOLD_OURS || m->beat || !row_ours(&w, m)) return;
    w.db.clean = 1;
    leave(g, m, ev);
    steps_put(g, step, i, &w);
}

static void recheck(const gen_t *g, int i)
{
    EDIT(w, i);
    if (m->state != REPLICA_RECHECK || !steps_reaches(m) || !m->sess) return;
    release(g, i, w.db.done ? REPLICA_EV_NOTHING : REPLICA_EV_HOLD, STEP_NOTHING);
    if (w.db.done || !row_ours(&w, m)) return; /* its statements are for the row's owner only (run_mine) */
    enter(g, m, next_of(g, REPLICA_RECHECK, REPLICA_EV_NEEDED));
    steps_put(g, STEP_NEEDED, i, &w);
}

/* job.c: a script is started only when a kill budget is left until the deadline (keeper_start); cron starts several in one epoch */
static void leading(const gen_t *g, int i)
{
    if (g->w->m[i].state != REPLICA_LEADING) return;
    EDIT(w, i);
    if (m->script == SCRIPT_NONE) release(g, i, REPLICA_EV_OK, STEP_RELEASE);
    if (g->p->parts.early_release && m->script && !w.db.clean && steps_reaches(m) && m->sess &&
        row_ours(&w, m)) {
        w.db.clean = 1;
        steps_put(g, STEP_RELEASE_EARLY, i, &w);
        w.db.clean = 0;
    }
    if (m->script || m->ran || !steps_runs(m) || !steps_in_time(g, m)) return;
    m->ran = g->p->check == CHECK_O;
    m->script = SCRIPT_FORKED;
    m->stale = m->superseded;
    steps_put(g, STEP_FORK, i, &w);
}

/* ---- heartbeats: lease_beat, job_lease_keep ---- */

static void stop_with(const gen_t *g, int i, step_t step)
{
    EDIT(w, i);
    leave(g, m, REPLICA_EV_FAILED);
    steps_put(g, step, i, &w);
}

static void beat_send(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!steps_runs(m) || !m->epoch || !m->sess || m->beat || m->age < 1) return;
    m->beat = BEAT_SENT;
    m->beat_age = 0;
    steps_put(g, STEP_BEAT_SEND, i, &w);
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
    steps_put(g, ok ? STEP_BEAT_GOOD : STEP_BEAT_BAD, i, &w);
}

static void beat_answer(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!steps_reaches(m)) return;
    if (m->beat == BEAT_BAD) stop_with(g, i, STEP_REFUSED);
    if (m->beat != BEAT_GOOD) return;
    m->age = g->p->parts.from_reply ? 0 : m->beat_age;
    m->beat = m->beat_age = 0;
    steps_put(g, STEP_BEAT_ANSWER, i, &w);
}

/* No answer in the time of a statement: the client gives the session up, the server may not know it yet. */
static void beat_give_up(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!steps_runs(m) || !m->beat || m->beat_age < 1 || !m->sess) return;
    if (m->hold == HOLD_OURS) m->hold = HOLD_ORPHAN;
    m->sess = m->beat = m->beat_age = 0;
    steps_put(g, STEP_GIVE_UP, i, &w);
}

/* lease_relock: a new session, the lock, a heartbeat that proves the row */
static void relock(const gen_t *g, int i)
{
    const parts_t *p = &g->p->parts;
    EDIT(w, i);
    if (!p->relock || !steps_reaches(m) || !m->epoch || m->sess || steps_held(&w)) return;
    if (p->relock_row && !row_ours(&w, m)) return;
    if (!p->relock_late && m->age >= (unsigned)p->ticks.deadline) return;
    m->sess = 1;
    m->hold = HOLD_OURS;
    m->age = m->beat = m->beat_age = 0;
    w.db.silent = w.db.age = 0;
    steps_put(g, STEP_RELOCK, i, &w);
}

static void lost(const gen_t *g, int i)
{
    const member_t *m = &g->w->m[i];
    bool deadline = m->epoch && !steps_in_time(g, m);
    if (!steps_runs(m) || steps_is_idle((replica_state_t)m->state)) return;
    if (deadline && !g->p->parts.relock_late) stop_with(g, i, STEP_DEADLINE);
    if (!deadline && !m->sess && !m->cut) stop_with(g, i, STEP_CLOSED);
}

static void keeper(const gen_t *g, int i)
{
    EDIT(w, i);
    if (!steps_keeper_due(g, m)) return;
    steps_script_die(m);
    steps_put(g, STEP_KEEPER, i, &w);
}

/* ---- the script: templates/fence.php, and what it does then ---- */

static void work_begin(const gen_t *g, int i, world_t *w)
{
    w->m[i].script = SCRIPT_WORKS;
    w->m[i].conn = 1;
    begun(w, w->m[i].term);
    steps_put(g, STEP_BEGIN, i, w);
}

static void script_refused(const gen_t *g, int i, step_t step)
{
    EDIT(w, i);
    steps_script_die(m);
    steps_put(g, step, i, &w);
}

static void fence(const gen_t *g, int i)
{
    const parts_t *p = &g->p->parts;
    EDIT(w, i);
    bool stale = p->fence_epoch && (m->epoch != w.db.epoch || (p->fence_holder && m->term != w.db.term));
    if (m->script == SCRIPT_FORKED && !p->work_lock) {
        if (stale) script_refused(g, i, STEP_FENCE_EPOCH);
        if (!stale) work_begin(g, i, &w);
    } else if (m->script == SCRIPT_FORKED && p->fence_first) {
        if (stale) script_refused(g, i, STEP_FENCE_EPOCH);
        m->script = SCRIPT_FENCED;
        if (!stale) steps_put(g, STEP_EPOCH_READ, i, &w);
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
        steps_put(g, STEP_WORK_LOCK, i, &w);
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
        steps_put(g, STEP_STMT_END, i, &w);
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
    steps_put(g, STEP_STMT, i, &w);
    w = *g->w;
    steps_script_die(m);
    steps_put(g, STEP_SCRIPT_FAILED, i, &w);
    w.db.done = 1;
    steps_put(g, STEP_SCRIPT_DONE, i, &w);
}

void steps_of_member(const gen_t *g, int i)
{
    contend(g, i);
    claim(g, i);
    grace(g, i);
    recheck(g, i);
    leading(g, i);
    beat_send(g, i);
    beat_serve(g, i);
    beat_answer(g, i);
    beat_give_up(g, i);
    relock(g, i);
    lost(g, i);
    keeper(g, i);
    script(g, i);
}
