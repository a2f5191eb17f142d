#include "bootstrap/secrets.h"
#include "base/clock.h"
#include "bootstrap/aws_arn.h"
#include "bootstrap/aws_rds.h"
#include "bootstrap/aws_secrets.h"
#include "bootstrap/secrets_database.h"
#include <string.h>

enum { ROUNDS = 3 };

/* Do two settings take their values from one secret in one stage? A parameter has one value only. */
static bool are_of_one_secret(const char *arn, const char *other)
{
    aws_arn_t a, b;
    return aws_arn_parse(arn, &a, NULL) == 0 && aws_arn_parse(other, &b, NULL) == 0 && !a.is_parameter &&
           strcmp(a.id, b.id) == 0 && strcmp(a.stage, b.stage) == 0 && strcmp(a.version, b.version) == 0;
}

/* A rotation between two requests gives the user of one version and the password of another. */
static bool is_torn(const settings_t *set, set_id_t id, const secrets_found_t found[SET_COUNT_])
{
    for (int i = 0; i < SET_COUNT_; i++)
        if (settings_arn(set, (set_id_t)i) && strcmp(found[i].version, found[id].version) != 0 &&
            !found[i].err.id && !found[id].err.id &&
            are_of_one_secret(settings_arn(set, id), settings_arn(set, (set_id_t)i)))
            return true;
    return false;
}

static void fetch_one(settings_t *set, set_id_t id, const char *stage, uint64_t deadline_ms, secret_t **value,
                      secrets_found_t *ret)
{
    secret_free(value);
    *ret = (secrets_found_t){0};
    aws_secret_fetch_version(set, settings_arn(set, id), stage, deadline_ms, value, ret->version, &ret->err);
}

/* Gives whether all is of one piece. */
static bool fetch_round(settings_t *set, bool first, const char *stage, uint64_t deadline_ms,
                        secret_t *values[SET_COUNT_], secrets_found_t ret[SET_COUNT_])
{
    bool again[SET_COUNT_], any = false;
    for (int i = 0; i < SET_COUNT_; i++) {
        again[i] = settings_arn(set, (set_id_t)i) && (first || is_torn(set, (set_id_t)i, ret));
        any |= again[i];
    }
    for (int i = 0; i < SET_COUNT_; i++)
        if (again[i]) fetch_one(set, (set_id_t)i, stage, deadline_ms, &values[i], &ret[i]);
    return !any;
}

static void fetch_all(settings_t *set, const char *stage, uint64_t deadline_ms,
                      secrets_found_t ret[SET_COUNT_])
{
    secret_t *values[SET_COUNT_] = {NULL};
    bool whole = false;
    for (int round = 0; round < ROUNDS && !whole; round++)
        whole = fetch_round(set, round == 0, stage, deadline_ms, values, ret);
    for (int i = 0; i < SET_COUNT_; i++) {
        if (values[i]) settings_resolve(set, (set_id_t)i, secret_bytes(values[i]), &ret[i].err);
        if (ret[i].err.id) err_wrap(&ret[i].err, "%s_ARN", SETTINGS[i].name);
        secret_free(&values[i]);
    }
}

void secrets_fetch(settings_t *set, const char *stage, uint64_t deadline_ms, secrets_found_t ret[SET_COUNT_])
{
    memset(ret, 0, SET_COUNT_ * sizeof *ret);
    fetch_all(set, stage, deadline_ms, ret);
    if (!ret[SET_db_secret].err.id && secrets_spread_database(set, &ret[SET_db_secret].err) < 0)
        err_wrap(&ret[SET_db_secret].err, "%s", settings_origin_name(set, SET_db_secret));
    if (!settings_uses_iam(set)) return;
    clock_rfc3339(clock_wall_ms(), ret[SET_db_password].version);
    if (aws_rds_supply(set, deadline_ms, &ret[SET_db_password].err) < 0)
        err_wrap(&ret[SET_db_password].err, "the database's token");
}

void secrets_resolve(settings_t *set, problems_t *problems)
{
    static secrets_found_t found[SET_COUNT_];
    secrets_fetch(set, "", clock_ms() + SECRETS_DEADLINE_MS, found);
    for (int i = 0; i < SET_COUNT_; i++) problems_take(problems, &found[i].err);
}
