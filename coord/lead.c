#include "coord/lead.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/role.h"
#include "coord/flag.h"
#include "coord/moodle_version.h"
#include "coord/redis_probe.h"
#include "coord/roles.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKOFF_FIRST_MS = 200,
    BACKOFF_MAX_MS = 5000,
    REFUSED_MS = 5000,
    REFUSED_MAX_MS = 60000,
    REDIS_LIMIT_MS = 4000
};

static bool stop(void) { return role_stop_requested() != 0; }

/* ---- CONNECT, REFUSED ---- */

static int settings_read(lead_t *m, err_t *err)
{
    lead_conf_free(&m->conf);
    target_free(&m->target);
    if (lead_conf_load(m->run_dir, &m->conf, err) < 0 || target_load(m->run_dir, &m->target, err) < 0)
        return -1;
    const lead_conf_t *c = &m->conf;
    if (!*m->holder) lease_holder_make(c->member, m->holder, sizeof m->holder);
    if (!moodle_version_parse(c->code_version, &m->in.code_version))
        return err_set(err, ERR_CODE_INFO, "version \"%s\" in lead.json", c->code_version);
    m->in.code_hash = c->code_hash;
    m->in.install_auto = c->install_auto;
    m->in.upgrade_auto = c->upgrade_auto;
    m->in.install_settings = secret_len(c->admin_password) > 0 && *c->admin_email && *c->admin_user;
    history_target(c->code_version, c->code_hash, m->own, sizeof m->own);
    lease_init(&m->lease, PURPOSE_DEPLOY, m->target.db.prefix, m->holder, c->lease_scale);
    return 0;
}

static bool is_refusal(err_id_t id)
{
    return id == ERR_DB_READ_ONLY || id == ERR_DB_READER || id == ERR_DB_POOLER || id == ERR_DB_MULTI_PRIMARY;
}

static int session_probe(lead_t *m, err_t *err)
{
    bool proxy = false;
    if (strcmp(m->probed, m->lease.server_id) == 0) return 0;
    if (lease_probe(&m->lease, &m->target.db, &proxy, err) < 0) return -1;
    if (proxy)
        log_write(LOG_WARN_, ERR_DB_POOLER,
                  "a proxy with private sessions lies before the database; its direct endpoint is better");
    snprintf(m->probed, sizeof m->probed, "%s", m->lease.server_id);
    return 0;
}

static int connect_all(lead_t *m, err_t *err)
{
    if (settings_read(m, err) < 0) return -1;
    if (m->target.redis.present && !m->redis_ok) {
        if (redis_probe(&m->target.redis, REDIS_LIMIT_MS, err) < 0) return -1;
        m->redis_ok = true;
        log_info("Redis at %s:%d answers", m->target.redis.host, m->target.redis.port);
    }
    if (lease_open(&m->lease, &m->target.db, err) < 0) return -1;
    return session_probe(m, err);
}

/* A member that serves goes on serving while the database is away: Moodle itself says what is wrong. */
static void connect_failed(lead_t *m, const err_t *err)
{
    lease_close(&m->lease);
    if (!m->served) {
        lead_tell(m, "waiting", err->id, "%s", err->msg);
    } else if (!m->outage_logged) {
        log_err(LOG_WARN_, err);
        m->outage_logged = true;
    }
}

/* In the session that a satisfied member has kept: all is as it was. */
static bool still_current(lead_t *m)
{
    flag_t flag;
    return watch_same(&m->watch, &m->lease) &&
           (flag_read(m->conf.data_dir, &flag, NULL) < 0 || flag.kind != FLAG_UPGRADE);
}

static replica_event_t step_connect(lead_t *m)
{
    err_t err = {0};
    m->still = still_current(m);
    if (m->still) return REPLICA_EV_OK;
    m->watch.until_ms = 0;
    lease_close(&m->lease);
    if (connect_all(m, &err) == 0) {
        if (m->outage_logged) log_notice("the database answers again");
        m->outage_logged = false;
        m->backoff_ms = 0;
        return REPLICA_EV_OK;
    }
    connect_failed(m, &err);
    if (is_refusal(err.id)) return REPLICA_EV_REFUSED;
    m->backoff_ms = m->backoff_ms ? m->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (m->backoff_ms > BACKOFF_MAX_MS) m->backoff_ms = BACKOFF_MAX_MS;
    lead_pause(m, clock_jitter_ms(m->backoff_ms));
    return REPLICA_EV_FAILED;
}

