/* cron_prune.h - cache directories of other releases in moodledata ({dataroot}/cache/mXXXXXXXX, by the code's plugin hash). The holder
 * of cron removes them when it begins: no member with other code serves then. */
#ifndef MOODLECTL_COORD_CRON_PRUNE_H
#define MOODLECTL_COORD_CRON_PRUNE_H

#include "coord/lease.h"

bool cron_prune_needed(const char *data_dir, const char *code_hash); /* reads one directory */
/* Runs templates/prune-caches.php under the lease, when it is needed; blocks as long as it does. -1: the lease is lost. */
int cron_prune(lease_t *l, const lead_conf_t *conf, const char *run_dir, err_t *err);

#endif
