/* rotate_source.h - the present values of all settings, read anew: files again, Secrets Manager again. Blocks up to the deadline. */
#ifndef MOODLECTL_BOOTSTRAP_ROTATE_SOURCE_H
#define MOODLECTL_BOOTSTRAP_ROTATE_SOURCE_H

#include "base/settings.h"

enum { ROTATE_VERSION_MAX = 65 }; /* of a VersionId; a file's time is shorter */

typedef struct rotate_source {
    settings_t *set;
    struct {
        char version[ROTATE_VERSION_MAX]; /* VersionId, or a file's time; "": not known */
        err_t err;                        /* why this value could not be had */
    } of[SET_COUNT_];
} rotate_source_t;

/* `stage` "": as the settings say. Else that label of every secret whose ARN names neither label nor version; a secret that has no
 * such version is an error of its settings. */
void rotate_source_load(char *const *envp, const char *stage, uint64_t deadline_ms, rotate_source_t *ret);
void rotate_source_free(rotate_source_t *s);

#endif