static replica_event_t step_refused(lead_t *m)
{
    m->backoff_ms = m->backoff_ms < REFUSED_MS ? REFUSED_MS : m->backoff_ms * 2;
    if (m->backoff_ms > REFUSED_MAX_MS) m->backoff_ms = REFUSED_MAX_MS;
    lead_pause(m, clock_jitter_ms(m->backoff_ms));
    return REPLICA_EV_TIME;
}

/* ---- WATCH, SATISFIED, HELD, WAITING ---- */

static int state_read(lead_t *m, err_t *err)
{
    lease_t *l = &m->lease;
    uint64_t limit = l->times.statement;
    if (lease_row_read(l->db, limit, l->prefix, PURPOSE_DEPLOY, &m->row, err) < 0) return -1;
    if (schema_read(l->db, limit, &m->in.schema, err) < 0) return -1;
    if (history_read(l->db, limit, l->prefix, m->own, &m->row, l->times.evict, &m->in.history, err) < 0)
        return -1;
    m->in.forced = m->forced;
    m->in.served = m->served;
    m->out = decide(&m->in);
    flag_t flag;
    if (m->out.verdict == DECIDE_CURRENT && m->in.history.result != RUN_RUNNING &&
        flag_read(m->conf.data_dir, &flag, NULL) == 0 && flag.kind == FLAG_UPGRADE)
        m->out =
            (decide_out_t){DECIDE_FINISH, ERR_LOCK_BUSY, "an upgrade's maintenance mark was left behind"};
    return 0;
}

static replica_event_t step_watch(lead_t *m)
{
    err_t err = {0};
    if (m->still) return REPLICA_EV_NOTHING;
    if (state_read(m, &err) < 0) {
        connect_failed(m, &err);
        lead_pause(m, clock_jitter_ms(BACKOFF_FIRST_MS));
        return REPLICA_EV_FAILED;
    }
    if (m->out.verdict == DECIDE_CURRENT) return REPLICA_EV_NOTHING;
    return m->out.verdict == DECIDE_HOLD ? REPLICA_EV_HOLD : REPLICA_EV_NEEDED;
}

/* The session stays for the next looks when a second whole look, after the watch began, says the same. */
static void session_keep(lead_t *m)
{
    bool kept = watch_begin(&m->watch, &m->lease) && state_read(m, NULL) == 0 &&
                m->out.verdict == DECIDE_CURRENT && !m->in.schema.upgrade_flag &&
                watch_keep(&m->watch, &m->lease, m->conf.watch_ms);
    if (!kept) lease_close(&m->lease);
}

static replica_event_t step_satisfied(lead_t *m)
{
    m->served = true;
    m->failed_ms = 0;
    m->forced = false;
    lead_tell(m, "current", ERR_NONE, "%s", m->out.why);
    if (!m->still) session_keep(m);
    lead_pause(m, clock_jitter_ms(m->conf.watch_ms));
    return REPLICA_EV_TIME;
}

static void hold_words(const lead_t *m, char *buf, size_t size)
{
    const schema_t *s = &m->in.schema;
    /* nothing that changes while it holds: each new reason is a line in the log */
    if (s->kind == SCHEMA_EMPTY)
        snprintf(buf, size, "%s", m->out.why);
    else if (s->kind == SCHEMA_PARTIAL)
        snprintf(buf, size, "%s: %d tables, code %s", m->out.why, s->tables, m->conf.code_version);
    else if (m->out.id == ERR_OTHER_CODE)
        snprintf(buf, size, "%s: version %s, plugins %.12s; the code has plugins %.12s", m->out.why,
                 s->version_text, *s->hash ? s->hash : "none", m->conf.code_hash);
    else
        snprintf(buf, size, "%s: database %s, code %s", m->out.why,
                 *s->version_text ? s->version_text : "none", m->conf.code_version);
}

static replica_event_t step_held(lead_t *m)
{
    char words[400];
    lease_close(&m->lease);
    hold_words(m, words, sizeof words);
    lead_tell(m, "hold", m->out.id, "%s", words);
    m->forced = false; /* it did not help: not to be remembered for another day */
    lead_pause(m, clock_jitter_ms(m->conf.watch_ms));
    return REPLICA_EV_TIME;
}

