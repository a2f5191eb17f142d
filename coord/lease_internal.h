/* lease_internal.h - what lease.c shares with lease_evict.c and lease_probe.c. */
#ifndef MOODLECTL_COORD_LEASE_INTERNAL_H
#define MOODLECTL_COORD_LEASE_INTERNAL_H

#include "coord/lease.h"
#include "coord/lease_sql.h"

int lease_sql_run(const lease_t *l, db_t *db, uint64_t limit_ms, const char *sql, const char *const extra[4],
                  db_rows_t *ret, err_t *err);
const lease_sql_t *lease_sql_of(const lease_t *l);
bool lease_same_server(const char *a, const char *b);

#endif
