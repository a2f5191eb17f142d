/* aws_secrets.h - GetSecretValue of AWS Secrets Manager over libcurl. Blocks up to the deadline. */
#ifndef MOODLECTL_BOOTSTRAP_AWS_SECRETS_H
#define MOODLECTL_BOOTSTRAP_AWS_SECRETS_H

#include "base/err.h"
#include "base/secret.h"
#include "base/settings.h"
#include "bootstrap/aws_value.h"
#include <stdint.h>

/* Fetches what `arn` stands for: arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME[:json-key[:stage[:version]]], the form
 * ECS uses. Without a json-key the whole SecretString. Credentials, region and endpoint come from the AWS_* settings. Retries
 * what may pass (with full jitter) until `deadline_ms` (clock_ms). The caller frees *ret_value. Errors: E-SEC-*. */
int aws_secret_fetch(const settings_t *set, const char *arn, uint64_t deadline_ms, secret_t **ret_value,
                     err_t *err);
/* The same with another staging label, unless the ARN itself names a label or a version, and with the VersionId of what was given.
 * `stage` "": as the ARN says. With a label a version that does not exist is no matter of waiting. */
int aws_secret_fetch_version(const settings_t *set, const char *arn, const char *stage, uint64_t deadline_ms,
                             secret_t **ret_value, char ret_version[AWS_VERSION_SIZE], err_t *err);

/* Pure: is it such an ARN? E-SEC-ARN with the reason. */
int aws_secret_check_arn(const char *arn, err_t *err);

#endif
