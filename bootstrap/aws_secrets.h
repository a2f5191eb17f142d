/* aws_secrets.h - GetSecretValue of AWS Secrets Manager over libcurl. Blocks up to the deadline. */
#ifndef MOODLECTL_BOOTSTRAP_AWS_SECRETS_H
#define MOODLECTL_BOOTSTRAP_AWS_SECRETS_H

#include "base/err.h"
#include "base/secret.h"
#include "base/settings.h"
#include <stdint.h>

/* Fetches what `arn` stands for: arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME[:json-key[:stage[:version]]], the form
 * ECS uses. Without a json-key the whole SecretString. Credentials, region and endpoint come from the AWS_* settings. Retries
 * what may pass (with full jitter) until `deadline_ms` (clock_ms). The caller frees *ret_value. Errors: E-SEC-*. */
int aws_secret_fetch(const settings_t *set, const char *arn, uint64_t deadline_ms, secret_t **ret_value,
                     err_t *err);

/* Pure: is it such an ARN? E-SEC-ARN with the reason. */
int aws_secret_check_arn(const char *arn, err_t *err);

#endif
