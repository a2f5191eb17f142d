/* rotate.h - role secrets: follows values from files and from AWS that change while the site serves. A new value is tried by logging in
 * with it before moodle.json, which PHP and the other roles read at each connect, is replaced; what cannot be had changes nothing.
 * ARCHITECTURE.md, "Rotation". */
#ifndef MOODLECTL_BOOTSTRAP_ROTATE_H
#define MOODLECTL_BOOTSTRAP_ROTATE_H

#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

/* Logs in with what an object like moodle.json holds; bootstrap has no database in it. */
typedef int rotate_login_fn(const json_t *moodle, uint64_t limit_ms, err_t *err);
typedef struct rotate_login {
    rotate_login_fn *database, *redis;
} rotate_login_t;

/* Long-lived. [--environment FD], as role prepare. Commands on stdin: refresh, check (looks and logs in, changes nothing), suspect (somebody was refused a login).
 * Events: rotated, secrets (after each round), metric SecretAge. */
int rotate_main(int argc, char **argv, const rotate_login_t *login);

#endif
