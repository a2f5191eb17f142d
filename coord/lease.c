#include "coord/lease.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "coord/lease_internal.h"
#include "coord/lease_sql.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void lease_times_make(int percent, lease_times_t *ret)
{
    if (percent <= 0) percent = 100;
    const lease_times_t base = {
        .heartbeat = 2000,
        .deadline = 7000,
        .kill = 1000,
        .idle = 10000,
        .grace = 8000,
        .poll = 1000,
        .cron_poll = 10000,
        .evict = 15000,
        .statement = 5000,
        .lock = 2000,
        .connect = 3000,
        .evict_total = 120000,
    };
    const uint64_t *from = (const uint64_t *)&base;
    uint64_t *to = (uint64_t *)ret;
    for (size_t i = 0; i < sizeof base / sizeof *from; i++) to[i] = from[i] * (uint64_t)percent / 100;
    /* MySQL's wait_timeout has whole seconds: round up, and move what must lie above it */
    ret->idle = (ret->idle + 999) / 1000 * 1000;
    uint64_t evict = ret->idle + (base.evict - base.idle) * (uint64_t)percent / 100;
    if (ret->evict < evict) ret->evict = evict;
}

void lease_holder_make(const char *member, char *buf, size_t size)
{
    uint64_t boot = 0;
    if (getrandom(&boot, sizeof boot, 0) != (ssize_t)sizeof boot) boot = clock_wall_ms();
    snprintf(buf, size, "%.80s#%016" PRIx64, member, boot);
    for (char *c = buf; *c;
         c++) /* it goes through JSON and through two databases, and is compared as bytes */
        if (*c <= ' ' || *c >= 127) *c = '?';
}

void lease_init(lease_t *l, purpose_t purpose, const char *prefix, const char *holder, int scale_percent)
{
    *l = (lease_t){.purpose = purpose};
    snprintf(l->prefix, sizeof l->prefix, "%s", prefix);
    snprintf(l->holder, sizeof l->holder, "%s", holder);
    lease_times_make(scale_percent, &l->times);
    lease_names_make(prefix, &l->names);
}

/* Runs one of our statements; $B.. are `extra`. */
int lease_sql_run(const lease_t *l, db_t *db, uint64_t limit_ms, const char *sql, const char *const extra[4],
                  db_rows_t *ret, err_t *err)
{
    char key1[16], lead2[16], work2[16], epoch[24];
    snprintf(key1, sizeof key1, "%d", l->keys.key1);
    snprintf(lead2, sizeof lead2, "%d", l->keys.lead2);
    snprintf(work2, sizeof work2, "%d", l->keys.work2);
    snprintf(epoch, sizeof epoch, "%" PRId64, l->epoch);
    static const char *const none[4] = {"0", "0", "0", "0"};
    const char *const *x = extra ? extra : none;
    const char *const p[] = {l->prefix,    purpose_name(l->purpose),
                             key1,         lead2,
                             work2,        l->keys.lead,
                             l->keys.work, epoch,
                             l->holder,    l->server_id,
                             x[0],         x[1],
                             x[2],         x[3]};
    return db_query(db, limit_ms, sql, p, (int)(sizeof p / sizeof *p), ret, err);
}

const lease_sql_t *lease_sql_of(const lease_t *l) { return &LEASE_SQL[db_family(l->db)]; }

/* Statements of the lease end before its deadline, so that a lost leader is not kept from seeing it. */
static uint64_t statement_limit(const lease_t *l)
{
    uint64_t now = clock_ms();
    if (!l->epoch) return l->times.statement;
    if (now >= l->deadline_ms) return 1;
    uint64_t left = l->deadline_ms - now;
    return left < l->times.statement ? left : l->times.statement;
}

static int run(lease_t *l, const char *sql, const char *const extra[4], db_rows_t *ret, err_t *err)
{
    return lease_sql_run(l, l->db, statement_limit(l), sql, extra, ret, err);
}

/* One row changed, or the row is not ours any more. */
static int run_mine(lease_t *l, const char *sql, const char *const extra[4], const char *what, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    if (run(l, sql, extra, &r, err) < 0) return err_wrap(err, "%s", what);
    if (r.affected != 1)
        return err_set(err, ERR_LOCK_LOST, "%s: the row of epoch %" PRId64 " is not ours any more", what,
                       l->epoch);
    return 0;
}

