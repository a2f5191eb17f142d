/* What a leader clears away before it works: tables of a half install, marks of a dead upgrade, running crons. Every write
 * goes through a session that owns the work lock and saw our epoch. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/role.h"
#include "coord/cron_adhoc.h"
#include "coord/flag.h"
#include "coord/lead.h"
#include <stdio.h>
#include <string.h>

enum { DROP_BATCH = 16, BEAT_LOOK_MS = 200 };

int lead_beats_for(lead_t *m, uint64_t ms, err_t *err)
{
    uint64_t until = clock_ms() + ms, now;
    do {
        if (m->lease.db) db_idle_ok(m->lease.db);
        if (job_lease_keep(&m->lease, m->run_dir, "", err) < 0) return -1;
        if (m->cron.epoch && job_lease_keep(&m->cron, m->run_dir, "", NULL) < 0) m->cron.epoch = 0;
        if (m->runner.epoch && job_lease_keep(&m->runner, m->run_dir, "", NULL) < 0) m->runner.epoch = 0;
        now = clock_ms();
        if (now >= until || role_stop_requested()) return 0;
        clock_sleep_ms(until - now < BEAT_LOOK_MS ? until - now : BEAT_LOOK_MS);
    } while (true);
}

/* ---- leavings ---- */

/* Minutes may have gone by since the lease was opened, and with them a password. */
static db_t *fenced_open(lead_t *m, err_t *err)
{
    if (target_reload(m->run_dir, &m->target, err) < 0) return NULL;
    return lease_fenced_open(&m->lease, &m->target.db, err);
}

static int config_clear(lead_t *m, err_t *err)
{
    db_t *db = fenced_open(m, err);
    if (!db) return -1;
    uint64_t limit = m->lease.times.statement;
    /* every script of Moodle refuses to run while the first one lies in the future; the second hides pending upgrades */
    int rc = db_query(db, limit, "DELETE FROM {mdl}config WHERE name = 'upgraderunning'", DB_NONE, NULL, err);
    if (rc == 0)
        rc = db_query(db, limit,
                      "UPDATE {mdl}config SET value = '' WHERE name = 'outagelessupgrade' AND value <> ''",
                      DB_NONE, NULL, err);
    db_close(&db);
    return rc;
}

int lead_clear_leavings(lead_t *m, bool upgrade_follows, bool killed, err_t *err)
{
    flag_t f;
    bool rows = m->in.schema.upgrade_flag || m->in.schema.live_flag;
    if (rows) {
        if (config_clear(m, err) < 0) return err_wrap(err, "clearing the marks of a dead upgrade");
        log_notice("cleared the marks that a dead upgrade left in Moodle's config table");
    }
    if (upgrade_follows) return 0; /* it purges the caches, and the mark for visitors stays */
    /* Moodle's cache may hold copies of the rows, so after they have gone */
    if ((rows || killed) && lead_finish_upgrade(m, err) < 0) return -1;
    if (flag_read(m->conf.data_dir, &f, err) < 0) return -1;
    if (f.kind != FLAG_UPGRADE) return 0;
    log_notice("removed the maintenance mark that %s left since %s", f.who, f.when);
    return flag_remove(m->conf.data_dir, err);
}

/* ---- a half install ---- */

