#include "bootstrap/aws_rds.h"
#include "base/clock.h"
#include "base/fd.h"
#include "bootstrap/aws_arn.h"
#include "bootstrap/aws_cred.h"
#include "bootstrap/aws_imds.h"
#include <stdio.h>
#include <string.h>

static void add_encoded(const char *text, buf_t *out)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9') || strchr("-_.~", *text);
        if (plain)
            buf_add(out, text, 1);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

int aws_rds_token(const aws_keys_t *keys, const char *region, const char *host, int port, const char *user,
                  int64_t when_s, buf_t *ret, err_t *err)
{
    cleanup_buf buf_t query = BUF_INIT, address = BUF_INIT, signed_query = BUF_INIT;
    buf_str(&query, "Action=connect&DBUser=");
    add_encoded(user, &query);
    buf_printf(&address, "%s:%d", host, port);
    if (query.failed || address.failed) return err_set(err, ERR_MEMORY, "no memory for a token");
    aws_header_t headers[] = {{"Host", address.data}};
    aws_sign_t s = {.method = "GET",
                    .path = "/",
                    .query = query.data,
                    .headers = headers,
                    .header_count = 1,
                    .body = "",
                    .region = region,
                    .service = "rds-db"};
    if (aws_sigv4_presign(&s, keys, when_s, AWS_RDS_TOKEN_S, &signed_query, err) < 0) return -1;
    buf_printf(ret, "%s/?%s", address.data, buf_cstr(&signed_query));
    return ret->failed ? err_set(err, ERR_MEMORY, "no memory for a token") : 0;
}

/* NAME.HASH.REGION.rds.amazonaws.com */
static bool region_of_host(const char *host, char *ret, size_t size)
{
    const char *end = strstr(host, ".rds.amazonaws.com"), *start = end;
    while (start && start > host && start[-1] != '.') start--;
    if (!end || start == end || (size_t)(end - start) >= size) return false;
    snprintf(ret, size, "%.*s", (int)(end - start), start);
    return true;
}

/* Of the first setting that comes from AWS: what is nearest to a region of the site. */
static void region_of_arns(const settings_t *set, char *ret, size_t size)
{
    aws_arn_t arn;
    for (int i = 0; i < SET_COUNT_ && !*ret; i++)
        if (aws_arn_parse(settings_source(set, (set_id_t)i), &arn, NULL) == 0)
            snprintf(ret, size, "%s", arn.region);
}

int aws_rds_region(const settings_t *set, char *ret, size_t size, err_t *err)
{
    const char *own = settings_str(set, SET_aws_region), *other = settings_str(set, SET_aws_default_region);
    if (region_of_host(settings_str(set, SET_db_host), ret, size) && !*own && !*other) return 0;
    snprintf(ret, size, "%s", *own ? own : other);
    if (!*ret) region_of_arns(set, ret, size);
    return *ret ? 0
                : err_set(err, ERR_SET_MISSING,
                          "MOODLE_DATABASE_AUTH is iam, but neither AWS_REGION, the database's host nor an "
                          "ARN tells "
                          "the region");
}

int aws_rds_supply(settings_t *set, uint64_t deadline_ms, err_t *err)
{
    char region[64];
    aws_cred_t cred = {0};
    cleanup_buf buf_t token = BUF_INIT;
    err_t no_region = {0};
    if (aws_rds_region(set, region, sizeof region, &no_region) < 0 &&
        aws_imds_region(set, deadline_ms, region, sizeof region, NULL) < 0)
        return err_set(err, no_region.id, "%s", no_region.msg);
    if (aws_cred_get(set, deadline_ms, &cred, err) < 0) return -1;
    aws_keys_t keys = {cred.id, secret_bytes(cred.key), secret_bytes(cred.token)};
    int rc = aws_rds_token(&keys, region, settings_str(set, SET_db_host), settings_db_port(set),
                           settings_str(set, SET_db_user), (int64_t)(clock_wall_ms() / 1000), &token, err);
    if (rc == 0) rc = settings_supply(set, SET_db_password, buf_cstr(&token), err);
    aws_cred_free(&cred);
    return rc;
}
