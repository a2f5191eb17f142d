#include "bootstrap/secrets.h"
#include "base/clock.h"
#include "bootstrap/aws_rds.h"
#include "bootstrap/aws_secrets.h"
#include "bootstrap/secrets_database.h"
#include <string.h>

static int fetch_one(settings_t *set, set_id_t id, const char *stage, uint64_t deadline_ms,
                     secrets_found_t *ret)
{
    secret_t *value = NULL;
    int rc = aws_secret_fetch_version(set, settings_arn(set, id), stage, deadline_ms, &value, ret->version,
                                      &ret->err);
    if (rc == 0) rc = settings_resolve(set, id, secret_bytes(value), &ret->err);
    secret_free(&value);
    return rc;
}

void secrets_fetch(settings_t *set, const char *stage, uint64_t deadline_ms, secrets_found_t ret[SET_COUNT_])
{
    memset(ret, 0, SET_COUNT_ * sizeof *ret);
    for (int i = 0; i < SET_COUNT_; i++)
        if (settings_arn(set, (set_id_t)i) && fetch_one(set, (set_id_t)i, stage, deadline_ms, &ret[i]) < 0)
            err_wrap(&ret[i].err, "%s_ARN", SETTINGS[i].name);
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
