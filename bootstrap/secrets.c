#include "bootstrap/secrets.h"
#include "base/clock.h"
#include "bootstrap/aws_secrets.h"

static int resolve_one(settings_t *set, set_id_t id, uint64_t deadline_ms, err_t *err)
{
    secret_t *value = NULL;
    int rc = aws_secret_fetch(set, settings_arn(set, id), deadline_ms, &value, err);
    if (rc == 0) rc = settings_resolve(set, id, secret_bytes(value), err);
    secret_free(&value);
    return rc;
}

void secrets_resolve(settings_t *set, problems_t *problems)
{
    uint64_t deadline_ms = clock_ms() + SECRETS_DEADLINE_MS;
    for (int i = 0; i < SET_COUNT_; i++) {
        err_t err = {0};
        if (!settings_arn(set, (set_id_t)i) || resolve_one(set, (set_id_t)i, deadline_ms, &err) == 0)
            continue;
        err_wrap(&err, "%s_ARN", SETTINGS[i].name);
        problems_take(problems, &err);
    }
}
