/* secrets.h - gives every NAME_ARN setting its value, and the database its token with MOODLE_DATABASE_AUTH=iam. Blocks on the network, at most until the deadline. */
#ifndef MOODLECTL_BOOTSTRAP_SECRETS_H
#define MOODLECTL_BOOTSTRAP_SECRETS_H

#include "base/settings.h"
#include "bootstrap/aws_value.h"
#include "bootstrap/problems.h"

enum { SECRETS_DEADLINE_MS = 60000 };

typedef struct secrets_found {
    char version[AWS_VERSION_SIZE]; /* VersionId; "": not known */
    err_t err;                      /* why it has no value */
} secrets_found_t;

/* By setting. `stage` "": as the ARNs say; else that label of every secret whose ARN names neither label nor version. Every setting
 * fetches for itself (the service's quota is thousands a second); what a rotation tore apart meanwhile is fetched again. */
void secrets_fetch(settings_t *set, const char *stage, uint64_t deadline_ms, secrets_found_t ret[SET_COUNT_]);

/* The same at start: all that cannot be resolved is a problem each. */
void secrets_resolve(settings_t *set, problems_t *problems);

#endif
