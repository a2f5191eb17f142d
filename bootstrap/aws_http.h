/* aws_http.h - one HTTP request through libcurl. Certificates are always verified, redirects never followed, the answer is
 * bounded. Blocks up to total_ms; SIGTERM (role_stop_requested) ends it early. */
#ifndef MOODLECTL_BOOTSTRAP_AWS_HTTP_H
#define MOODLECTL_BOOTSTRAP_AWS_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "bootstrap/aws_sigv4.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct aws_url {
    bool https;
    char host[256];        /* without port; IPv6 without brackets */
    char host_header[272]; /* as in Host: with the port unless it is the scheme's own */
    char path[1024];       /* as sent */
} aws_url_t;

/* Pure. http and https only, no user, query or fragment unless `with_query` (which stays out of *ret). E-SET-INVALID. */
int aws_http_parse(const char *url, bool with_query, aws_url_t *ret, err_t *err);

typedef struct aws_request {
    const char *url;
    const aws_header_t *headers;
    size_t header_count;
    const char *method; /* NULL: GET, with a body POST */
    const char *body;   /* NULL: none */
    size_t body_len;
    bool at_stop; /* also after SIGTERM */
    bool direct;  /* through no proxy, whatever the environment says: metadata addresses */
    uint64_t connect_ms, total_ms;
    size_t body_max;
} aws_request_t;

typedef struct aws_answer {
    long status;
    buf_t body;             /* may hold a secret; aws_http_free wipes it */
    int64_t date_s;         /* the Date header, seconds since 1970; 0: none */
    int64_t retry_after_ms; /* x-amz-retry-after; -1: none */
    char request_id[64];    /* x-amzn-RequestId */
    char error_type[128];   /* x-amzn-errortype */
    bool tls_refused;       /* the certificate is wrong: trying again does not help */
} aws_answer_t;

/* Any HTTP status is a success. Free *ret with aws_http_free in any case. Errors: E-SEC-NET; E-SEC-FORMAT when too long. */
int aws_http_send(const aws_request_t *r, aws_answer_t *ret, err_t *err);
void aws_http_free(aws_answer_t *a);

#endif
