#include "coord/watch.h"
#include "base/clock.h"
#include "base/fd.h"
#include "coord/lease_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KEPT_MS = 300000, SELDOM_MS = 30000 };

/* All that a decision reads and that changes without a raised epoch: coord/schema.c reads the same names. One by one: MariaDB writes
 * a temporary table to the disk to join texts of several rows. */
#define VALUE(NAME) ", COALESCE((SELECT value FROM {mdl}config WHERE name = '" NAME "'), '')"
#define VERSIONS    VALUE("version") VALUE("release") VALUE("allversionshash")
#define FLAGS       VALUE("rolesactive") VALUE("upgraderunning") VALUE("outagelessupgrade")
#define ROW         " FROM {coord} WHERE site = $1 AND purpose = 'deploy'"
static const char TOKEN[] = "SELECT CONCAT_WS('/', epoch, result" VERSIONS FLAGS "), phase" ROW;

static bool token_read(lease_t *l, char *buf, size_t size)
{
    cleanup_rows db_rows_t r = {0};
    const char *const p[] = {l->prefix};
    *buf = '\0';
    if (!l->db || db_query(l->db, l->times.statement, TOKEN, p, 1, &r, NULL) < 0) return false;
    if (r.rows != 1 || strcmp(db_cell(&r, 0, 1), "released") != 0) return false;
    return (size_t)snprintf(buf, size, "%s", db_cell(&r, 0, 0)) < size;
}

bool watch_begin(watch_t *w, lease_t *l)
{
    w->until_ms = 0;
    return token_read(l, w->seen, sizeof w->seen);
}

/* A session that leads is ended after 10 s of silence; this one leads nobody. */
static bool silence_allow(lease_t *l, uint64_t ms)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             db_family(l->db) == DB_PGSQL ? "SELECT set_config(name, '%" PRIu64
                                            "', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
                                          : "SET SESSION wait_timeout = %" PRIu64,
             db_family(l->db) == DB_PGSQL ? ms : ms / 1000);
    return db_query(l->db, l->times.statement, sql, DB_NONE, NULL, NULL) == 0;
}

bool watch_keep(watch_t *w, lease_t *l, uint64_t every_ms)
{
    if (!l->db || every_ms > SELDOM_MS || !silence_allow(l, 3 * every_ms + l->times.idle)) return false;
    w->until_ms = clock_ms() + clock_jitter_ms(KEPT_MS);
    return true;
}

bool watch_is_kept(const watch_t *w, lease_t *l)
{
    return w->until_ms && clock_ms() < w->until_ms && l->db && db_idle_ok(l->db);
}

bool watch_same(const watch_t *w, lease_t *l)
{
    char now[sizeof w->seen];
    return watch_is_kept(w, l) && token_read(l, now, sizeof now) && strcmp(now, w->seen) == 0;
}
