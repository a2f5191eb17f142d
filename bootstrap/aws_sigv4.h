/* aws_sigv4.h - AWS Signature Version 4, header and query form, for every service but S3. Pure; derived keys are wiped.
 * Rules: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html ; tests/aws/vectors.json
 * holds the published examples. libcurl's own signing is not used: 7.88 lists headers that it does not send, and sorts no query. */
#ifndef MOODLECTL_BOOTSTRAP_AWS_SIGV4_H
#define MOODLECTL_BOOTSTRAP_AWS_SIGV4_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct aws_keys {
    const char *id, *secret;
    const char *token; /* of temporary credentials; NULL or "": none */
} aws_keys_t;

typedef struct aws_header {
    const char *name, *value;
} aws_header_t;

typedef struct aws_sign {
    const char *method;
    const char *path;  /* as sent; "" is "/" */
    const char *query; /* as sent, without the question mark; NULL or "": none */
    const aws_header_t
        *headers; /* all that shall be signed, Host among them; the date and the token are added here */
    size_t header_count;
    const char *body;
    size_t body_len;
    const char *region, *service;
    bool raw_path; /* do not resolve ".", ".." and "//" in the path */
} aws_sign_t;

enum { AWS_DATE_SIZE = 17 };

void aws_sigv4_date(int64_t when_s, char ret_date[AWS_DATE_SIZE]); /* 20250101T000000Z */

/* The value of Authorization. To be sent with it: X-Amz-Date (aws_sigv4_date), and X-Amz-Security-Token when there is a token. */
int aws_sigv4_header(const aws_sign_t *s, const aws_keys_t *keys, int64_t when_s, buf_t *ret_authorization,
                     err_t *err);

/* The whole query, signature at its end, that makes the address valid for `expires_s` seconds. */
int aws_sigv4_presign(const aws_sign_t *s, const aws_keys_t *keys, int64_t when_s, int expires_s,
                      buf_t *ret_query, err_t *err);

/* The canonical forms, appended: for tests. */
void aws_sigv4_path(const char *path, bool raw, buf_t *ret);
void aws_sigv4_query(const char *query, buf_t *ret);

#endif
