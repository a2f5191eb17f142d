/* aws_imds.h - the metadata of an EC2 instance, version 2: the last place where credentials and the region are looked for. On Fargate
 * there is none, on EC2 its hop limit often hides it from containers: a second a try, and no waiting for it to come.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html, botocore/utils.py IMDSFetcher */
#ifndef MOODLECTL_BOOTSTRAP_AWS_IMDS_H
#define MOODLECTL_BOOTSTRAP_AWS_IMDS_H

#include "base/buf.h"
#include "base/settings.h"

/* Appends the credentials of the instance's role as JSON, for aws_cred_parse. Blocks for a few seconds at most, and no longer than the
 * deadline (clock_ms). Error: E-SEC-CREDENTIALS. */
int aws_imds_credentials(const settings_t *set, uint64_t deadline_ms, buf_t *ret_json, err_t *err);
/* The region that the instance is in. The same error. */
int aws_imds_region(const settings_t *set, uint64_t deadline_ms, char *ret, size_t size, err_t *err);

#endif
