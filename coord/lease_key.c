#include "coord/lease_key.h"
#include <ctype.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CODE_BIT = 0x40000000, LEAD_CODE = 0x00, WORK_CODE = 0x10 };

static const char *const NAMES[PURPOSE_COUNT_] = {
    [PURPOSE_DEPLOY] = "deploy",    [PURPOSE_CRON] = "cron",        [PURPOSE_CRON_OK] = "cron-ok",
    [PURPOSE_ADHOC] = "adhoc1",     [PURPOSE_ADHOC + 1] = "adhoc2", [PURPOSE_ADHOC + 2] = "adhoc3",
    [PURPOSE_ADHOC + 3] = "adhoc4", [PURPOSE_ADHOC + 4] = "adhoc5", [PURPOSE_ADHOC + 5] = "adhoc6",
    [PURPOSE_ADHOC + 6] = "adhoc7", [PURPOSE_ADHOC + 7] = "adhoc8",
};
const char *purpose_name(purpose_t p) { return NAMES[p]; }

void lease_keys_make(const char *database, const char *prefix, purpose_t purpose, lease_keys_t *ret)
{
    unsigned char h[SHA256_DIGEST_LENGTH], site[512];
    char hex[41];
    size_t n = 0;
    for (; database[n] && n < 256; n++) site[n] = (unsigned char)tolower((unsigned char)database[n]);
    site[n++] = '\0';
    for (const char *p = prefix; *p && n < sizeof site; p++) site[n++] = (unsigned char)*p;
    SHA256(site, n, h);
    for (int i = 0; i < 20; i++) snprintf(hex + 2 * i, 3, "%02x", h[i]);
    int code = (int)purpose + 1; /* below WORK_CODE */
    ret->key1 = (int32_t)(((uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3]) >> 1);
    ret->lead2 = CODE_BIT | LEAD_CODE | code;
    ret->work2 = CODE_BIT | WORK_CODE | code;
    snprintf(ret->lead, sizeof ret->lead, "msup.%s.%s.lead", hex, purpose_name(purpose));
    snprintf(ret->work, sizeof ret->work, "msup.%s.%s.work", hex, purpose_name(purpose));
}

void lease_names_make(const char *prefix, db_names_t *ret)
{
    bool clash = strncasecmp("sup_coord", prefix, strlen(prefix)) == 0 ||
                 strncasecmp("sup_run", prefix, strlen(prefix)) == 0;
    snprintf(ret->coord, sizeof ret->coord, "%ssup_coord", clash ? "x_" : "");
    snprintf(ret->run, sizeof ret->run, "%ssup_run", clash ? "x_" : "");
    snprintf(ret->mdl, sizeof ret->mdl, "%s", prefix);
}
