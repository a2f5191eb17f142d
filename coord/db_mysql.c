#include "base/clock.h"
#include "coord/db_internal.h"
#include <errmsg.h>
#include <mysql.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* https://mariadb.com/kb/en/mariadb-error-code-reference/ ; 2xxx: errmsg.h of Connector/C */
static const struct {
    unsigned code;
    err_id_t id;
} CODES[] = {
    {1045, ERR_DB_AUTH},      {1698, ERR_DB_AUTH},      {1251, ERR_DB_AUTH},        {2059, ERR_DB_AUTH},
    {4151, ERR_DB_AUTH},      {1044, ERR_DB_PRIVILEGE}, {1142, ERR_DB_PRIVILEGE},   {1227, ERR_DB_PRIVILEGE},
    {1370, ERR_DB_PRIVILEGE}, {1410, ERR_DB_PRIVILEGE}, {1049, ERR_DB_NO_DATABASE}, {1040, ERR_DB_FULL},
    {1203, ERR_DB_FULL},      {1226, ERR_DB_FULL},      {1290, ERR_DB_READ_ONLY},   {1792, ERR_DB_READ_ONLY},
    {1836, ERR_DB_READ_ONLY}, {3159, ERR_DB_TLS},       {2026, ERR_DB_TLS},         {2005, ERR_DB_DNS},
    {1129, ERR_DB_REFUSED},   {1130, ERR_DB_AUTH},      {1053, ERR_DB_LOST},        {1927, ERR_DB_LOST},
    {2006, ERR_DB_LOST},      {2013, ERR_DB_LOST},      {1205, ERR_DB_TIMEOUT},     {1969, ERR_DB_TIMEOUT},
};

static err_id_t id_of_code(unsigned code, const char *msg, err_id_t otherwise)
{
    if (code == CR_CONN_HOST_ERROR || code == CR_CONNECTION_ERROR) {
        bool slow =
            strstr(msg, "(110") || strstr(msg, "(113") || strstr(msg, "(101") || strstr(msg, "timed out");
        return slow ? ERR_DB_TIMEOUT : ERR_DB_REFUSED;
    }
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (CODES[i].code == code) return CODES[i].id;
    return otherwise;
}