static int session_settings(lease_t *l, err_t *err)
{
    char sql[1024];
    const lease_times_t *t = &l->times;
    if (db_family(l->db) == DB_PGSQL)
        /* through pg_settings, because idle_session_timeout came with version 14 */
        snprintf(
            sql, sizeof sql,
            "SELECT set_config(v.n, v.s, false) FROM (VALUES ('idle_session_timeout', '%" PRIu64
            "'), ('idle_in_transaction_session_timeout', '%" PRIu64 "'), ('statement_timeout', '%" PRIu64
            "'), ('lock_timeout', '%" PRIu64
            "'), ('tcp_keepalives_idle', '4'), ('tcp_keepalives_interval', '2'),"
            " ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '%" PRIu64
            "'), ('client_connection_check_interval', '2000')) v(n, s) JOIN pg_settings s ON s.name = v.n",
            t->idle, t->idle, t->statement, t->lock, t->idle);
    else
        snprintf(sql, sizeof sql,
                 "SET SESSION wait_timeout = %" PRIu64 ", net_read_timeout = %" PRIu64
                 ", net_write_timeout = %" PRIu64 ", lock_wait_timeout = %" PRIu64
                 ", innodb_lock_wait_timeout = %" PRIu64 ", autocommit = 1",
                 t->idle / 1000, t->idle / 1000, t->idle / 1000, (t->lock + 999) / 1000,
                 (t->lock + 999) / 1000);
    return db_query(l->db, t->statement, sql, DB_NONE, NULL, err);
}

/* The server's start time is in its identity: a restart forgets locks. MySQL tells it only to the second, so it is rounded. */
static int server_identity(lease_t *l, const db_rows_t *writer, err_t *err)
{
    int64_t start = db_cell_int(writer, 0, 3, 0);
    if (db_family(l->db) == DB_MYSQL) {
        cleanup_rows db_rows_t up = {0};
        if (db_query(l->db, l->times.statement, "SHOW GLOBAL STATUS LIKE 'Uptime'", DB_NONE, &up, err) < 0)
            return -1;
        start -= db_cell_int(&up, 0, 1, 0);
    }
    snprintf(l->server_id, sizeof l->server_id, "%.100s/%" PRId64, db_cell(writer, 0, 2), start);
    return 0;
}

bool lease_same_server(const char *a, const char *b)
{
    const char *sa = strrchr(a, '/'), *sb = strrchr(b, '/');
    if (!sa || !sb || sa - a != sb - b || strncmp(a, b, (size_t)(sa - a)) != 0) return false;
    long long d = strtoll(sa + 1, NULL, 10) - strtoll(sb + 1, NULL, 10);
    return d >= -2 && d <= 2;
}

static int writer_check(lease_t *l, bool single_writer, err_t *err)
{
    cleanup_rows db_rows_t w = {0}, multi = {0};
    const lease_sql_t *q = lease_sql_of(l);
    if (run(l, q->writer, NULL, &w, err) < 0) return err_wrap(err, "asking the server what it is");
    int64_t kind = db_cell_int(&w, 0, 0, 1);
    if (kind)
        return err_set(err, kind == 2 ? ERR_DB_READER : ERR_DB_READ_ONLY, "server %s", db_cell(&w, 0, 2));
    if (q->multi && !single_writer && run(l, q->multi, NULL, &multi, err) < 0)
        return err_wrap(err, "asking for Galera");
    if (multi.rows)
        return err_set(err, ERR_DB_MULTI_PRIMARY, "%s = %s", db_cell(&multi, 0, 0), db_cell(&multi, 0, 1));
    lease_keys_make(db_cell(&w, 0, 1), l->prefix, l->purpose, &l->keys);
    return server_identity(l, &w, err);
}

int lease_open(lease_t *l, const target_db_t *target, err_t *err)
{
    char app[32];
    lease_close(l);
    snprintf(app, sizeof app, "moodlectl-%s-lead", purpose_name(l->purpose));
    uint64_t limit = l->times.connect, now = clock_ms();
    if (l->epoch) limit = now < l->deadline_ms ? l->deadline_ms - now : 1;
    l->db = db_open(target, app, limit < l->times.connect ? limit : l->times.connect, err);
    if (!l->db) return -1;
    db_set_names(l->db, &l->names);
    if (session_settings(l, err) < 0 || writer_check(l, target->single_writer, err) < 0) {
        lease_close(l);
        return -1;
    }
    return 0;
}

/* Gives up the session; the epoch is not touched, see lease_relock. */
void lease_close(lease_t *l)
{
    if (l->db) db_close(&l->db);
    l->locked = false;
}

int lease_try(lease_t *l, bool *ret_got, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    *ret_got = false;
    if (run(l, lease_sql_of(l)->try_lead, NULL, &r, err) < 0)
        return err_wrap(err, "trying the %s lock", purpose_name(l->purpose));
    *ret_got = l->locked = db_cell_true(&r, 0, 0);
    return 0;
}

