/* aws_arn.h - a secret's ARN as ECS task definitions write it: ARN[:json-key:version-stage:version-id]. Pure. */
#ifndef MOODLECTL_BOOTSTRAP_AWS_ARN_H
#define MOODLECTL_BOOTSTRAP_AWS_ARN_H

#include "base/err.h"

typedef struct aws_arn {
    char partition[32], region[64];
    char secret[1024]; /* the ARN itself, without the tail */
    char json_key[256], stage[256], version[80];
} aws_arn_t;

int aws_arn_parse(const char *text, aws_arn_t *ret, err_t *err);
const char *aws_dns_suffix(const char *partition, const char *region); /* "amazonaws.com" */

#endif
