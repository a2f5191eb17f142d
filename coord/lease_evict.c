/* Ending other sessions: killing a child does not end its statement, and a stopped leader keeps its lock. An ordinary user
 * may end sessions of its own user on both families. */
#include "base/clock.h"
#include "base/fd.h"
#include "coord/lease.h"
#include "coord/lease_internal.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int kill_session(lease_t *l, const char *id, err_t *err)
{
    char sql[64];
    int64_t n = strtoll(id, NULL, 10);
    if (db_family(l->db) == DB_PGSQL)
        snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%" PRId64 ")", n);
    else
        snprintf(sql, sizeof sql, "KILL %" PRId64, n);
    err_t e = {0};
    if (db_query(l->db, l->times.statement, sql, DB_NONE, NULL, &e) == 0) return 0;
    if (e.id == ERR_DB_QUERY && strncmp(e.msg, "1094:", 5) == 0) return 0; /* it ended by itself */
    /* 1095: not owner of the thread; SQLSTATE 42501: must be a member of the role */
    if (e.id == ERR_DB_PRIVILEGE || strncmp(e.msg, "1095:", 5) == 0)
        return err_set(err, ERR_OLD_SESSION, "session %s: %s", id, e.msg);
    if (err) *err = e;
    return err_wrap(err, "ending session %s", id);
}

int lease_evict_work(lease_t *l, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    if (lease_sql_run(l, l->db, l->times.statement, lease_sql_of(l)->work_owner, NULL, &r, err) < 0)
        return err_wrap(err, "looking for the work lock's owner");
    int owners = 0;
    for (int i = 0; i < r.rows; i++) {
        if (!*db_cell(&r, i, 0)) continue;
        owners++;
        if (kill_session(l, db_cell(&r, i, 0), err) < 0) return -1;
    }
    return owners == 0;
}

int64_t lease_work_made(const lease_t *l)
{
    cleanup_rows db_rows_t r = {0};
    const char *sql = lease_sql_of(l)->made;
    if (!sql || lease_sql_run(l, l->db, l->times.statement, sql, NULL, &r, NULL) < 0) return 0;
    return db_cell_int(&r, 0, 0, 0);
}

bool lease_is_stale(const lease_t *l, lease_busy_t *busy, const lease_row_t *row, uint64_t now_ms)
{
    uint64_t evict = l->times.evict;
    if (busy->purpose != l->purpose || busy->epoch != row->epoch || now_ms - busy->seen_ms >= evict)
        *busy = (lease_busy_t){.purpose = l->purpose, .epoch = row->epoch, .since_ms = now_ms};
    busy->seen_ms = now_ms;
    bool released = !row->exists || strcmp(row->phase, "released") == 0;
    return now_ms - busy->since_ms >= evict && (released || row->age_ms >= (int64_t)evict);
}

int lease_evict_lead(lease_t *l, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    if (lease_sql_run(l, l->db, l->times.statement, lease_sql_of(l)->lead_owner, NULL, &r, err) < 0)
        return err_wrap(err, "looking for the lead lock's owner");
    for (int i = 0; i < r.rows; i++)
        if (*db_cell(&r, i, 0) && kill_session(l, db_cell(&r, i, 0), err) < 0) return -1;
    return 0;
}

int lease_settle(lease_t *l, int64_t backoff_ms, err_t *err)
{
    char ms[24];
    snprintf(ms, sizeof ms, "%" PRId64, backoff_ms);
    const char *const extra[4] = {ms, "", "", ""};
    const lease_sql_t *q = lease_sql_of(l);
    if (lease_sql_run(l, l->db, l->times.statement, q->settle, NULL, NULL, err) < 0 ||
        lease_sql_run(l, l->db, l->times.statement, q->prune, NULL, NULL, err) < 0)
        return err_wrap(err, "settling older runs");
    if (backoff_ms <= 0) return 0;
    if (lease_sql_run(l, l->db, l->times.statement, q->not_before, extra, NULL, err) < 0)
        return err_wrap(err, "storing the pause");
    return 0;
}

/* The last script's session may need a moment to go after its process ended. Shorter than a heartbeat: nobody beats here. */
static int work_lock_take(const lease_t *l, db_t *db, err_t *err)
{
    uint64_t until = clock_ms() + l->times.heartbeat / 2;
    for (;;) {
        cleanup_rows db_rows_t got = {0};
        if (lease_sql_run(l, db, l->times.statement, LEASE_SQL[db_family(db)].try_work, NULL, &got, err) < 0)
            return err_wrap(err, "the work lock");
        if (db_cell_true(&got, 0, 0)) return 0;
        if (clock_ms() >= until)
            return err_set(err, ERR_OLD_SESSION, "the work lock is held by another session");
        clock_sleep_ms(20);
    }
}

static int fence_pass(const lease_t *l, db_t *db, err_t *err)
{
    cleanup_rows db_rows_t epoch = {0};
    if (work_lock_take(l, db, err) < 0) return -1;
    if (lease_sql_run(l, db, l->times.statement, LEASE_SQL[db_family(db)].epoch, NULL, &epoch, err) < 0)
        return err_wrap(err, "reading the epoch");
    /* both: a failover that lost the last raise gives the same number again, to another holder */
    if (epoch.rows == 0 || db_cell_int(&epoch, 0, 0, -1) != l->epoch ||
        strcmp(db_cell(&epoch, 0, 1), l->holder) != 0)
        return err_set(err, ERR_LOCK_LOST, "the epoch is not ours any more");
    return 0;
}

db_t *lease_fenced_open(const lease_t *l, const target_db_t *target, err_t *err)
{
    db_t *db = db_open(target, "moodlectl-work", l->times.connect, err);
    if (!db) return NULL;
    db_set_names(db, &l->names);
    if (fence_pass(l, db, err) < 0) db_close(&db);
    return db;
}

char *lease_fence_value(const lease_t *l)
{
    bool pg = db_family(l->db) == DB_PGSQL;
    json_t *o = json_pack("{s:I,s:s,s:s,s:s,s:s,s:i,s:i,s:s,s:I}", "epoch", (json_int_t)l->epoch, "holder",
                          l->holder, "purpose", purpose_name(l->purpose), "site", l->prefix, "table",
                          l->names.coord, "key1", pg ? l->keys.key1 : 0, "key2", pg ? l->keys.work2 : 0,
                          "name", l->keys.work, "wait_ms", (json_int_t)l->times.evict);
    char *s = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return s;
}