/* Waits for what the library's coroutine asked for. Returns what happened in its own bits; 0: our time is over. */
static int coroutine_wait(MYSQL *my, int status, uint64_t until_ms)
{
    uint64_t until = until_ms, now = clock_ms();
    if (status & MYSQL_WAIT_TIMEOUT) {
        uint64_t own = now + mysql_get_timeout_value_ms(my);
        if (own < until) until = own;
    }
    short events =
        (short)((status & MYSQL_WAIT_READ ? POLLIN : 0) | (status & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                (status & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
    int n = db_wait((int)mysql_get_socket(my), events, until);
    if (n == 0) return until < until_ms ? MYSQL_WAIT_TIMEOUT : 0;
    return status & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE | MYSQL_WAIT_EXCEPT);
}

static void my_close(db_t *db)
{
    MYSQL *my = db->conn;
    /* mysql_close says goodbye and could block in a dead network: without a socket it cannot. */
    if (db->lost) shutdown((int)mysql_get_socket(my), SHUT_RDWR);
    mysql_close(my);
}

static int my_fd(const db_t *db) { return (int)mysql_get_socket((MYSQL *)db->conn); }
static uint64_t my_handshake_id(db_t *db) { return mysql_thread_id(db->conn); }

/* The server never speaks first: readable while idle means that it closed the session, with or without last words. */
static bool my_idle_ok(db_t *db)
{
    struct pollfd p = {.fd = my_fd(db), .events = POLLIN | POLLRDHUP};
    return poll(&p, 1, 0) == 0;
}

static void my_quote(db_t *db, const char *value, buf_t *out)
{
    size_t len = strlen(value);
    char *q = malloc(2 * len + 1);
    if (!q) {
        out->failed = true;
        return;
    }
    unsigned long n = mysql_real_escape_string(db->conn, q, value, (unsigned long)len);
    buf_str(out, "'");
    buf_add(out, q, n);
    buf_str(out, "'");
    explicit_bzero(q, 2 * len + 1);
    free(q);
}

static int query_failed(db_t *db, err_t *err)
{
    MYSQL *my = db->conn;
    char words[400];
    unsigned code = mysql_errno(my);
    err_id_t id = id_of_code(code, mysql_error(my), ERR_DB_QUERY);
    if (id == ERR_DB_LOST || (code >= 2000 && code < 3000)) db->lost = true;
    return err_set(err, id, "%u: %s", code, db_words(mysql_error(my), words, sizeof words));
}

static int rows_from(db_t *db, MYSQL_RES *res, db_rows_t *ret, err_t *err)
{
    if (!res) {
        ret->affected = (int64_t)mysql_affected_rows(db->conn);
        return 0;
    }
    int rc = db_rows_alloc(ret, (int)mysql_num_rows(res), (int)mysql_num_fields(res), err);
    MYSQL_ROW row;
    for (int r = 0; rc == 0 && (row = mysql_fetch_row(res)); r++) {
        unsigned long *len = mysql_fetch_lengths(res);
        for (int c = 0; c < ret->cols; c++)
            if (row[c]) db_rows_put(ret, r, c, row[c], len[c]);
    }
    mysql_free_result(res);
    return rc;
}

static int no_answer(db_t *db, err_t *err)
{
    db->lost = true; /* the coroutine is in the middle: only closing is left */
    shutdown(my_fd(db), SHUT_RDWR);
    return err_set(err, ERR_DB_TIMEOUT, "no answer to a statement");
}

static int my_query(db_t *db, uint64_t until_ms, const char *sql, size_t len, db_rows_t *ret, err_t *err)
{
    MYSQL *my = db->conn;
    int rc = 0, status = mysql_real_query_start(&rc, my, sql, (unsigned long)len);
    while (status) {
        int got = coroutine_wait(my, status, until_ms);
        if (got == 0) {
            no_answer(db, err);
            /* the shut socket wakes the coroutine, which then ends: closing in its middle is not allowed */
            while (status) status = mysql_real_query_cont(&rc, my, MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
            return -1;
        }
        status = mysql_real_query_cont(&rc, my, got);
    }
    if (rc) return query_failed(db, err);
    MYSQL_RES *res = NULL;
    status = mysql_store_result_start(&res, my);
    while (status) {
        int got = coroutine_wait(my, status, until_ms);
        if (got == 0) {
            no_answer(db, err);
            while (status) status = mysql_store_result_cont(&res, my, MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
            if (res) mysql_free_result(res);
            return -1;
        }
        status = mysql_store_result_cont(&res, my, got);
    }
    if (!res && mysql_field_count(my)) return query_failed(db, err);
    return rows_from(db, res, ret, err);
}

static const db_ops_t MY_OPS = {
    .family = DB_MYSQL,
    .close = my_close,
    .fd = my_fd,
    .handshake_id = my_handshake_id,
    .idle_ok = my_idle_ok,
    .quote = my_quote,
    .query = my_query,
};

static void options_set(MYSQL *my, const target_db_t *t, const char *app)
{
    my_bool yes = 1, no = 0;
    mysql_options(my, MYSQL_OPT_NONBLOCK, 0);
    mysql_options(my, MYSQL_OPT_RECONNECT, &no);
    mysql_options(my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options4(my, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", app);
    if (strcmp(t->tls, "disable") == 0) return;
    mysql_ssl_set(my, NULL, NULL, *t->ca ? t->ca : NULL, NULL, NULL);
    /* mysqli with "require" encrypts and verifies nothing; so does Moodle, so does this. */
    bool verify = strcmp(t->tls, "verify-full") == 0;
    mysql_options(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, verify ? &yes : &no);
    if (verify || strcmp(t->tls, "require") == 0) mysql_options(my, MYSQL_OPT_SSL_ENFORCE, &yes);
}

static int connect_failed(MYSQL *my, const target_db_t *t, err_t *err)
{
    char words[400];
    err_id_t id = id_of_code(mysql_errno(my), mysql_error(my), ERR_DB_REFUSED);
    /* a connection that ends in the middle of the greeting is a refusal, whatever the library calls it */
    if (id == ERR_DB_LOST) id = ERR_DB_REFUSED;
    err_set(err, id, "%s:%d: %u: %s", t->host, t->port, mysql_errno(my),
            db_words(mysql_error(my), words, sizeof words));
    mysql_close(my);
    return -1;
}

int db_mysql_open(db_t *db, const target_db_t *target, const char *app, uint64_t until_ms, err_t *err)
{
    MYSQL *my = mysql_init(NULL), *ok = NULL;
    if (!my) return err_set(err, ERR_MEMORY, "MariaDB connector");
    options_set(my, target, app);
    int status = mysql_real_connect_start(&ok, my, target->host, target->user, secret_bytes(target->password),
                                          target->name, (unsigned)(target->port ? target->port : 3306), NULL,
                                          CLIENT_FOUND_ROWS);
    bool late = false;
    while (status) {
        int got = late ? MYSQL_WAIT_TIMEOUT : coroutine_wait(my, status, until_ms);
        if (got == 0) {
            late = true;
            shutdown((int)mysql_get_socket(my), SHUT_RDWR);
            got = MYSQL_WAIT_TIMEOUT;
        }
        status = mysql_real_connect_cont(&ok, my, got);
    }
    if (late) {
        mysql_close(my);
        return err_set(err, ERR_DB_TIMEOUT, "%s:%d: no answer while connecting", target->host, target->port);
    }
    if (!ok) return connect_failed(my, target, err);
    db->conn = my;
    db->ops = &MY_OPS;
    if ((strcmp(target->tls, "require") == 0 || strcmp(target->tls, "verify-full") == 0) &&
        !mysql_get_ssl_cipher(my)) {
        mysql_close(my);
        return err_set(err, ERR_DB_TLS, "%s:%d: the server offers no TLS", target->host, target->port);
    }
    return 0;
}
