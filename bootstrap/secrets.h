/* secrets.h - gives every NAME_ARN setting its value. Blocks on the network, at most SECRETS_DEADLINE_MS. */
#ifndef MOODLECTL_BOOTSTRAP_SECRETS_H
#define MOODLECTL_BOOTSTRAP_SECRETS_H

#include "base/settings.h"
#include "bootstrap/problems.h"

enum { SECRETS_DEADLINE_MS = 60000 };

/* All that cannot be resolved is a problem each. Every setting fetches for itself, also when two name the same
 * secret: the service's quota is thousands a second. */
void secrets_resolve(settings_t *set, problems_t *problems);

#endif
