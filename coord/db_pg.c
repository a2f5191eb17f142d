#include "base/clock.h"
#include "base/fd.h"
#include "coord/db_internal.h"
#include <ctype.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* https://www.postgresql.org/docs/15/errcodes-appendix.html */
static const struct {
    const char *state;
    err_id_t id;
} STATES[] = {
    {"28P01", ERR_DB_AUTH},      {"28000", ERR_DB_AUTH},      {"3D000", ERR_DB_NO_DATABASE},
    {"42501", ERR_DB_PRIVILEGE}, {"25006", ERR_DB_READ_ONLY}, {"53300", ERR_DB_FULL},
    {"53400", ERR_DB_FULL},      {"57P03", ERR_DB_REFUSED},   {"57P01", ERR_DB_LOST},
    {"57P02", ERR_DB_LOST},      {"57P05", ERR_DB_LOST},      {"57014", ERR_DB_TIMEOUT},
    {"08006", ERR_DB_LOST},      {"55P03", ERR_DB_TIMEOUT},
};

static err_id_t id_of_state(const char *state, err_id_t otherwise)
{
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++)
        if (strcmp(STATES[i].state, state) == 0) return STATES[i].id;
    return otherwise;
}

/* libpq 15 keeps no SQLSTATE for a failed connect, but a verbose message holds it: "FATAL:  28P01: password ..." */
static bool state_in_message(const char *msg, char state[6])
{
    for (const char *p = msg; (p = strstr(p, ":  ")); p += 3) {
        size_t n = 0;
        while (n < 5 && (isdigit((unsigned char)p[3 + n]) || isupper((unsigned char)p[3 + n]))) n++;
        if (n != 5 || p[8] != ':') continue;
        memcpy(state, p + 3, 5);
        state[5] = '\0';
        return true;
    }
    return false;
}

static err_id_t id_of_connect(const char *msg)
{
    char state[6];
    if (state_in_message(msg, state)) return id_of_state(state, ERR_DB_REFUSED);
    static const struct {
        const char *word;
        err_id_t id;
    } words[] = {
        {"SSL", ERR_DB_TLS},
        {"certificate", ERR_DB_TLS},
        {"Connection refused", ERR_DB_REFUSED},
        {"timed out", ERR_DB_TIMEOUT},
        {"timeout", ERR_DB_TIMEOUT},
        {"No route to host", ERR_DB_TIMEOUT},
        {"unreachable", ERR_DB_TIMEOUT},
        {"translate host name", ERR_DB_DNS},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(msg, words[i].word)) return words[i].id;
    return ERR_DB_REFUSED;
}

/* Without the "LOCATION:" line that verbose messages carry. */
static int connect_failed(PGconn *conn, const target_db_t *t, err_t *err)
{
    char words[400];
    db_words(PQerrorMessage(conn), words, sizeof words);
    err_id_t id = id_of_connect(PQerrorMessage(conn));
    char *location = strstr(words, " LOCATION: ");
    if (location) *location = '\0';
    err_set(err, id, "%s:%d: %s", t->host, t->port, words);
    PQfinish(conn);
    return -1;
}

static PGconn *connect_start(const target_db_t *t, const char *app)
{
    char port[16];
    snprintf(port, sizeof port, "%d", t->port ? t->port : 5432);
    const char *const keys[] = {"host",
                                "port",
                                "dbname",
                                "user",
                                "password",
                                "application_name",
                                "sslmode",
                                "gssencmode",
                                "client_encoding",
                                "passfile",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "tcp_user_timeout",
                                "sslrootcert",
                                NULL};
    const char *const values[] = {t->host,
                                  port,
                                  t->name,
                                  t->user,
                                  secret_bytes(t->password),
                                  app,
                                  *t->tls ? t->tls : "prefer",
                                  "disable",
                                  "UTF8",
                                  "/dev/null/none",
                                  "4",
                                  "2",
                                  "3",
                                  "10000",
                                  *t->ca ? t->ca : NULL,
                                  NULL};
    return PQconnectStartParams(keys, values, 0);
}

/* libpq's own connect_timeout does not work with the polling interface; every wait here has our limit. */
static int connect_poll(PGconn *conn, const target_db_t *t, uint64_t until_ms, err_t *err)
{
    PostgresPollingStatusType st = PGRES_POLLING_WRITING;
    while (st != PGRES_POLLING_OK) {
        if (st == PGRES_POLLING_FAILED) return connect_failed(conn, t, err);
        int n = db_wait(PQsocket(conn), st == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms);
        if (n <= 0) {
            PQfinish(conn);
            return err_set(err, ERR_DB_TIMEOUT, "%s:%d: no answer while connecting", t->host, t->port);
        }
        st = PQconnectPoll(conn);
    }
    return 0;
}

