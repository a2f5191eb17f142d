/* history.h - what our own tables say about earlier installs and upgrades. Blocks up to the limit, each statement. */
#ifndef MOODLECTL_COORD_HISTORY_H
#define MOODLECTL_COORD_HISTORY_H

#include "coord/decide.h"
#include "coord/lease.h"

/* The name of a target in our tables: "VERSION:HASH". */
void history_target(const char *version, const char *hash, char *buf, size_t size);

/* `row` is the deploy row, read before; stale_ms: a heartbeat older than that is no sign of life. */
int history_read(db_t *db, uint64_t limit_ms, const char *prefix, const char *target, const lease_row_t *row,
                 uint64_t stale_ms, history_t *ret, err_t *err);
/* After the schema was found to fit: an interrupted run for that target did its work after all. */
int history_accept(db_t *db, uint64_t limit_ms, const char *prefix, const char *target, err_t *err);

#endif
