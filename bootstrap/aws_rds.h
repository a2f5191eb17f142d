/* aws_rds.h - RDS IAM authentication: the token that is a database user's password for fifteen minutes of opening sessions.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html */
#ifndef MOODLECTL_BOOTSTRAP_AWS_RDS_H
#define MOODLECTL_BOOTSTRAP_AWS_RDS_H

#include "base/buf.h"
#include "base/settings.h"
#include "bootstrap/aws_sigv4.h"

enum { AWS_RDS_TOKEN_S = 900, AWS_RDS_RENEW_MS = 600000 };

/* Pure: appends the token for that host, port and user. */
int aws_rds_token(const aws_keys_t *keys, const char *region, const char *host, int port, const char *user,
                  int64_t when_s, buf_t *ret, err_t *err);
/* Pure: AWS_REGION, AWS_DEFAULT_REGION, or the region in the host's own name or in the ARN of a setting. E-SET-MISSING. */
int aws_rds_region(const settings_t *set, char *ret, size_t size, err_t *err);
/* Asks for credentials (blocks until the deadline) and puts a fresh token into the settings, as the database's password. */
int aws_rds_supply(settings_t *set, uint64_t deadline_ms, err_t *err);

#endif
