/* cron_adhoc.h - ad-hoc tasks that a killed cron left marked as running. Moodle itself frees them once a day
 * (lib/classes/task/manager.php, cleanup_metadata); the new cron leader does it at once, for hosts whose cron our own history
 * shows as gone, and only when nobody holds the task's lock. Blocks up to the lease's statement time, each statement. */
#ifndef MOODLECTL_COORD_CRON_ADHOC_H
#define MOODLECTL_COORD_CRON_ADHOC_H

#include "coord/lease.h"

/* Under the claimed lease of cron or of a runner, after the old work session has gone and before lease_settle. */
int cron_adhoc_free(lease_t *l, err_t *err);

/* After a run of ours on this host that died: its tasks are given back as failed, with Moodle's delay, for the next run may die of them
 * too. Tasks whose lock is held belong to somebody who lives. Logs what it does, and what fails. */
void cron_adhoc_crashed(lease_t *l);

typedef struct adhoc_lock { /* the lock that Moodle's lock factory takes for an ad-hoc task */
    int32_t key1, key2;     /* lib/classes/lock/postgres_lock_factory.php */
    char name[41];          /* lib/classes/lock/mysql_lock_factory.php */
} adhoc_lock_t;
void cron_adhoc_lock(const char *dbname, const char *prefix, const char *task_id,
                     adhoc_lock_t *ret); /* pure */

#endif
