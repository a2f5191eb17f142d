#include "coord/cron_health.h"
#include "base/log.h"
#include "base/role.h"
#include "coord/lease_internal.h"
#include <stdio.h>
#include <string.h>

enum { REPORT_MS = 60000 };

/* Our statements name the row by site and purpose. */
static lease_t row_of(const lease_t *l)
{
    lease_t row = *l;
    row.purpose = PURPOSE_CRON_OK;
    return row;
}

static int row_run(const lease_t *l, const char *sql, db_rows_t *ret, err_t *err)
{
    lease_t row = row_of(l);
    return lease_sql_run(&row, l->db, l->times.statement, sql, NULL, ret, err);
}

static void health_of(const lease_row_t *r, cron_health_t *ret)
{
    *ret = (cron_health_t){
        .known = r->exists, .age_ms = r->age_ms > 0 ? r->age_ms : 0, .said_ms = r->elapsed_ms};
    snprintf(ret->holder, sizeof ret->holder, "%.*s", (int)strcspn(r->holder, "#"), r->holder);
}

int cron_health_read(db_t *db, uint64_t limit_ms, const char *prefix, cron_health_t *ret, err_t *err)
{
    lease_row_t r;
    if (lease_row_read(db, limit_ms, prefix, PURPOSE_CRON_OK, &r, err) < 0) return -1;
    health_of(&r, ret);
    return 0;
}

int cron_health_mark(const lease_t *l, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    const lease_sql_t *q = lease_sql_of(l);
    if (row_run(l, q->mark, &r, err) < 0) return err_wrap(err, "noting cron's success");
    if (r.affected) return 0;
    if (row_run(l, q->create_row, NULL, err) < 0 || row_run(l, q->mark_new, NULL, err) < 0 ||
        row_run(l, q->mark, NULL, err) < 0)
        return err_wrap(err, "noting cron's success");
    return 0;
}

int cron_health_look(const lease_t *l, cron_health_t *ret, bool *ret_report, err_t *err)
{
    lease_row_t row;
    cleanup_rows db_rows_t r = {0};
    const lease_sql_t *q = lease_sql_of(l);
    *ret_report = false;
    if (lease_row_read(l->db, l->times.statement, l->prefix, PURPOSE_CRON_OK, &row, err) < 0) return -1;
    if (!row.exists && (row_run(l, q->create_row, NULL, err) < 0 || row_run(l, q->mark_new, NULL, err) < 0))
        return err_wrap(err, "noting that cron is looked after");
    health_of(&row, ret);
    if (!row.exists || row.elapsed_ms < REPORT_MS) return 0;
    if (row_run(l, q->mark_report, &r, err) < 0) return err_wrap(err, "taking the turn to report");
    *ret_report = r.affected == 1;
    return 0;
}

void cron_health_tasks(const lease_t *l, const char *host, char *buf, size_t size)
{
    static const char sql[] =
        "SELECT classname, pid FROM {mdl}task_scheduled WHERE timestarted IS NOT NULL AND hostname = $1 "
        "UNION ALL"
        " SELECT classname, pid FROM {mdl}task_adhoc WHERE timestarted IS NOT NULL AND hostname = $1";
    cleanup_rows db_rows_t r = {0};
    *buf = '\0';
    if (!l->db || db_query(l->db, l->times.statement, sql, DB_PARAMS(host), &r, NULL) < 0) return;
    size_t n = 0;
    for (int i = 0; i < r.rows && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%.120s (pid %s)", i ? ", " : "", db_cell(&r, i, 0),
                              db_cell(&r, i, 1));
}

void cron_health_report(const cron_health_t *h)
{
    role_metric("CronSuccessAge", (double)h->age_ms / 1000, "Seconds");
    /* once when it becomes late, and once for each more of such times */
    int64_t then = h->age_ms > h->said_ms ? h->age_ms - h->said_ms : 0;
    if (h->age_ms / CRON_LATE_MS > then / CRON_LATE_MS)
        log_write(LOG_WARN_, ERR_CRON_LATE, "cron last did its work %lld minutes ago, on %s",
                  (long long)h->age_ms / 60000, *h->holder ? h->holder : "no member yet");
}
