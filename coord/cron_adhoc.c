#include "coord/cron_adhoc.h"
#include "base/log.h"
#include "coord/lease_internal.h"
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PHP's crc32(), which Moodle uses for the first key */
static uint32_t crc32_of(const char *s)
{
    uint32_t c = 0xffffffffU;
    for (; *s; s++) {
        c ^= (unsigned char)*s;
        for (int i = 0; i < 8; i++) c = c & 1 ? c >> 1 ^ 0xedb88320U : c >> 1;
    }
    return ~c;
}

static void sha1_hex(const char *s, char hex[41])
{
    unsigned char h[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)s, strlen(s), h);
    for (int i = 0; i < SHA_DIGEST_LENGTH; i++) snprintf(hex + 2 * i, 3, "%02x", h[i]);
}

void cron_adhoc_lock(const char *dbname, const char *prefix, const char *task_id, adhoc_lock_t *ret)
{
    char text[256], hex[41], seven[8];
    snprintf(text, sizeof text, "%.128s:%.16s", dbname, prefix);
    ret->key1 = (int32_t)crc32_of(text);
    snprintf(text, sizeof text, "cron_adhoc_%.32s", task_id);
    sha1_hex(text, hex);
    snprintf(seven, sizeof seven, "%.7s", hex);
    ret->key2 = (int32_t)strtol(seven, NULL, 16);
    snprintf(text, sizeof text, "%.128s:%.16s_cron_adhoc_%.32s", dbname, prefix, task_id);
    sha1_hex(text, ret->name);
}

static int lock_is_held(lease_t *l, const adhoc_lock_t *k, bool *ret, err_t *err)
{
    char sql[400];
    cleanup_rows db_rows_t r = {0};
    if (db_family(l->db) == DB_PGSQL)
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint "
                 "= %" PRIu32 " AND objid = %" PRId32 " AND objsubid = 2"
                 " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                 (uint32_t)k->key1, k->key2);
    else
        snprintf(sql, sizeof sql, "SELECT IS_USED_LOCK('%s') IS NOT NULL", k->name);
    if (db_query(l->db, l->times.statement, sql, DB_NONE, &r, err) < 0) return -1;
    *ret = db_cell_int(&r, 0, 0, 1) != 0;
    return 0;
}

static const char FREE[] = "UPDATE {mdl}task_adhoc SET timestarted = NULL, hostname = NULL, pid = NULL WHERE "
                           "id = $1 AND hostname = $2";
/* What Moodle itself does with a task that failed (lib/classes/task/manager.php, adhoc_task_failed). MySQL assigns from left to
 * right: nextruntime must see the old delay. */
#define DELAY                                                                                                \
    "CASE WHEN COALESCE(faildelay, 0) = 0 THEN 60 WHEN faildelay < 43200 THEN faildelay * 2 ELSE 86400 END"
#define FAIL(NOW)                                                                                            \
    "UPDATE {mdl}task_adhoc SET timestarted = NULL, hostname = NULL, pid = NULL, nextruntime = " NOW         \
    " + " DELAY ", faildelay = " DELAY " WHERE id = $1 AND hostname = $2"
static const char *const FAILED[] = {
    [DB_PGSQL] = FAIL("floor(extract(epoch FROM clock_timestamp()))::bigint"),
    [DB_MYSQL] = FAIL("UNIX_TIMESTAMP()"),
};

static int tasks_free(lease_t *l, const char *dbname, const char *host, bool failed, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    int freed = 0;
    if (db_query(l->db, l->times.statement,
                 "SELECT id FROM {mdl}task_adhoc WHERE timestarted IS NOT NULL AND hostname = $1",
                 DB_PARAMS(host), &r, err) < 0)
        return -1;
    for (int i = 0; i < r.rows; i++) {
        adhoc_lock_t k;
        bool held = true;
        const char *id = db_cell(&r, i, 0);
        cron_adhoc_lock(dbname, l->prefix, id, &k);
        if (lock_is_held(l, &k, &held, err) < 0) return -1;
        if (held) continue;
        const char *sql = failed ? FAILED[db_family(l->db)] : FREE;
        if (db_query(l->db, l->times.statement, sql, DB_PARAMS(id, host), NULL, err) < 0) return -1;
        freed++;
    }
    if (freed) log_notice("freed %d ad-hoc tasks that a killed cron on %s had begun", freed, host);
    return 0;
}

static int database_name(lease_t *l, db_rows_t *ret, err_t *err)
{
    const char *sql = db_family(l->db) == DB_PGSQL ? "SELECT current_database()" : "SELECT DATABASE()";
    return db_query(l->db, l->times.statement, sql, DB_NONE, ret, err);
}

void cron_adhoc_crashed(lease_t *l)
{
    cleanup_rows db_rows_t name = {0};
    char host[65] = "";
    err_t err = {0};
    gethostname(host, sizeof host - 1);
    if (database_name(l, &name, &err) < 0 || tasks_free(l, db_cell(&name, 0, 0), host, true, &err) < 0)
        log_err(LOG_WARN_, &err);
}

int cron_adhoc_free(lease_t *l, err_t *err)
{
    cleanup_rows db_rows_t dead = {0}, name = {0};
    err_t e = {0};
    if (database_name(l, &name, err) < 0) return -1;
    if (lease_sql_run(l, l->db, l->times.statement,
                      "SELECT DISTINCT detail FROM {run} WHERE site = $1 AND purpose = $2 AND epoch < $8"
                      " AND result = 'running' AND detail <> ''",
                      NULL, &dead, err) < 0)
        return -1;
    for (int i = 0; i < dead.rows; i++)
        if (tasks_free(l, db_cell(&name, 0, 0), db_cell(&dead, i, 0), false, &e) < 0) {
            if (db_is_lost(l->db)) {
                if (err) *err = e;
                return -1;
            }
            log_err(LOG_WARN_, &e); /* for instance another version's columns: cron must go on */
        }
    return 0;
}
