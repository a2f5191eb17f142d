/* aws_arn.h - the ARN of a secret as ECS writes it, or of a parameter of Systems Manager. Pure.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html */
#ifndef MOODLECTL_BOOTSTRAP_AWS_ARN_H
#define MOODLECTL_BOOTSTRAP_AWS_ARN_H

#include "base/err.h"
#include <stdbool.h>

enum { AWS_REGION_MAX = 40 };

typedef struct aws_arn {
    char id[700];     /* the ARN without what follows the name: what AWS wants as SecretId */
    const char *name; /* in id */
    char region[AWS_REGION_MAX];
    char json_key[256], stage[257], version[65]; /* "": not given */
    bool is_parameter; /* id is the whole ARN, with ":version" or ":label" when that was given */
} aws_arn_t;

/* E-SEC-ARN with the reason. *ret points into itself: do not copy it. */
int aws_arn_parse(const char *arn, aws_arn_t *ret, err_t *err);

#endif
