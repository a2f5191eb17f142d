#include "bootstrap/aws_arn.h"
#include <stdio.h>
#include <string.h>

#define FORM  "arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME[:json-key:stage:version]"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

enum { PARTS = 10, NAME_AT = 6, NAME_LONGEST = 512, VERSION_SHORTEST = 32 };

/* Cuts at the colons and gives the number of parts, PARTS + 1 when there are more. */
static size_t split(const char *arn, const char *ret_at[PARTS], size_t ret_len[PARTS])
{
    size_t n = 0;
    for (const char *p = arn;; p++) {
        if (n == PARTS) return PARTS + 1;
        ret_at[n] = p;
        ret_len[n] = strcspn(p, ":");
        p += ret_len[n++];
        if (!*p) return n;
    }
}

static bool only(const char *s, size_t len, const char *chars)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(chars, s[i])) return false;
    return len > 0;
}

static bool copy(const char *s, size_t len, char *ret, size_t size)
{
    if (len >= size) return false;
    memcpy(ret, s, len);
    ret[len] = '\0';
    return true;
}

static bool equals(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(s, word, len) == 0;
}

static const char *check_place(const char *const at[], const size_t len[], const char *service)
{
    if (!equals(at[0], len[0], "arn")) return "it does not begin with arn:";
    if (!only(at[1], len[1], LOWER "-")) return "the partition is wrong";
    if (!equals(at[2], len[2], service)) return "it is not of secretsmanager";
    if (len[3] >= AWS_REGION_MAX || !only(at[3], len[3], LOWER DIGIT "-")) return "the region is wrong";
    if (len[4] != 12 || !only(at[4], len[4], DIGIT)) return "the account is not 12 digits";
    return NULL;
}

static const char *check_head(const char *const at[], const size_t len[])
{
    const char *wrong = check_place(at, len, "secretsmanager");
    if (wrong) return wrong;
    if (!equals(at[5], len[5], "secret")) return "its resource is not a secret";
    if (len[NAME_AT] == 0) return "it has no name";
    if (len[NAME_AT] > NAME_LONGEST) return "its name is too long";
    /* the characters that CreateSecret allows, and the ! of RDS's own secrets */
    if (!only(at[NAME_AT], len[NAME_AT], LOWER UPPER DIGIT "/_+=.@-!"))
        return "its name has a character that none has";
    return NULL;
}

static const char *take_tail(const char *const at[], const size_t len[], size_t n, aws_arn_t *ret)
{
    for (size_t i = NAME_AT + 1; i < n; i++)
        for (size_t k = 0; k < len[i]; k++)
            if ((unsigned char)at[i][k] < ' ') return "it has a control character";
    if (n > 7 && !copy(at[7], len[7], ret->json_key, sizeof ret->json_key)) return "its json-key is too long";
    if (n > 8 && !copy(at[8], len[8], ret->stage, sizeof ret->stage)) return "its stage is too long";
    if (n > 9 && !copy(at[9], len[9], ret->version, sizeof ret->version))
        return "its version is longer than 64 characters";
    if (*ret->version && strlen(ret->version) < VERSION_SHORTEST)
        return "its version is shorter than 32 characters";
    if (*ret->stage && *ret->version) return "it names a stage and a version: only one may be given";
    return NULL;
}

/* arn:PARTITION:ssm:REGION:ACCOUNT:parameter/NAME[:version or label]; GetParameters takes it as a name. */
static int parse_parameter(const char *arn, const char *const at[], const size_t len[], size_t n,
                           aws_arn_t *ret, err_t *err)
{
    static const char resource[] = "parameter/";
    size_t head = sizeof resource - 1;
    const char *wrong = check_place(at, len, "ssm");
    if (!wrong && (n > NAME_AT + 1 || len[5] <= head || memcmp(at[5], resource, head) != 0 ||
                   !only(at[5] + head, len[5] - head, LOWER UPPER DIGIT "/_.-")))
        wrong = "its resource is not one parameter";
    if (!wrong && n > NAME_AT && !only(at[6], len[6], LOWER UPPER DIGIT "_.-"))
        wrong = "its version is wrong";
    if (!wrong && !copy(arn, strlen(arn), ret->id, sizeof ret->id)) wrong = "it is too long";
    if (wrong) return err_set(err, ERR_SEC_ARN, "not the ARN of a parameter: %s", wrong);
    copy(at[3], len[3], ret->region, sizeof ret->region);
    ret->name = ret->id + (at[5] - arn);
    ret->is_parameter = true;
    return 0;
}

int aws_arn_parse(const char *arn, aws_arn_t *ret, err_t *err)
{
    const char *at[PARTS], *wrong = NULL;
    size_t len[PARTS];
    *ret = (aws_arn_t){0};
    size_t n = split(arn, at, len);
    if (n >= NAME_AT && n <= PARTS && equals(at[2], len[2], "ssm"))
        return parse_parameter(arn, at, len, n, ret, err);
    if (n <= NAME_AT)
        wrong = "it is too short";
    else if (n > PARTS)
        wrong = "it has too many parts";
    else
        wrong = check_head(at, len);
    if (!wrong) wrong = take_tail(at, len, n, ret);
    if (wrong) return err_set(err, ERR_SEC_ARN, "not the ARN of a secret: %s; the form is " FORM, wrong);
    copy(at[3], len[3], ret->region, sizeof ret->region);
    if (!copy(arn, (size_t)(at[NAME_AT] - arn) + len[NAME_AT], ret->id, sizeof ret->id))
        return err_set(err, ERR_SEC_ARN, "the ARN is too long");
    ret->name = ret->id + (at[NAME_AT] - arn);
    return 0;
}
