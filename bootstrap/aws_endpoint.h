/* aws_endpoint.h - where to ask for a secret or a parameter. Pure.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html and botocore's endpoint-rule-set-1.json of both services. */
#ifndef MOODLECTL_BOOTSTRAP_AWS_ENDPOINT_H
#define MOODLECTL_BOOTSTRAP_AWS_ENDPOINT_H

#include "base/err.h"
#include "base/settings.h"
#include "bootstrap/aws_arn.h"
#include "bootstrap/aws_http.h"

typedef struct aws_target {
    char url[1400];
    aws_url_t parts;
    char region
        [AWS_REGION_MAX]; /* the ARN's: AWS_REGION is where the task is, and ECS's own injection asks there, too */
} aws_target_t;

/* AWS_ENDPOINT_URL_SECRETS_MANAGER (AWS_ENDPOINT_URL_SSM), AWS_ENDPOINT_URL, or the region's own address, which AWS_USE_FIPS_ENDPOINT and
 * AWS_USE_DUALSTACK_ENDPOINT change. E-SET-INVALID and E-SET-CONFLICT name the variable. */
int aws_endpoint(const settings_t *set, const aws_arn_t *arn, aws_target_t *ret, err_t *err);

#endif
