/* look.h - a short look at the cluster for commands: files, one session that may lead but does not, the state. */
#ifndef MOODLECTL_COORD_LOOK_H
#define MOODLECTL_COORD_LOOK_H

#include "coord/decide.h"
#include "coord/lease.h"
#include "coord/target.h"
#include <jansson.h>

typedef struct look {
    lead_conf_t conf;
    target_t target;
    lease_times_t times;
    lease_t lease;
    db_t *db; /* the lease's session */
    decide_in_t in;
    lease_row_t row;
} look_t;

int look_open(look_t *k, const char *run_dir, err_t *err); /* look_close also after an error */
int look_state(look_t *k, err_t *err);
void look_close(look_t *k);
int look_ask_moodle(
    const look_t *k,
    const char *run_dir);   /* exit status of upgrade.php --is-maintenance-required; its output is dropped */
void look_print(json_t *o); /* one line on stdout; steals the reference */
int look_failed(const err_t *err, bool json);             /* says it; returns the exit status */
bool look_flag(int *argc, char **argv, const char *word); /* takes the word out of argv */

#endif
