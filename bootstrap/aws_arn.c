#include "bootstrap/aws_arn.h"
#include <stdio.h>
#include <string.h>

enum { PARTS = 10, NAME = 6, LEAST = NAME + 1 };

static int copy(char *buf, size_t size, const char *from, size_t len)
{
    int n = snprintf(buf, size, "%.*s", (int)len, from);
    return n >= 0 && (size_t)n < size ? 0 : -1;
}

/* arn:partition:secretsmanager:region:account:secret:name-suffix[:json-key[:stage[:version]]] */
int aws_arn_parse(const char *text, aws_arn_t *ret, err_t *err)
{
    const char *part[PARTS + 1] = {NULL};
    size_t len[PARTS + 1] = {0}, count = 0;
    for (const char *p = text;; p++) {
        if (count > PARTS) return err_set(err, ERR_SEC_ARN, "%.300s has too many colons", text);
        part[count] = p;
        len[count] = strcspn(p, ":");
        p += len[count++];
        if (!*p) break;
    }
    if (count > PARTS || count < LEAST || strncmp(text, "arn:", 4) != 0 || len[1] == 0 || len[3] == 0 ||
        len[NAME] == 0 || len[2] != 14 || memcmp(part[2], "secretsmanager", 14) != 0 || len[5] != 6 ||
        memcmp(part[5], "secret", 6) != 0)
        return err_set(err, ERR_SEC_ARN, "%.300s", text);
    memset(ret, 0, sizeof *ret);
    bool bad = copy(ret->partition, sizeof ret->partition, part[1], len[1]) < 0 ||
               copy(ret->region, sizeof ret->region, part[3], len[3]) < 0 ||
               copy(ret->secret, sizeof ret->secret, text, (size_t)(part[NAME] + len[NAME] - text)) < 0 ||
               (count > 7 && copy(ret->json_key, sizeof ret->json_key, part[7], len[7]) < 0) ||
               (count > 8 && copy(ret->stage, sizeof ret->stage, part[8], len[8]) < 0) ||
               (count > 9 && copy(ret->version, sizeof ret->version, part[9], len[9]) < 0);
    if (bad) return err_set(err, ERR_SEC_ARN, "%.300s is too long", text);
    if (ret->region[strspn(ret->region, "abcdefghijklmnopqrstuvwxyz0123456789-")])
        return err_set(err, ERR_SEC_ARN, "%.300s: \"%s\" is no region", text, ret->region);
    if (*ret->stage && *ret->version)
        return err_set(err, ERR_SEC_ARN, "%.300s names a version stage and a version: one is enough", text);
    return 0;
}

const char *aws_dns_suffix(const char *partition, const char *region)
{
    if (strcmp(partition, "aws-cn") == 0 || strncmp(region, "cn-", 3) == 0) return "amazonaws.com.cn";
    if (strcmp(partition, "aws-eusc") == 0 || strncmp(region, "eusc-", 5) == 0) return "amazonaws.eu";
    return "amazonaws.com";
}
