#include "coord/cron_adhoc.h"
#include "base/log.h"
#include "coord/lease_internal.h"
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int tasks_free(lease_t *l, const char *dbname, const char *host, err_t *err)
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
        cron_adhoc_lock(dbname, l->prefix, db_cell(&r, i, 0), &k);
        if (lock_is_held(l, &k, &held, err) < 0) return -1;
        if (held) continue;
        if (db_query(l->db, l->times.statement,
                     "UPDATE {mdl}task_adhoc SET timestarted = NULL, hostname = NULL, pid = NULL WHERE id = "
                     "$1 AND hostname = $2",
                     DB_PARAMS(db_cell(&r, i, 0), host), NULL, err) < 0)
            return -1;
        freed++;
    }
    if (freed) log_notice("freed %d ad-hoc tasks that a killed cron on %s had begun", freed, host);
    return 0;
}

int cron_adhoc_free(lease_t *l, err_t *err)
{
    cleanup_rows db_rows_t dead = {0}, name = {0};
    const char *db_sql = db_family(l->db) == DB_PGSQL ? "SELECT current_database()" : "SELECT DATABASE()";
    err_t e = {0};
    if (db_query(l->db, l->times.statement, db_sql, DB_NONE, &name, err) < 0) return -1;
    if (lease_sql_run(l, l->db, l->times.statement,
                      "SELECT DISTINCT detail FROM {run} WHERE site = $1 AND purpose = $2 AND epoch < $8"
                      " AND result = 'running' AND detail <> ''",
                      NULL, &dead, err) < 0)
        return -1;
    for (int i = 0; i < dead.rows; i++)
        if (tasks_free(l, db_cell(&name, 0, 0), db_cell(&dead, i, 0), &e) < 0) {
            if (db_is_lost(l->db)) {
                if (err) *err = e;
                return -1;
            }
            log_err(LOG_WARN_, &e); /* for instance another version's columns: cron must go on */
        }
    return 0;
}
