/* lead.h - the state that lead.c (the member's loop), lead_tell.c (what it says) and lead_work.c (install, upgrade) share. */
#ifndef MOODLECTL_COORD_LEAD_H
#define MOODLECTL_COORD_LEAD_H

#include "coord/decide.h"
#include "coord/history.h"
#include "coord/job.h"
#include "coord/lease.h"
#include "coord/replica.h"
#include "coord/target.h"
#include "coord/watch.h"

typedef struct lead {
    char *run_dir;
    lead_conf_t conf;
    target_t target;
    char holder[129], own[128];  /* our name in the row; our target */
    lease_t lease, cron, runner; /* runner: of ad-hoc tasks, only while it is being ended */
    lease_row_t row;
    lease_busy_t busy;
    watch_t watch; /* while satisfied */
    decide_in_t in;
    decide_out_t out;
    bool forced, served, redis_ok;
    bool still;          /* current, by the watch alone */
    char probed[129];    /* identity of the server whose sessions were found private */
    uint64_t backoff_ms; /* of connecting */
    uint64_t failed_ms;  /* pause after a failure under the lock; grows until all is well */
    char told[700];      /* last state event, so that only changes are told */
    uint64_t told_ms;
    bool outage_logged; /* the database went away while serving: said once */
    long core_tables;   /* in our tree, once counted */
} lead_t;

void lead_tell(lead_t *m, const char *state, err_id_t id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void lead_tell_row(lead_t *m); /* waiting: what the leader does, as state and progress */

/* Waits with commands of PID 1 heeded; false: stop. */
bool lead_pause(lead_t *m, uint64_t ms);

/* Under the lease. The result is written to the row; -1: leadership is lost (nothing could be written). */
int lead_work(lead_t *m, err_t *err);
/* Removes what a dead leader left in Moodle's tables, caches and moodledata; killed: its upgrade had been all but done. */
int lead_clear_leavings(lead_t *m, bool upgrade_follows, bool killed, err_t *err);
/* The last steps of an upgrade that was killed after it had written the plugin hash. */
int lead_finish_upgrade(lead_t *m, err_t *err);
int lead_drop_tables(lead_t *m, err_t *err);
int lead_cron_take(lead_t *m, err_t *err); /* cron's lead lock too: no cron runs in the cluster */
void lead_cron_give(lead_t *m);
int lead_beats_for(lead_t *m, uint64_t ms,
                   err_t *err); /* waits with heartbeats; ends early when stop is requested */

#endif
