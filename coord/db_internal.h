/* db_internal.h - what db.c and the two backends share. */
#ifndef MOODLECTL_COORD_DB_INTERNAL_H
#define MOODLECTL_COORD_DB_INTERNAL_H

#include "base/buf.h"
#include "coord/db.h"

typedef struct db_ops {
    db_family_t family;
    void (*close)(db_t *db);
    int (*fd)(const db_t *db);
    uint64_t (*handshake_id)(db_t *db);
    bool (*idle_ok)(db_t *db);
    void (*quote)(db_t *db, const char *value, buf_t *out);
    int (*query)(db_t *db, uint64_t until_ms, const char *sql, size_t len, db_rows_t *ret, err_t *err);
} db_ops_t;

struct db {
    const db_ops_t *ops;
    void *conn; /* PGconn or MYSQL */
    bool lost;
    db_names_t names;
};

int db_pg_open(db_t *db, const target_db_t *target, const char *app, uint64_t until_ms, err_t *err);
int db_mysql_open(db_t *db, const target_db_t *target, const char *app, uint64_t until_ms, err_t *err);

/* Waits for `events` (poll) until the time is over. 1 ready, 0 time is over, -1 error. Signals do not end it. */
int db_wait(int fd, short events, uint64_t until_ms);
int db_rows_alloc(db_rows_t *ret, int rows, int cols, err_t *err);
void db_rows_put(db_rows_t *ret, int row, int col, const char *bytes, size_t len);
/* Message of a library: first line, blanks squeezed, into a static buffer of the caller. */
const char *db_words(const char *msg, char *buf, size_t size);

#endif
