/* watch.h - a session that is kept between looks at a database where nothing has to be done, and one cheap statement that tells
 * whether anything has changed. Opening a session and asking everything costs the server a hundred times as much
 * (bench/coordination.py). It is not kept for long: where an old server outlives a failover, a new session finds the new one.
 * Blocks up to the lease's statement time. */
#ifndef MOODLECTL_COORD_WATCH_H
#define MOODLECTL_COORD_WATCH_H

#include "coord/lease.h"

typedef struct watch {
    char seen[600];
    uint64_t until_ms; /* CLOCK_BOOTTIME; 0: no session is kept */
} watch_t;

/* After a look that found nothing to do. The caller looks again, all of it, before watch_keep: what changes in between
 * is then either found or makes a difference later. False: something is under way. */
bool watch_begin(watch_t *w, lease_t *l);
/* For looks every `every_ms`. False: too seldom for a session to be kept. */
bool watch_keep(watch_t *w, lease_t *l, uint64_t every_ms);
bool watch_is_kept(const watch_t *w, lease_t *l); /* the session is there, and not too old */
bool watch_same(const watch_t *w, lease_t *l);    /* asked in it: nothing has changed since watch_begin */

#endif
