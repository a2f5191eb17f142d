/* Is this session ours alone? A transaction pooler hands one server session to several clients, so that "the" lock is given
 * twice; a quiet pool looks innocent to a single connection, so this needs two. */
#include "base/clock.h"
#include "base/fd.h"
#include "coord/lease.h"
#include "coord/lease_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { PROBE_KEY1 = 0x4d534c };

typedef struct probe {
    const lease_t *l;
    db_t *a, *b;
    uint32_t key;
} probe_t;

static int ask(const probe_t *p, db_t *db, const char *sql, db_rows_t *ret, err_t *err)
{
    return db_query(db, p->l->times.statement, sql, DB_NONE, ret, err);
}

static int session_id(const probe_t *p, db_t *db, int64_t *ret, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    const char *sql = db_family(db) == DB_PGSQL ? "SELECT pg_backend_pid()" : "SELECT CONNECTION_ID()";
    if (ask(p, db, sql, &r, err) < 0) return -1;
    *ret = db_cell_int(&r, 0, 0, -1);
    return 0;
}

static int probe_lock(const probe_t *p, db_t *db, bool *ret_got, err_t *err)
{
    char sql[128];
    cleanup_rows db_rows_t r = {0};
    if (db_family(db) == DB_PGSQL)
        snprintf(sql, sizeof sql, "SELECT pg_try_advisory_lock(%d, %" PRIu32 ")", PROBE_KEY1, p->key);
    else
        snprintf(sql, sizeof sql, "SELECT GET_LOCK('msup.probe.%" PRIu32 "', 0)", p->key);
    if (ask(p, db, sql, &r, err) < 0) return -1;
    *ret_got = db_cell_true(&r, 0, 0);
    return 0;
}

static int probe_owned(const probe_t *p, int64_t id, bool *ret, err_t *err)
{
    char sql[256];
    cleanup_rows db_rows_t r = {0};
    if (db_family(p->a) == DB_PGSQL)
        snprintf(
            sql, sizeof sql,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %d AND objid = %" PRIu32
            " AND objsubid = 2 AND pid = %" PRId64 " AND pid = pg_backend_pid()",
            PROBE_KEY1, p->key, id);
    else
        snprintf(sql, sizeof sql,
                 "SELECT COALESCE(IS_USED_LOCK('msup.probe.%" PRIu32 "') = CONNECTION_ID(), 0)", p->key);
    if (ask(p, p->a, sql, &r, err) < 0) return -1;
    *ret = db_cell_int(&r, 0, 0, 0) == 1;
    return 0;
}

static int probe_run(const probe_t *p, bool *ret_proxy, err_t *err)
{
    int64_t a1 = 0, a2 = 0, b = 0;
    bool first = false, second = false, owned = false;
    if (session_id(p, p->a, &a1, err) < 0 || probe_lock(p, p->a, &first, err) < 0) return -1;
    if (ask(p, p->b, "BEGIN", NULL, err) < 0 || session_id(p, p->b, &b, err) < 0) return -1;
    if (probe_lock(p, p->b, &second, err) < 0 || session_id(p, p->a, &a2, err) < 0) return -1;
    if (probe_owned(p, a1, &owned, err) < 0) return -1;
    if (a1 != a2 || a1 == b || !first || second || !owned)
        return err_set(err, ERR_DB_POOLER, "two sessions of ours are one at the server, or change under us");
    *ret_proxy = (uint32_t)db_handshake_id(p->a) != (uint32_t)a1;
    return 0;
}

int lease_probe(lease_t *l, const target_db_t *target, bool *ret_proxy, err_t *err)
{
    *ret_proxy = false;
    probe_t p = {.l = l, .a = l->db};
    if (getrandom(&p.key, sizeof p.key, 0) != (ssize_t)sizeof p.key) p.key = (uint32_t)clock_ms();
    p.key &= 0x3fffffff;
    p.b = db_open(target, "moodlectl-probe", l->times.connect, err);
    if (!p.b) return err_wrap(err, "second session");
    int rc = probe_run(&p, ret_proxy, err);
    db_close(&p.b);
    char sql[128];
    if (db_family(l->db) == DB_PGSQL)
        snprintf(sql, sizeof sql, "SELECT pg_advisory_unlock(%d, %" PRIu32 ")", PROBE_KEY1, p.key);
    else
        snprintf(sql, sizeof sql, "SELECT RELEASE_LOCK('msup.probe.%" PRIu32 "')", p.key);
    if (rc == 0) rc = db_query(l->db, l->times.statement, sql, DB_NONE, NULL, err);
    return rc;
}
