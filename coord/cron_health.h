/* cron_health.h - when cron last did its work, known to the whole cluster: a row of {coord} with purpose CRON_OK whose heartbeat
 * is the end of the last good pass, by the database's clock. The holder of cron writes it; every member reads it, and one of
 * them a minute reports it. Blocks up to the lease's statement time, each statement. */
#ifndef MOODLECTL_COORD_CRON_HEALTH_H
#define MOODLECTL_COORD_CRON_HEALTH_H

#include "coord/lease.h"

enum { CRON_LATE_MS = 1800000 }; /* worth a warning: Moodle's tasks are meant for a cron each minute */

typedef struct cron_health {
    bool known;      /* there is a row: some member has looked or written */
    char holder[81]; /* member that did it; "": cron has not succeeded since the row was made */
    int64_t age_ms;  /* since then */
    int64_t said_ms; /* since the last report */
} cron_health_t;

int cron_health_read(db_t *db, uint64_t limit_ms, const char *prefix, cron_health_t *ret, err_t *err);

/* With a lease's open session, whether it leads or not. */
int cron_health_mark(const lease_t *l, err_t *err); /* cron has done its work just now */
/* Reads it (makes the row when there is none); *ret_report: it is this member's turn to report. */
int cron_health_look(const lease_t *l, cron_health_t *ret, bool *ret_report, err_t *err);

void cron_health_report(const cron_health_t *h); /* the metric, and a warning when cron has become late */

/* "core\task\x (pid 7), ..." of tasks that this host has begun and not ended; "" when there are none or they cannot be read. */
void cron_health_tasks(const lease_t *l, const char *host, char *buf, size_t size);

#endif
