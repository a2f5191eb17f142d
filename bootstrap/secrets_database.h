/* secrets_database.h - a whole secret of RDS's form, spread over the database's settings.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html ; a secret that RDS manages itself
 * holds user name and password only. Pure. */
#ifndef MOODLECTL_BOOTSTRAP_SECRETS_DATABASE_H
#define MOODLECTL_BOOTSTRAP_SECRETS_DATABASE_H

#include "base/settings.h"

/* Settings of the operator's own win; unknown keys are passed over; the port may be a number or text. Nothing when
 * MOODLE_DATABASE_SECRET has no value. E-SEC-FORMAT, E-SET-*; no message quotes the secret. */
int secrets_spread_database(settings_t *set, err_t *err);

#endif
