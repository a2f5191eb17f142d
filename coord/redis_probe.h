/* redis_probe.h - does Redis take our login and our keys? Moodle falls back to files without a word when it does not, so this
 * does what Moodle will do: connect (TLS), AUTH, SELECT, PING, and one key with our prefix set, read and deleted.
 * Never blocks longer than the limit, but for the resolver. Errors: E-REDIS-*. */
#ifndef MOODLECTL_COORD_REDIS_PROBE_H
#define MOODLECTL_COORD_REDIS_PROBE_H

#include "base/err.h"
#include "coord/target.h"

int redis_probe(const target_redis_t *redis, uint64_t limit_ms, err_t *err);

#endif
