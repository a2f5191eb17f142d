#include "coord/db.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/redact.h"
#include "coord/db_internal.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

void db_resolver_limit(void)
{
    /* resolv.conf(5): the defaults are 5 s and 2 rounds for each server, longer than a lease. */
    if (res_init() != 0) return;
    _res.retrans = 2;
    _res.retry = 2;
}

db_family_t db_family_of(const char *moodle_dbtype)
{
    return strcmp(moodle_dbtype, "pgsql") == 0 ? DB_PGSQL : DB_MYSQL;
}

/* The libraries say "could not connect" for a name that does not resolve; asking first tells the two apart. */
static int host_resolves(const char *host, err_t *err)
{
    if (host[0] == '/') return 0; /* a socket directory */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc) return err_set(err, ERR_DB_DNS, "host \"%s\": %s", host, gai_strerror(rc));
    freeaddrinfo(list);
    return 0;
}

db_t *db_open(const target_db_t *target, const char *app, uint64_t limit_ms, err_t *err)
{
    uint64_t until = clock_ms() + limit_ms;
    if (host_resolves(target->host, err) < 0) return NULL;
    db_t *db = calloc(1, sizeof *db);
    if (!db) {
        err_set(err, ERR_MEMORY, "database session");
        return NULL;
    }
    int rc = db_family_of(target->type) == DB_PGSQL ? db_pg_open(db, target, app, until, err)
                                                    : db_mysql_open(db, target, app, until, err);
    if (rc < 0) {
        free(db);
        return NULL;
    }
    return db;
}

void db_close(db_t **db)
{
    if (!*db) return;
    (*db)->ops->close(*db);
    free(*db);
    *db = NULL;
}

db_family_t db_family(const db_t *db) { return db->ops->family; }
int db_fd(const db_t *db) { return db->ops->fd(db); }
bool db_is_lost(const db_t *db) { return db->lost; }
uint64_t db_handshake_id(db_t *db) { return db->ops->handshake_id(db); }

bool db_idle_ok(db_t *db)
{
    if (!db->lost && !db->ops->idle_ok(db)) db->lost = true;
    return !db->lost;
}

void db_set_names(db_t *db, const db_names_t *names) { db->names = *names; }
const db_names_t *db_names(const db_t *db) { return &db->names; }

static bool name_expand(const db_t *db, const char **p, buf_t *out)
{
    const struct {
        const char *word, *value;
    } all[] = {{"{coord}", db->names.coord}, {"{run}", db->names.run}, {"{mdl}", db->names.mdl}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t n = strlen(all[i].word);
        if (strncmp(*p, all[i].word, n) != 0) continue;
        buf_str(out, all[i].value);
        *p += n;
        return true;
    }
    return false;
}

static int param_index(char c)
{
    if (c >= '1' && c <= '9') return c - '1';
    return c >= 'A' && c <= 'F' ? c - 'A' + 9 : -1;
}

static void sql_expand(db_t *db, const char *sql, const char *const *params, int n, buf_t *out)
{
    for (const char *p = sql; *p;) {
        if (*p == '{' && name_expand(db, &p, out)) continue;
        int i = *p == '$' ? param_index(p[1]) : -1;
        if (i >= 0 && i < n) {
            if (params[i])
                db->ops->quote(db, params[i], out);
            else
                buf_str(out, "NULL");
            p += 2;
            continue;
        }
        buf_add(out, p++, 1);
    }
}

int db_query(db_t *db, uint64_t limit_ms, const char *sql, const char *const *params, int n, db_rows_t *ret,
             err_t *err)
{
    db_rows_t unused = {0};
    if (!ret) ret = &unused;
    *ret = (db_rows_t){0};
    if (db->lost) return err_set(err, ERR_DB_LOST, "the session was lost earlier");
    cleanup_buf buf_t b = BUF_INIT;
    sql_expand(db, sql, params, n, &b);
    if (b.failed) return err_set(err, ERR_MEMORY, "statement");
    int rc = db->ops->query(db, clock_ms() + limit_ms, buf_cstr(&b), b.len, ret, err);
    if (rc < 0) db_rows_free(ret);
    if (ret == &unused) db_rows_free(ret);
    return rc;
}

int db_wait(int fd, short events, uint64_t until_ms)
{
    for (;;) {
        uint64_t now = clock_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, now >= until_ms ? 0 : (int)(until_ms - now));
        if (n > 0) return 1;
        if (n < 0 && errno != EINTR) return -1;
        if (n == 0 && clock_ms() >= until_ms) return 0;
    }
}

int db_rows_alloc(db_rows_t *ret, int rows, int cols, err_t *err)
{
    ret->rows = rows;
    ret->cols = cols;
    if (rows == 0 || cols == 0) return 0;
    ret->cells = calloc((size_t)rows * (size_t)cols, sizeof *ret->cells);
    if (ret->cells) return 0;
    ret->rows = 0;
    return err_set(err, ERR_MEMORY, "%d answer rows", rows);
}

void db_rows_put(db_rows_t *ret, int row, int col, const char *bytes, size_t len)
{
    char *cell = malloc(len + 1);
    if (!cell) abort(); /* a lost cell would be read as NULL */
    memcpy(cell, bytes, len);
    cell[len] = '\0';
    ret->cells[row * ret->cols + col] = cell;
}

void db_rows_free(db_rows_t *rows)
{
    for (int i = 0; rows->cells && i < rows->rows * rows->cols; i++) free(rows->cells[i]);
    free(rows->cells);
    *rows = (db_rows_t){0};
}

const char *db_cell(const db_rows_t *rows, int row, int col)
{
    if (row >= rows->rows || col >= rows->cols || !rows->cells) return "";
    const char *c = rows->cells[row * rows->cols + col];
    return c ? c : "";
}

int64_t db_cell_int(const db_rows_t *rows, int row, int col, int64_t otherwise)
{
    const char *s = db_cell(rows, row, col);
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    return *s == '\0' || errno || (*end != '\0' && *end != '.') ? otherwise : v;
}

bool db_cell_true(const db_rows_t *rows, int row, int col)
{
    static const char *const yes[] = {"t", "true", "1", "on", "ON", "TRUE"};
    const char *s = db_cell(rows, row, col);
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (strcmp(s, yes[i]) == 0) return true;
    return false;
}

const char *db_words(const char *msg, char *buf, size_t size)
{
    size_t n = 0;
    cleanup_buf buf_t clean = BUF_INIT; /* before blanks are put together and the rest is cut off */
    if (redact_copy(msg, strlen(msg), &clean)) msg = buf_cstr(&clean);
    for (; *msg && n + 1 < size; msg++) {
        bool blank = *msg == '\n' || *msg == '\t' || *msg == ' ' || *msg == '\r';
        if (blank && (n == 0 || buf[n - 1] == ' ')) continue;
        buf[n++] = blank ? ' ' : *msg;
    }
    while (n && buf[n - 1] == ' ') n--;
    buf[n] = '\0';
    return buf;
}

bool db_no_table(const err_t *err)
{
    return err->id == ERR_DB_QUERY &&
           (strncmp(err->msg, "42P01:", 6) == 0 || strncmp(err->msg, "1146:", 5) == 0);
}
