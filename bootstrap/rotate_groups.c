#include "bootstrap/rotate_groups.h"
#include "bootstrap/output_json.h"

const rotate_row_t ROTATE_GROUPS[RG_COUNT_] = {
    [RG_DATABASE] = {.name = "database",
                     .file = "moodle.json",
                     .section = "db",
                     .value = {{SET_db_user, "user"}, {SET_db_password, "password"}},
                     .count = 2,
                     .is_login = true},
    [RG_REDIS] = {.name = "redis",
                  .file = "moodle.json",
                  .section = "redis",
                  .value = {{SET_redis_user, "user"}, {SET_redis_password, "password"}},
                  .count = 2,
                  .is_login = true},
    [RG_SMTP] = {.name = "smtp",
                 .file = "moodle.json",
                 .section = "smtp",
                 .value = {{SET_smtp_user, "user"}, {SET_smtp_password, "password"}},
                 .count = 2},
    [RG_UPGRADE_KEY] = {.name = "upgrade-key",
                        .file = "moodle.json",
                        .value = {{SET_upgrade_key, "upgradekey"}},
                        .count = 1},
    [RG_ADMIN] = {.name = "administrator",
                  .file = "lead.json",
                  .section = "site",
                  .value = {{SET_password, "admin_password"}},
                  .count = 1},
};

json_t *rotate_groups_patch(const json_t *file, rotate_group_t group, const settings_t *set)
{
    const rotate_row_t *row = &ROTATE_GROUPS[group];
    json_t *copy = json_deep_copy(file);
    json_t *section = row->section ? json_object_get(copy, row->section) : copy;
    if (!json_is_object(section)) return copy;
    for (int i = 0; i < row->count; i++)
        if (json_object_set_new(section, row->value[i].key,
                                output_json_bytes(settings_str(set, row->value[i].id))) < 0) {
            json_decref(copy);
            return NULL;
        }
    return copy;
}
