/* roles.h - the commands of moodlectl-role that live in coord/. Each is a whole program: it logs its own errors and its
 * return value is the exit status. All may block. argv[0] is the role's name; `--run-dir DIR` says where moodle.json and
 * lead.json are (not given: MOODLECTL_RUN_DIR). */
#ifndef MOODLECTL_COORD_ROLES_H
#define MOODLECTL_COORD_ROLES_H

#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

int coord_lead_main(int argc, char **argv);        /* long-lived: install, upgrade, watch */
int coord_cron_main(int argc, char **argv);        /* long-lived: one cron in the cluster */
int coord_adhoc_main(int argc, char **argv);       /* long-lived: one of the runners of ad-hoc tasks */
int coord_plan_main(int argc, char **argv);        /* [--json] what an upgrade would do */
int coord_cron_status_main(int argc, char **argv); /* [--json] who runs cron */
int coord_maintenance_main(int argc, char **argv); /* on|off|status [--message TEXT] [--by WHO] [--json] */
int coord_probe_main(int argc, char **argv);       /* one login at the database and at Redis, as JSON */

/* Does a login with what this object (as moodle.json) holds work? For a new password, before anybody is asked to use it. Block up
 * to the limit, but for the resolver. E-DB-*, E-REDIS-*. Handed to role secrets, which lives in bootstrap/. */
int coord_login_database(const json_t *moodle, uint64_t limit_ms, err_t *err);
int coord_login_redis(const json_t *moodle, uint64_t limit_ms, err_t *err);

#endif
