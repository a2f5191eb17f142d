/* aws_value.h - the value in an answer of GetSecretValue. Pure. */
#ifndef MOODLECTL_BOOTSTRAP_AWS_VALUE_H
#define MOODLECTL_BOOTSTRAP_AWS_VALUE_H

#include "base/err.h"
#include "base/secret.h"

enum { AWS_VERSION_SIZE = 65 }; /* a VersionId has at most 64 characters */

/* SecretString, or SecretBinary decoded; with `json_key` ("": none) the text, number or boolean of that key, as text. The caller
 * frees *ret. E-SEC-FORMAT; no message quotes what was read. */
int aws_value_take(const char *json, size_t len, const char *json_key, secret_t **ret, err_t *err);
/* Its VersionId; "" when there is none. */
void aws_value_version(const char *json, size_t len, char ret[AWS_VERSION_SIZE]);
/* The value and version in an answer of GetParameters for one parameter; one that does not exist is E-SEC-NOT-FOUND (the status is 200). */
int aws_value_parameter(const char *json, size_t len, secret_t **ret, char ret_version[AWS_VERSION_SIZE],
                        err_t *err);

#endif