static replica_event_t step_waiting(lead_t *m)
{
    err_t err = {0};
    bool got = false;
    if (decide_needs_lock(m->out.verdict)) {
        if (lease_is_stale(&m->lease, &m->busy, &m->row, clock_ms()) && lease_evict_lead(&m->lease, &err) < 0)
            lead_tell(m, "waiting", err.id, "%s", err.msg);
        if (db_is_lost(m->lease.db) || lease_try(&m->lease, &got, &err) < 0) {
            connect_failed(m, &err);
            return REPLICA_EV_FAILED;
        }
    }
    if (got) return REPLICA_EV_OK;
    if (!err.id) lead_tell_row(m);
    lead_pause(m, clock_jitter_ms(m->lease.times.poll));
    return REPLICA_EV_BUSY;
}

/* ---- CLAIMED, GRACE, RECHECK, LEADING, STOPPED ---- */

/* The session is given up first: nobody waits for a member that pauses. */
static replica_event_t failed(lead_t *m, const err_t *err)
{
    log_err(err->id == ERR_LOCK_LOST ? LOG_ERROR_ : LOG_WARN_, err);
    lead_cron_give(m);
    lease_close(&m->lease);
    lead_tell(m, "waiting", err->id, "%s", err->msg);
    m->failed_ms = m->failed_ms ? m->failed_ms * 2 : BACKOFF_FIRST_MS;
    if (m->failed_ms > BACKOFF_MAX_MS) m->failed_ms = BACKOFF_MAX_MS;
    lead_pause(m, clock_jitter_ms(m->failed_ms));
    return REPLICA_EV_FAILED;
}

static replica_event_t step_claimed(lead_t *m)
{
    err_t err = {0};
    if (lease_claim(&m->lease, &err) < 0) return failed(m, &err);
    log_notice("leading: epoch %lld, after %s (%s)", (long long)m->lease.epoch,
               *m->lease.prev.holder ? m->lease.prev.holder : "nobody", m->lease.prev.phase);
    lead_tell(m, "leading", ERR_NONE, "%s", m->out.why);
    return REPLICA_EV_OK;
}

static replica_event_t step_grace(lead_t *m)
{
    err_t err = {0};
    lease_t *l = &m->lease;
    uint64_t left = lease_grace_left(l, clock_ms());
    if (l->prev.age_ms < 0)
        log_write(LOG_WARN_, ERR_CLOCK_STEP,
                  "the database's clock went back by at least %lld ms since the last heartbeat; the whole "
                  "pause is kept",
                  (long long)-l->prev.age_ms);
    if (left)
        log_notice("%s: waiting %llu ms until nothing of the last leader can run", lease_grace_why(l),
                   (unsigned long long)left);
    if (lead_beats_for(m, left, &err) < 0) return failed(m, &err);
    uint64_t until = clock_ms() + l->times.evict_total;
    int gone = 0;
    while (!stop() && (gone = lease_evict_work(l, &err)) == 0) {
        if (clock_ms() >= until) {
            err_set(&err, ERR_OLD_SESSION, "the predecessor's session did not end in time");
            gone = -1;
            break;
        }
        if (lead_beats_for(m, 200, &err) < 0) return failed(m, &err);
    }
    if (stop()) {
        lease_close(l); /* the row stays unreleased: the next one must keep the grace too */
        return REPLICA_EV_FAILED;
    }
    if (gone == 1) return REPLICA_EV_OK;
    lead_tell(m, "waiting", err.id, "%s", err.msg);
    lease_close(l);
    lead_pause(m, clock_jitter_ms(BACKOFF_MAX_MS));
    return REPLICA_EV_FAILED;
}

static int release(lead_t *m, err_t *err)
{
    lease_t *l = &m->lease;
    if (lease_row_read(l->db, l->times.statement, l->prefix, PURPOSE_DEPLOY, &m->row, err) < 0) return -1;
    const char *result = strcmp(m->row.result, "running") == 0 ? "interrupted" : m->row.result;
    if (lease_end(l, result, 0, m->row.detail, m->row.backoff_ms, err) < 0) return -1;
    return lease_release(l, err);
}

