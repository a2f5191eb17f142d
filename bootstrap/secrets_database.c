#include "bootstrap/secrets_database.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *key;
    set_id_t id;
    bool is_needed;
} PARTS[] = {{"engine", SET_db_type, true},   {"host", SET_db_host, true},
             {"port", SET_db_port, false},    {"dbname", SET_db_name, false},
             {"username", SET_db_user, true}, {"password", SET_db_password, true}};
enum { PART_COUNT = sizeof PARTS / sizeof *PARTS };

/* AWS's names of engines; Moodle's own are taken, too. */
static const char *const ENGINES[][2] = {{"postgres", "pgsql"},
                                         {"aurora-postgresql", "pgsql"},
                                         {"mysql", "mysqli"},
                                         {"aurora-mysql", "auroramysql"}};

static const char *moodle_type(const char *engine)
{
    for (size_t i = 0; i < sizeof ENGINES / sizeof *ENGINES; i++)
        if (strcmp(ENGINES[i][0], engine) == 0) return ENGINES[i][1];
    return engine;
}

static int take_part(settings_t *set, size_t part, const json_t *value, err_t *err)
{
    char digits[32];
    const char *text = json_string_value(value);
    set_id_t id = PARTS[part].id;
    if (json_is_integer(value)) {
        snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        text = digits;
    }
    if (text && id == SET_db_type) text = moodle_type(text);
    if (text && *text) return settings_supply(set, id, text, err);
    if (!PARTS[part].is_needed || (id == SET_db_password && settings_uses_iam(set))) return 0;
    return err_set(err, ERR_SET_MISSING, "%s is not set, and the secret has no key \"%s\"", SETTINGS[id].name,
                   PARTS[part].key);
}

int secrets_spread_database(settings_t *set, err_t *err)
{
    const char *text = settings_str(set, SET_db_secret);
    int rc = 0;
    if (!*text) return 0;
    json_t *o = json_loads(text, 0, NULL); /* its error text would quote the secret */
    if (!json_is_object(o)) rc = err_set(err, ERR_SEC_FORMAT, "the secret is not a JSON object");
    for (size_t i = 0; i < PART_COUNT && rc == 0; i++)
        if (!settings_is_set(set, PARTS[i].id)) rc = take_part(set, i, json_object_get(o, PARTS[i].key), err);
    json_decref(o);
    return rc;
}