int lease_row_read(db_t *db, uint64_t limit_ms, const char *prefix, purpose_t purpose, lease_row_t *ret,
                   err_t *err)
{
    enum { NEVER = 1000000000 };
    *ret = (lease_row_t){.age_ms = NEVER, .elapsed_ms = 0};
    cleanup_rows db_rows_t r = {0};
    err_t e = {0};
    lease_t l = {.purpose = purpose};
    snprintf(l.prefix, sizeof l.prefix, "%s", prefix);
    const char *const extra[4] = {"1000000000", "", "", ""};
    if (lease_sql_run(&l, db, limit_ms, LEASE_SQL[db_family(db)].row, extra, &r, &e) < 0) {
        if (db_no_table(&e)) return 0;
        if (err) *err = e;
        return err_wrap(err, "reading the coordination row");
    }
    if (r.rows == 0) return 0;
    ret->exists = true;
    ret->epoch = db_cell_int(&r, 0, 0, 0);
    ret->attempt = db_cell_int(&r, 0, 6, 0);
    const struct {
        char *to;
        size_t size;
        int col;
    } texts[] = {{ret->holder, sizeof ret->holder, 1}, {ret->server_id, sizeof ret->server_id, 2},
                 {ret->phase, sizeof ret->phase, 3},   {ret->action, sizeof ret->action, 4},
                 {ret->target, sizeof ret->target, 5}, {ret->result, sizeof ret->result, 7},
                 {ret->detail, sizeof ret->detail, 8}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        snprintf(texts[i].to, texts[i].size, "%s", db_cell(&r, 0, texts[i].col));
    ret->age_ms = db_cell_int(&r, 0, 9, NEVER);
    ret->elapsed_ms = db_cell_int(&r, 0, 10, 0) % NEVER;
    ret->backoff_ms = db_cell_int(&r, 0, 11, 0);
    return 0;
}

bool lease_row_is_free(const lease_row_t *row, const lease_times_t *times)
{
    return !row->exists || strcmp(row->phase, "released") == 0 || row->age_ms >= (int64_t)times->evict;
}

/* Only under the lock: many CREATE TABLE IF NOT EXISTS at once fail on PostgreSQL. */
static int tables_make(lease_t *l, err_t *err)
{
    const lease_sql_t *q = lease_sql_of(l);
    if (run(l, q->create_coord, NULL, NULL, err) < 0 || run(l, q->create_run, NULL, NULL, err) < 0 ||
        run(l, q->create_row, NULL, NULL, err) < 0)
        return err_wrap(err, "making the coordination tables");
    return 0;
}

static void deadline_set(lease_t *l, uint64_t sent_ms)
{
    l->beat_ms = sent_ms;
    l->deadline_ms = sent_ms + l->times.deadline;
    if (l->published) atomic_store(l->published, l->deadline_ms);
}

static int bump(lease_t *l, err_t *err)
{
    char seen[24];
    snprintf(seen, sizeof seen, "%" PRId64, l->prev.epoch);
    const char *const extra[4] = {seen, "", "", ""};
    cleanup_rows db_rows_t r = {0};
    uint64_t sent = clock_ms();
    if (run(l, lease_sql_of(l)->bump, extra, &r, err) < 0) return err_wrap(err, "raising the epoch");
    if (r.affected != 1) return err_set(err, ERR_LOCK_LOST, "raising the epoch: it is not %s any more", seen);
    l->epoch = l->prev.epoch + 1;
    l->claimed_ms = sent;
    deadline_set(l, sent);
    return 0;
}

int lease_claim(lease_t *l, err_t *err)
{
    l->epoch = 0;
    if (lease_row_read(l->db, l->times.statement, l->prefix, l->purpose, &l->prev, err) < 0) return -1;
    if (!l->prev.exists) {
        if (tables_make(l, err) < 0) return -1;
        if (lease_row_read(l->db, l->times.statement, l->prefix, l->purpose, &l->prev, err) < 0) return -1;
        if (!l->prev.exists) return err_set(err, ERR_DB_QUERY, "the coordination row was not stored");
    }
    return bump(l, err);
}

/* Ages measured by another server's clock, or by one that went back, mean nothing. Nor does one that no takeover reaches while
 * members are there: an hour old is the heartbeat of a cluster that was away, which can wait, or the clock was set forward. */
static bool age_means_something(const lease_t *l)
{
    enum { PLAUSIBLE = 4 }; /* times the grace: above the server's idle timeout and cron's longest poll */
    return l->prev.age_ms > 0 && (uint64_t)l->prev.age_ms <= PLAUSIBLE * l->times.grace &&
           lease_same_server(l->prev.server_id, l->server_id);
}

/* A word of another server's life may be older than its loss: a failover, or a crash, may have lost the raise after it. A row
 * that nobody has led has nothing to lose. */
static bool released_for_certain(const lease_t *l)
{
    return strcmp(l->prev.phase, "released") == 0 &&
           (!*l->prev.server_id || lease_same_server(l->prev.server_id, l->server_id));
}

uint64_t lease_grace_left(const lease_t *l, uint64_t now_ms)
{
    if (released_for_certain(l)) return 0;
    uint64_t since = now_ms - l->claimed_ms; /* own clock */
    if (age_means_something(l)) since += (uint64_t)l->prev.age_ms;
    return since >= l->times.grace ? 0 : l->times.grace - since;
}

const char *lease_grace_why(const lease_t *l)
{
    return strcmp(l->prev.phase, "released") == 0
               ? "the database restarted or failed over since it was last led"
               : "the predecessor went without a word";
}

bool lease_beat_due(const lease_t *l, uint64_t now_ms)
{
    return l->epoch && now_ms >= l->beat_ms + l->times.heartbeat;
}

bool lease_has_time(const lease_t *l, unsigned statements, uint64_t now_ms)
{
    return now_ms + (statements + 1) * l->took_ms < l->deadline_ms;
}

static void detail_clean(const char *in, char out[256])
{
    size_t n = 0;
    for (; *in && n < 255; in++)
        out[n++] = *in >= ' ' && *in < 127 ? *in : '?'; /* any byte may come from a plugin */
    out[n] = '\0';
}

int lease_beat(lease_t *l, const char *detail, err_t *err)
{
    char clean[256];
    detail_clean(detail, clean);
    const lease_sql_t *q = lease_sql_of(l);
    uint64_t sent = clock_ms();
    if (sent >= l->deadline_ms)
        return err_set(err, ERR_LOCK_LOST, "the deadline passed before a heartbeat could be sent");
    if (q->own_lead) {
        cleanup_rows db_rows_t r = {0};
        if (run(l, q->own_lead, NULL, &r, err) < 0) return err_wrap(err, "heartbeat");
        if (!db_cell_true(&r, 0, 0))
            return err_set(err, ERR_LOCK_LOST, "heartbeat: the server says that the lock is not ours");
    }
    const char *const extra[4] = {clean, "", "", ""};
    if (run_mine(l, q->beat, extra, "heartbeat", err) < 0) return -1;
    l->took_ms = clock_ms() - sent;
    deadline_set(l, sent);
    return 0;
}

int lease_relock(lease_t *l, const target_db_t *target, err_t *err)
{
    bool got = false;
    if (lease_open(l, target, err) < 0 || lease_try(l, &got, err) < 0) return -1;
    if (!got) return err_set(err, ERR_LOCK_LOST, "another session has the lock");
    l->relocks++;
    return lease_beat(l, "", err); /* proves epoch and holder */
}

int lease_start(lease_t *l, const char *action, const char *target, const char *detail, err_t *err)
{
    char clean[256];
    detail_clean(detail, clean);
    const char *const extra[4] = {action, target, clean, ""};
    if (run_mine(l, lease_sql_of(l)->start, extra, "start of work", err) < 0) return -1;
    return run_mine(l, lease_sql_of(l)->start_run, NULL, "start of work", err);
}

int lease_end(lease_t *l, const char *result, int exit_code, const char *detail, int64_t backoff_ms,
              err_t *err)
{
    char clean[256], backoff[24], code[16];
    detail_clean(detail, clean);
    snprintf(backoff, sizeof backoff, "%" PRId64, backoff_ms);
    snprintf(code, sizeof code, "%d", exit_code);
    const char *const run_extra[4] = {result, clean, code, ""}, *const row_extra[4] = {result, clean, backoff,
                                                                                       ""};
    if (run(l, lease_sql_of(l)->end_run, run_extra, NULL, err) < 0) return err_wrap(err, "end of work");
    return run_mine(l, lease_sql_of(l)->end, row_extra, "end of work", err);
}

int lease_release(lease_t *l, err_t *err)
{
    cleanup_rows db_rows_t r = {0};
    if (!l->db || !l->locked) return 0;
    int rc = run(l, lease_sql_of(l)->unlock_lead, NULL, &r, err);
    if (rc == 0 && !db_cell_true(&r, 0, 0))
        rc = err_set(err, ERR_LOCK_LOST, "release: the lock was not ours");
    l->epoch = 0;
    l->locked = false;
    return rc;
}