/* The pause of runs that vanished is stored by the one who finds them. */
static int settle(lead_t *m, err_t *err)
{
    lease_t *l = &m->lease;
    const history_t *h = &m->in.history;
    bool vanished = strcmp(l->prev.phase, "released") != 0;
    if (lease_settle(l, 0, err) < 0 || state_read(m, err) < 0) return -1;
    int64_t pause = decide_backoff_ms(h->failed, h->interrupted);
    if (!vanished || h->result != RUN_INTERRUPTED || strcmp(h->target, m->own) != 0 || pause <= 0 ||
        m->forced)
        return 0;
    if (lease_settle(l, pause, err) < 0) return -1;
    return state_read(m, err);
}

static bool killed_upgrade(const lead_t *m)
{
    const history_t *h = &m->in.history;
    return (h->result == RUN_INTERRUPTED || h->result == RUN_FAILED) &&
           strncmp(h->action, "upgrade", 7) == 0 && strcmp(h->target, m->own) == 0;
}

static replica_event_t step_recheck(lead_t *m)
{
    err_t err = {0};
    lease_t *l = &m->lease;
    if (settle(m, &err) < 0) return failed(m, &err);
    bool unclean = strcmp(l->prev.phase, "released") != 0 || m->in.history.result == RUN_INTERRUPTED ||
                   m->in.history.result == RUN_FAILED || m->out.verdict == DECIDE_FINISH;
    bool work = decide_needs_lock(m->out.verdict) && m->out.verdict != DECIDE_FINISH;
    bool fits = m->out.verdict == DECIDE_CURRENT || m->out.verdict == DECIDE_FINISH;
    bool upgrade = m->out.verdict == DECIDE_UPGRADE;
    if (unclean && (fits || upgrade) && lead_clear_leavings(m, upgrade, killed_upgrade(m), &err) < 0)
        return failed(m, &err);
    if (work) return REPLICA_EV_NEEDED;
    if (fits && history_accept(l->db, l->times.statement, l->prefix, m->own, &err) < 0)
        return failed(m, &err);
    if (release(m, &err) < 0) return failed(m, &err);
    return m->out.verdict == DECIDE_HOLD ? REPLICA_EV_HOLD : REPLICA_EV_NOTHING;
}

static replica_event_t step_leading(lead_t *m)
{
    err_t err = {0};
    lead_tell(m, "leading", ERR_NONE, "%s", m->out.why);
    int rc = lead_work(m, &err);
    m->forced = false;
    if (rc < 0) return failed(m, &err);
    if (lease_release(&m->lease, &err) < 0) return failed(m, &err);
    return REPLICA_EV_OK;
}

static replica_event_t step_stopped(lead_t *m)
{
    lead_cron_give(m);
    lease_close(&m->lease);
    m->lease.epoch = 0;
    return REPLICA_EV_OK;
}

static replica_event_t (*const STEPS[])(lead_t *) = {
    [REPLICA_CONNECT] = step_connect,     [REPLICA_REFUSED] = step_refused, [REPLICA_WATCH] = step_watch,
    [REPLICA_SATISFIED] = step_satisfied, [REPLICA_HELD] = step_held,       [REPLICA_WAITING] = step_waiting,
    [REPLICA_CLAIMED] = step_claimed,     [REPLICA_GRACE] = step_grace,     [REPLICA_RECHECK] = step_recheck,
    [REPLICA_LEADING] = step_leading,     [REPLICA_STOPPED] = step_stopped,
};

static int run(lead_t *m)
{
    replica_state_t s = REPLICA_CONNECT;
    while (!stop() || s == REPLICA_STOPPED) {
        replica_event_t ev = STEPS[s](m);
        replica_state_t next = replica_next(s, ev);
        if (next == REPLICA_COUNT_) {
            log_write(LOG_ERROR_, ERR_BUG, "lead: no way from %s by %s", replica_name(s),
                      replica_event_name(ev));
            return EXIT_SOFTWARE;
        }
        s = next;
    }
    return EXIT_OK;
}

int coord_lead_main(int argc, char **argv)
{
    lead_t m = {.run_dir = target_run_dir(&argc, argv)};
    role_begin();
    db_resolver_limit();
    err_t err = {0};
    if (settings_read(&m, &err) < 0) {
        log_err(LOG_ERROR_, &err);
        return err_status(err.id);
    }
    int status = run(&m);
    if (m.lease.locked && m.lease.db) lease_release(&m.lease, NULL);
    lease_close(&m.lease);
    lead_conf_free(&m.conf);
    target_free(&m.target);
    free(m.run_dir);
    return status;
}
