/* lease.h - leadership for one purpose: a lead lock on an idle session with a server-side idle timeout, and a row whose
 * epoch is raised by compare-and-set. The deadline counts from the send time of the last answered heartbeat; whoever works
 * under the lease must be dead by then (coord/keeper.h). Calls block up to the times below. Errors: E-DB-*, E-LOCK-*.
 *
 * Rules between the times (milliseconds at scale 100):
 *   deadline >= 3 heartbeat + 1000         two heartbeats may get lost
 *   idle     >= deadline + kill + 2000     the server frees the lock only after our child is dead
 *   grace    >= deadline + kill            a successor of an unclean end starts only after that, too
 *   evict    >= idle + 5000                a stale lead session is ended only when nobody can be working under it */
#ifndef MOODLECTL_COORD_LEASE_H
#define MOODLECTL_COORD_LEASE_H

#include "coord/lease_key.h"
#include "coord/target.h"
#include <stdatomic.h>

typedef struct lease_times {
    uint64_t heartbeat, deadline, kill, idle, grace, poll, cron_poll, evict, statement, lock, connect,
        evict_total;
} lease_times_t;
void lease_times_make(int scale_percent, lease_times_t *ret);

typedef struct lease_row { /* sup_coord, as anybody may read it */
    bool exists;
    int64_t epoch, attempt;
    char holder[129], server_id[129], phase[17], action[17], target[129], result[17], detail[256];
    int64_t age_ms;     /* since the heartbeat, by the database's clock; negative: its clock went back */
    int64_t elapsed_ms; /* since the work started */
    int64_t backoff_ms; /* until not_before */
} lease_row_t;

typedef struct lease_busy { /* what a rival has seen of a lock that it does not get; zero it once */
    purpose_t purpose;
    int64_t epoch;
    uint64_t since_ms, seen_ms; /* CLOCK_BOOTTIME */
} lease_busy_t;

typedef struct lease {
    purpose_t purpose;
    lease_times_t times;
    char prefix[16], holder[129];
    db_t *db; /* NULL: no session */
    lease_keys_t keys;
    db_names_t names;
    char server_id[129];
    bool locked;   /* the lead lock was given to this session */
    int64_t epoch; /* ours, while leading; else 0 */
    uint64_t claimed_ms, deadline_ms,
        beat_ms;                 /* CLOCK_BOOTTIME; beat: send time of the last good heartbeat */
    uint64_t took_ms;            /* the last good heartbeat, until its answer */
    unsigned relocks;            /* how often the lock was taken again in a new session */
    lease_row_t prev;            /* the row as the claim found it */
    _Atomic uint64_t *published; /* where the keeper reads the deadline; NULL: nobody works */
} lease_t;

void lease_init(lease_t *l, purpose_t purpose, const char *prefix, const char *holder, int scale_percent);
void lease_holder_make(const char *member, char *buf,
                       size_t size); /* member and a random id of this process */

/* A session that may lead: writer, no multi-primary, timeouts set. The second one also tries whether the session is ours alone
 * (opens a second session, some ten statements); *ret_proxy: a proxy with private sessions, worth a warning. */
int lease_open(lease_t *l, const target_db_t *target, err_t *err);
int lease_probe(lease_t *l, const target_db_t *target, bool *ret_proxy, err_t *err);
void lease_close(lease_t *l);

int lease_try(lease_t *l, bool *ret_got, err_t *err);
int lease_claim(lease_t *l, err_t *err); /* after a won try: tables, predecessor, epoch + 1 */
uint64_t lease_grace_left(const lease_t *l, uint64_t now_ms);
const char *lease_grace_why(const lease_t *l); /* when some is left */
/* Ends the session that owns the work lock. 1: nobody owns it; 0: not gone yet, call again; -1. */
int lease_evict_work(lease_t *l, err_t *err);
/* For a rival, at each look at a row whose lock it cannot get: is the leader certainly dead? Its epoch must have stood for
 * times.evict by our own clock, so that nobody is ended between the lock and the claim, and so must its heartbeat by the
 * database's, unless it is released: then somebody took the lock and never claimed. Pure. */
bool lease_is_stale(const lease_t *l, lease_busy_t *busy, const lease_row_t *row, uint64_t now_ms);
int lease_evict_lead(lease_t *l, err_t *err); /* ends the session that owns the lead lock, whosever it is */
int lease_settle(lease_t *l, int64_t backoff_ms,
                 err_t *err); /* marks runs of earlier epochs as interrupted */

bool lease_beat_due(const lease_t *l, uint64_t now_ms);
/* May so many statements be asked in the lead session before the next heartbeat? Not when the database is so slow that they would use
 * up the deadline. Pure. */
bool lease_has_time(const lease_t *l, unsigned statements, uint64_t now_ms);
int lease_beat(lease_t *l, const char *detail, err_t *err);
int lease_relock(lease_t *l, const target_db_t *target,
                 err_t *err); /* new session, same epoch, before the deadline */

int lease_start(lease_t *l, const char *action, const char *target, const char *detail, err_t *err);
int lease_end(lease_t *l, const char *result, int exit_code, const char *detail, int64_t backoff_ms,
              err_t *err);
int lease_release(lease_t *l, err_t *err); /* unlocks; the row must have been ended, or never claimed */

int lease_row_read(db_t *db, uint64_t limit_ms, const char *prefix, purpose_t purpose, lease_row_t *ret,
                   err_t *err);

/* Nobody works under it, or its heartbeat is so old that it may be taken away. */
bool lease_row_is_free(const lease_row_t *row, const lease_times_t *times);

/* Tables, indexes and sequences that the script of this purpose has made in a transaction that is not over; 0 when there is none,
 * or when the family shows each table at once. */
int64_t lease_work_made(const lease_t *l);

/* A session for writing beside the lease, fenced like a child of ours: it owns the work lock and saw our epoch. */
db_t *lease_fenced_open(const lease_t *l, const target_db_t *target, err_t *err);
/* Environment value for templates/fence.php; free() it. */
char *lease_fence_value(const lease_t *l);

#endif
