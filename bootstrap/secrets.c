#include "bootstrap/secrets.h"

void secrets_resolve(settings_t *set, problems_t *problems)
{
    for (int i = 0; i < SET_COUNT_; i++)
        if (settings_arn(set, (set_id_t)i))
            problems_add(problems, ERR_SEC_CREDENTIALS, "%s_ARN: not supported yet", SETTINGS[i].name);
}
