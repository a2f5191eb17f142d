/* db.h - one database session over PostgreSQL or the MySQL family. Small answers only (everything is kept in memory).
 * Every call that talks to the server takes a limit in milliseconds and returns by then, whatever the network does, but for
 * the resolver, which has its own limit (db_resolver_limit). After a failure with db_is_lost() the session is useless: close it.
 * A session belongs to the one who opened it. Errors are E-DB-*. */
#ifndef MOODLECTL_COORD_DB_H
#define MOODLECTL_COORD_DB_H

#include "base/err.h"
#include "coord/target.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum { DB_PGSQL, DB_MYSQL } db_family_t;
typedef struct db db_t;

typedef struct db_rows {
    int rows, cols;
    int64_t affected; /* of a statement without answer rows */
    char **cells;     /* rows * cols, NULL for SQL NULL */
} db_rows_t;

/* Names that a statement may mention as {coord} {run} {mdl}: identifiers, checked by who makes them, at most 40 bytes. */
typedef struct db_names {
    char coord[40], run[40], mdl[16];
} db_names_t;

void db_resolver_limit(void); /* once, at start: the resolver gives up after a few seconds */

/* A new session as `app`, autocommit, all timeouts at the server's defaults. */
db_t *db_open(const target_db_t *target, const char *app, uint64_t limit_ms, err_t *err);
void db_close(db_t **db); /* hard: the socket is shut, nobody waits for the server */
db_family_t db_family(const db_t *db);
db_family_t db_family_of(const char *moodle_dbtype);
int db_fd(const db_t *db);          /* for polling while idle */
bool db_is_lost(const db_t *db);    /* the session cannot be used any more */
uint64_t db_handshake_id(db_t *db); /* session id that the server announced when we connected */
/* Call when db_fd is readable while idle: false when the server closed the session or said something it should not. */
bool db_idle_ok(db_t *db);
void db_set_names(db_t *db, const db_names_t *names);
const db_names_t *db_names(const db_t *db);

/* One statement. $1..$9, $A..$F (the tenth and on) become quoted literals of `params` (NULL: SQL NULL), {coord} {run} {mdl} the names.
 * `ret` may be NULL; else free it with db_rows_free, also after an error (it is empty then). */
int db_query(db_t *db, uint64_t limit_ms, const char *sql, const char *const *params, int n, db_rows_t *ret,
             err_t *err);
#define DB_PARAMS(...)                                                                                       \
    ((const char *const[]){__VA_ARGS__}), (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))
#define DB_NONE NULL, 0

void db_rows_free(db_rows_t *rows);
#define cleanup_rows __attribute__((cleanup(db_rows_free)))
const char *db_cell(const db_rows_t *rows, int row, int col); /* "" for NULL and for what is not there */
int64_t db_cell_int(const db_rows_t *rows, int row, int col, int64_t otherwise);
bool db_cell_true(const db_rows_t *rows, int row, int col); /* t, true, 1, on */
/* The statement failed because the table does not exist (SQLSTATE 42P01, MySQL error 1146). Look before any err_wrap. */
bool db_no_table(const err_t *err);

#endif
