/* rotate_groups.h - which values are followed while the site serves, and where they stand in moodle.json and lead.json. A group
 * changes as one: a user name never goes apart from its password. Pure. */
#ifndef MOODLECTL_BOOTSTRAP_ROTATE_GROUPS_H
#define MOODLECTL_BOOTSTRAP_ROTATE_GROUPS_H

#include "base/settings.h"
#include <jansson.h>

typedef enum { RG_DATABASE, RG_REDIS, RG_SMTP, RG_UPGRADE_KEY, RG_ADMIN, RG_COUNT_ } rotate_group_t;
enum { ROTATE_VALUES = 2 };

typedef struct rotate_row {
    const char *name, *file, *section; /* section NULL: the file's top */
    struct {
        set_id_t id;
        const char *key;
    } value[ROTATE_VALUES];
    int count;
    bool is_login; /* ours to log in with */
} rotate_row_t;
extern const rotate_row_t ROTATE_GROUPS[RG_COUNT_];

/* A copy of the file's object with this group's values from the settings; an equal one when the site does not use the group. The
 * caller owns it; NULL: no memory. */
json_t *rotate_groups_patch(const json_t *file, rotate_group_t group, const settings_t *set);

#endif
