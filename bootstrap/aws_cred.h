/* aws_cred.h - AWS credentials: those of the environment, else those that ECS serves to the container, else
 * those of the EC2 instance. Through settings only.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
#ifndef MOODLECTL_BOOTSTRAP_AWS_CRED_H
#define MOODLECTL_BOOTSTRAP_AWS_CRED_H

#include "base/err.h"
#include "base/secret.h"
#include "base/settings.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct aws_cred {
    char *id;
    secret_t *key, *token;
    int64_t expires_s; /* seconds since 1970; 0: not known or never */
    bool is_static;    /* from the environment: asking again gives the same */
} aws_cred_t;

/* Blocks up to `deadline_ms` (clock_ms): what may pass is tried again. Free *ret with aws_cred_free. Error: E-SEC-CREDENTIALS. */
int aws_cred_get(const settings_t *set, uint64_t deadline_ms, aws_cred_t *ret, err_t *err);
void aws_cred_free(aws_cred_t *c);

/* Pure: an answer of the container's credentials address. Unknown members are passed over. */
int aws_cred_parse(const char *json, size_t len, aws_cred_t *ret, err_t *err);
/* Pure: may credentials be asked for there? https anywhere; http only where it does not leave the host or ECS's own links. */
int aws_cred_check_url(const char *url, err_t *err);

#endif
