/* rotate_source.h - the present values of all settings, read anew: files again, Secrets Manager again. Blocks up to the deadline. */
#ifndef MOODLECTL_BOOTSTRAP_ROTATE_SOURCE_H
#define MOODLECTL_BOOTSTRAP_ROTATE_SOURCE_H

#include "bootstrap/secrets.h"

typedef struct rotate_source {
    settings_t *set;
    secrets_found_t of[SET_COUNT_]; /* of files, too: their time is the version */
} rotate_source_t;

/* `stage` as in secrets_fetch(). A secret that has no such version is an error of its settings. */
void rotate_source_load(char *const *envp, const char *stage, uint64_t deadline_ms, rotate_source_t *ret);
bool rotate_source_is_part(const settings_t *set, set_id_t id); /* of MOODLE_DATABASE_SECRET */
void rotate_source_free(rotate_source_t *s);

#endif
