#include "coord/history.h"
#include "base/buf.h"
#include <stdio.h>
#include <string.h>

static const char LAST[] = "SELECT action, target, result FROM {run} WHERE site = $1 AND purpose = 'deploy'"
                           " ORDER BY epoch DESC LIMIT 1";
static const char COUNTS[] =
    "SELECT COALESCE(SUM(CASE WHEN result = 'failed' THEN 1 ELSE 0 END), 0),"
    " COALESCE(SUM(CASE WHEN result IN ('interrupted', 'running') THEN 1 ELSE 0 END), 0) FROM {run}"
    " WHERE site = $1 AND purpose = 'deploy' AND target = $2 AND epoch >"
    " (SELECT COALESCE(MAX(epoch), 0) FROM {run} WHERE site = $1 AND purpose = 'deploy' AND result = 'ok')";
static const char OURS[] =
    "SELECT COUNT(*) FROM {run} WHERE site = $1 AND purpose = 'deploy' AND target = $2 AND result = 'ok'";

void history_target(const char *version, const char *hash, char *buf, size_t size)
{
    snprintf(buf, size, "%.40s:%.64s", version, hash);
}

int history_read(db_t *db, uint64_t limit_ms, const char *prefix, const char *target, const lease_row_t *row,
                 uint64_t stale_ms, history_t *ret, err_t *err)
{
    *ret = (history_t){0};
    cleanup_rows db_rows_t last = {0}, counts = {0}, ours = {0};
    if (!row->exists) return 0;
    if (db_query(db, limit_ms, LAST, DB_PARAMS(prefix), &last, err) < 0)
        return err_wrap(err, "reading the last run");
    if (last.rows == 0) return 0;
    snprintf(ret->action, sizeof ret->action, "%s", db_cell(&last, 0, 0));
    snprintf(ret->target, sizeof ret->target, "%s", db_cell(&last, 0, 1));
    ret->result = run_result_find(db_cell(&last, 0, 2));
    ret->alive = strcmp(row->phase, "released") != 0 && row->age_ms < (int64_t)stale_ms;
    if (db_query(db, limit_ms, COUNTS, DB_PARAMS(prefix, target), &counts, err) < 0 ||
        db_query(db, limit_ms, OURS, DB_PARAMS(prefix, target), &ours, err) < 0)
        return err_wrap(err, "counting runs");
    bool same = strcmp(ret->target, target) == 0;
    ret->ours = same;
    ret->failed = (int)db_cell_int(&counts, 0, 0, 0);
    ret->interrupted = (int)db_cell_int(&counts, 0, 1, 0);
    if (same && ret->result == RUN_RUNNING && ret->alive && ret->interrupted) ret->interrupted--;
    ret->was_ours = !same && db_cell_int(&ours, 0, 0, 0) > 0;
    ret->backoff_ms = same ? row->backoff_ms : 0;
    return 0;
}

int history_accept(db_t *db, uint64_t limit_ms, const char *prefix, const char *target, err_t *err)
{
    /* MySQL cannot read the table that it updates, but for a derived table */
    static const char sql[] =
        "UPDATE {run} SET result = 'ok' WHERE site = $1 AND purpose = 'deploy' AND target = $2"
        " AND result IN ('interrupted', 'failed') AND epoch = (SELECT e FROM (SELECT MAX(epoch) AS e FROM "
        "{run}"
        " WHERE site = $1 AND purpose = 'deploy') m)";
    return db_query(db, limit_ms, sql, DB_PARAMS(prefix, target), NULL, err);
}