static void no_notices(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

static void pg_close(db_t *db)
{
    PGconn *conn = db->conn;
    int fd = PQsocket(conn);
    if (db->lost && fd >= 0) shutdown(fd, SHUT_RDWR); /* PQfinish would try to say goodbye */
    PQfinish(conn);
}

static int pg_fd(const db_t *db) { return PQsocket(db->conn); }
static uint64_t pg_handshake_id(db_t *db) { return (uint64_t)PQbackendPID(db->conn); }

static bool pg_idle_ok(db_t *db)
{
    PGconn *conn = db->conn;
    if (!PQconsumeInput(conn) || PQstatus(conn) != CONNECTION_OK) return false;
    if (PQtransactionStatus(conn) == PQTRANS_UNKNOWN) return false;
    char byte; /* end of file is not always noticed by PQconsumeInput when nothing was asked */
    return recv(PQsocket(conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

static void pg_quote(db_t *db, const char *value, buf_t *out)
{
    char *q = PQescapeLiteral(db->conn, value, strlen(value));
    if (q)
        buf_str(out, q);
    else
        out->failed = true;
    PQfreemem(q);
}

static int query_failed(db_t *db, const PGresult *res, err_t *err)
{
    char words[400];
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *msg = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!msg || !*msg) msg = PQerrorMessage(db->conn);
    bool bad = PQstatus(db->conn) != CONNECTION_OK;
    err_id_t id = id_of_state(state ? state : "", bad || !state ? ERR_DB_LOST : ERR_DB_QUERY);
    if (bad || id == ERR_DB_LOST) db->lost = true;
    return err_set(err, id, "%s%s%s", state ? state : "", state ? ": " : "",
                   db_words(msg, words, sizeof words));
}

static int rows_from(const PGresult *res, db_rows_t *ret, err_t *err)
{
    db_rows_free(ret);
    if (db_rows_alloc(ret, PQntuples(res), PQnfields(res), err) < 0) return -1;
    ret->affected = strtoll(PQcmdTuples((PGresult *)res), NULL, 10);
    for (int r = 0; r < ret->rows; r++)
        for (int c = 0; c < ret->cols; c++)
            if (!PQgetisnull(res, r, c))
                db_rows_put(ret, r, c, PQgetvalue(res, r, c), (size_t)PQgetlength(res, r, c));
    return 0;
}

/* All results are taken, also after an error; the last good one is kept. */
static int results_read(db_t *db, uint64_t until_ms, db_rows_t *ret, err_t *err)
{
    PGconn *conn = db->conn;
    int rc = 0;
    for (;;) {
        while (PQisBusy(conn)) {
            if (db_wait(PQsocket(conn), POLLIN, until_ms) <= 0) {
                db->lost = true; /* an answer may still come: nothing else can be asked here */
                return err_set(err, ERR_DB_TIMEOUT, "no answer to a statement");
            }
            if (!PQconsumeInput(conn)) return query_failed(db, NULL, err);
        }
        PGresult *res = PQgetResult(conn);
        if (!res) return rc;
        ExecStatusType st = PQresultStatus(res);
        if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK) {
            if (rc == 0) rc = rows_from(res, ret, err);
        } else if (rc == 0) {
            rc = query_failed(db, res, err);
        }
        PQclear(res);
    }
}

static int pg_query(db_t *db, uint64_t until_ms, const char *sql, size_t len, db_rows_t *ret, err_t *err)
{
    (void)len;
    PGconn *conn = db->conn;
    if (!PQsendQuery(conn, sql)) return query_failed(db, NULL, err);
    int left;
    while ((left = PQflush(conn)) == 1)
        if (db_wait(PQsocket(conn), POLLOUT | POLLIN, until_ms) <= 0 || !PQconsumeInput(conn)) {
            db->lost = true;
            return err_set(err, ERR_DB_TIMEOUT, "a statement could not be sent");
        }
    if (left < 0) return query_failed(db, NULL, err);
    return results_read(db, until_ms, ret, err);
}

static const db_ops_t PG_OPS = {
    .family = DB_PGSQL,
    .close = pg_close,
    .fd = pg_fd,
    .handshake_id = pg_handshake_id,
    .idle_ok = pg_idle_ok,
    .quote = pg_quote,
    .query = pg_query,
};

int db_pg_open(db_t *db, const target_db_t *target, const char *app, uint64_t until_ms, err_t *err)
{
    PGconn *conn = connect_start(target, app);
    if (!conn) return err_set(err, ERR_MEMORY, "libpq");
    if (PQstatus(conn) == CONNECTION_BAD) return connect_failed(conn, target, err);
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn, no_notices, NULL);
    if (connect_poll(conn, target, until_ms, err) < 0) return -1;
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    PQsetnonblocking(conn, 1);
    db->conn = conn;
    db->ops = &PG_OPS;
    return 0;
}