static const char *const LIST[] = {
    [DB_PGSQL] =
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND left(c.relname, "
        "length('{mdl}')) = '{mdl}'"
        " AND c.relname NOT IN ('sup_coord', 'sup_run', 'x_sup_coord', 'x_sup_run') ORDER BY 1",
    [DB_MYSQL] = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
                 " AND LEFT(table_name, CHAR_LENGTH('{mdl}')) = '{mdl}'"
                 " AND table_name NOT IN ('sup_coord', 'sup_run', 'x_sup_coord', 'x_sup_run') ORDER BY 1",
};

static void drop_statement(db_family_t family, const db_rows_t *names, int from, buf_t *out)
{
    char q = family == DB_PGSQL ? '"' : '`';
    buf_str(out, "DROP TABLE IF EXISTS ");
    for (int i = from; i < names->rows && i < from + DROP_BATCH; i++) {
        if (i > from) buf_str(out, ", ");
        buf_add(out, &q, 1);
        for (const char *p = db_cell(names, i, 0); *p; p++)
            if (*p != q) buf_add(out, p, 1);
        buf_add(out, &q, 1);
    }
    if (family == DB_PGSQL) buf_str(out, " CASCADE");
}

/* With the prefix "m", another site's mdl_ tables would begin with ours. */
static int other_site_check(lead_t *m, db_t *db, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    if (db_query(db, m->lease.times.statement,
                 "SELECT site FROM {coord} WHERE site <> $1 AND LEFT(site, LENGTH($1)) = $1",
                 DB_PARAMS(m->lease.prefix), &r, err) < 0)
        return -1;
    if (r.rows)
        return err_set(err, ERR_HALF_INSTALLED, "tables of site \"%s\" begin with our prefix too",
                       db_cell(&r, 0, 0));
    return 0;
}

static int drop_all(lead_t *m, db_t *db, err_t *err)
{
    cleanup_rows db_rows_t names = {0};
    if (other_site_check(m, db, err) < 0) return -1;
    if (db_query(db, m->lease.times.statement, LIST[db_family(db)], DB_NONE, &names, err) < 0) return -1;
    if (db_family(db) == DB_MYSQL &&
        db_query(db, m->lease.times.statement, "SET FOREIGN_KEY_CHECKS = 0", DB_NONE, NULL, err) < 0)
        return -1;
    log_notice("dropping %d tables of an install of ours that was not finished", names.rows);
    for (int i = 0; i < names.rows; i += DROP_BATCH) {
        cleanup_buf buf_t sql = BUF_INIT;
        if (lead_beats_for(m, 0, err) < 0) return -1;
        drop_statement(db_family(db), &names, i, &sql);
        if (db_query(db, m->lease.times.statement, buf_cstr(&sql), DB_NONE, NULL, err) < 0) return -1;
    }
    return 0;
}

int lead_drop_tables(lead_t *m, err_t *err)
{
    db_t *db = fenced_open(m, err);
    if (!db) return -1;
    int rc = drop_all(m, db, err);
    db_close(&db);
    return rc < 0 ? err_wrap(err, "dropping a half install") : 0;
}

/* ---- cron ---- */

/* Moodle's own way to end all crons after their current task (lib/classes/task/manager.php, clear_static_caches). */
static int cron_ask_end(lead_t *m, err_t *err)
{
    static const char *const now[] = {[DB_PGSQL] =
                                          "floor(extract(epoch FROM clock_timestamp()))::bigint::text",
                                      [DB_MYSQL] = "UNIX_TIMESTAMP()"};
    char upd[256], ins[256];
    cleanup_rows db_rows_t r = {0};
    db_t *db = fenced_open(m, err);
    if (!db) return -1;
    uint64_t limit = m->lease.times.statement;
    const char *value = now[db_family(db)];
    snprintf(upd, sizeof upd, "UPDATE {mdl}config SET value = %s WHERE name = 'scheduledtaskreset'", value);
    snprintf(ins, sizeof ins, "INSERT INTO {mdl}config (name, value) VALUES ('scheduledtaskreset', %s)",
             value);
    int rc = db_query(db, limit, upd, DB_NONE, &r, err);
    if (rc == 0 && r.affected == 0) rc = db_query(db, limit, ins, DB_NONE, NULL, err);
    db_close(&db);
    return rc;
}

/* Its owner may take the lock again in a new session, as it may after any loss: we are there first. */
static int tasks_evict(lease_t *c, bool *ret_got, err_t *err)
{
    enum { TRIES = 50, PAUSE_MS = 10 };
    if (lease_evict_lead(c, err) < 0) return -1;
    for (int i = 0; i < TRIES && !*ret_got; i++) {
        if (lease_try(c, ret_got, err) < 0) return -1;
        if (!*ret_got) clock_sleep_ms(PAUSE_MS);
    }
    return 0;
}

/* `until`: for how long a running script is left to end by itself. */
static int tasks_lock(lead_t *m, lease_t *c, uint64_t until, err_t *err)
{
    bool got = false, told = false;
    while (!role_stop_requested()) {
        uint64_t now = clock_ms();
        if (now >= until && !told)
            log_notice("the running %s did not end in time: ending its session", purpose_name(c->purpose));
        if (now >= until) told = true;
        if ((now < until ? lease_try(c, &got, err) : tasks_evict(c, &got, err)) < 0) return -1;
        if (got) return 0;
        if (now >= until + c->times.evict) return err_set(err, ERR_OLD_SESSION, "its lock cannot be had");
        if (lead_beats_for(m, 500, err) < 0) return -1;
    }
    return err_set(err, ERR_LOCK_BUSY, "stopped while waiting for it to end");
}

/* When it returns 0, no script of that purpose runs, and an older one that wakes up is refused by its epoch. */
static int tasks_take(lead_t *m, lease_t *c, purpose_t purpose, uint64_t until, err_t *err)
{
    if (target_reload(m->run_dir, &m->target, err) < 0) return -1;
    lease_init(c, purpose, m->target.db.prefix, m->holder, m->conf.lease_scale);
    if (lease_open(c, &m->target.db, err) < 0 || tasks_lock(m, c, until, err) < 0 || lease_claim(c, err) < 0)
        return err_wrap(err, "taking the %s lock", purpose_name(purpose));
    if (lead_beats_for(m, lease_grace_left(c, clock_ms()), err) < 0) return -1;
    uint64_t end = clock_ms() + c->times.evict_total;
    int gone;
    while ((gone = lease_evict_work(c, err)) == 0 && clock_ms() < end && !role_stop_requested())
        if (lead_beats_for(m, 200, err) < 0) return -1;
    if (gone < 0) return err_wrap(err, "ending the session of %s", purpose_name(purpose));
    if (gone == 0)
        return err_set(err, ERR_OLD_SESSION, "the session of %s did not end", purpose_name(purpose));
    /* tasks that it had begun; it reads the unfinished runs, so before they are settled */
    if (cron_adhoc_free(c, err) < 0) return -1;
    return lease_settle(c, 0, err);
}

static void tasks_give(lease_t *c)
{
    err_t err = {0};
    if (c->db && c->epoch && (lease_end(c, "ok", 0, "", 0, &err) < 0 || lease_release(c, &err) < 0))
        log_err(LOG_WARN_, &err);
    lease_close(c);
    c->epoch = 0;
}

/* Their places need not be kept: a runner looks for an upgrade after it has claimed one, and ours is announced already. */
static int runners_end(lead_t *m, uint64_t until, err_t *err)
{
    lease_row_t row;
    for (int p = PURPOSE_ADHOC; p < PURPOSE_COUNT_; p++) {
        if (lease_row_read(m->lease.db, m->lease.times.statement, m->lease.prefix, (purpose_t)p, &row, err) <
            0)
            return -1;
        if (!row.exists || strcmp(row.phase, "released") == 0) continue;
        int rc = tasks_take(m, &m->runner, (purpose_t)p, until, err);
        tasks_give(&m->runner);
        if (rc < 0) return -1;
    }
    return 0;
}

int lead_cron_take(lead_t *m, err_t *err)
{
    uint64_t until = clock_ms() + m->conf.cron_patience_ms;
    if (cron_ask_end(m, err) < 0) return err_wrap(err, "asking cron to end");
    if (tasks_take(m, &m->cron, PURPOSE_CRON, until, err) < 0) return -1;
    return runners_end(m, until, err);
}

void lead_cron_give(lead_t *m) { tasks_give(&m->cron); }
