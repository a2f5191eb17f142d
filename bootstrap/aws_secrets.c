#include "bootstrap/aws_secrets.h"
#include "base/clock.h"
#include "base/fd.h"
#include "bootstrap/aws_arn.h"
#include "bootstrap/aws_cred.h"
#include "bootstrap/aws_endpoint.h"
#include "bootstrap/aws_reply.h"
#include "bootstrap/aws_value.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_MS = 5000,
    TRY_MS = 15000,
    BODY_MAX = 1 << 20, /* a secret has at most 64 KiB, but each byte may be written in six */
    LATER_MAX = 3,      /* more tries for what a new role or secret may cure */
    SKEW_S = 240,       /* AWS allows five minutes */
    EXPIRY_MARGIN_S = 60,
};

typedef struct fetch {
    const settings_t *set;
    aws_arn_t arn;
    aws_target_t target;
    aws_cred_t cred;
    uint64_t deadline;
    int64_t clock_offset_s; /* added to our clock */
    unsigned tries, later;
    bool keys_renewed, clock_corrected;
} fetch_t;

static int64_t aws_now(const fetch_t *f) { return (int64_t)(clock_wall_ms() / 1000) + f->clock_offset_s; }

/* ---- one request ---- */

static void add_body(const aws_arn_t *arn, buf_t *out)
{
    buf_str(out, arn->is_parameter ? "{\"Names\":[\"" : "{\"SecretId\":\"");
    buf_json(out, arn->id, strlen(arn->id));
    if (arn->is_parameter) {
        buf_str(out, "\"],\"WithDecryption\":true}");
        return;
    }
    if (*arn->stage || *arn->version) {
        const char *value = *arn->stage ? arn->stage : arn->version;
        buf_printf(out, "\",\"%s\":\"", *arn->stage ? "VersionStage" : "VersionId");
        buf_json(out, value, strlen(value));
    }
    buf_str(out, "\"}");
}

/* The signature covers what is really sent, Host with its port among it. */
static int send_signed(fetch_t *f, uint64_t total_ms, aws_answer_t *ret, err_t *err)
{
    enum { SIGNED = 3, MOST = 6 };
    cleanup_buf buf_t body = BUF_INIT, authorization = BUF_INIT;
    char date[AWS_DATE_SIZE];
    const char *token = secret_bytes(f->cred.token);
    int64_t now = aws_now(f);
    add_body(&f->arn, &body);
    aws_header_t headers[MOST] = {
        {"Host", f->target.parts.host_header},
        {"Content-Type", "application/x-amz-json-1.1"},
        {"X-Amz-Target", f->arn.is_parameter ? "AmazonSSM.GetParameters" : "secretsmanager.GetSecretValue"}};
    aws_sign_t s = {.method = "POST",
                    .path = f->target.parts.path,
                    .headers = headers,
                    .header_count = SIGNED,
                    .body = buf_cstr(&body),
                    .body_len = body.len,
                    .region = f->target.region,
                    .service = f->arn.is_parameter ? "ssm" : "secretsmanager"};
    aws_keys_t keys = {f->cred.id, secret_bytes(f->cred.key), token};
    if (body.failed) return err_set(err, ERR_MEMORY, "no memory for a request");
    if (aws_sigv4_header(&s, &keys, now, &authorization, err) < 0) return -1;
    aws_sigv4_date(now, date);
    size_t n = SIGNED;
    headers[n++] = (aws_header_t){"X-Amz-Date", date};
    headers[n++] = (aws_header_t){"Authorization", buf_cstr(&authorization)};
    if (*token) headers[n++] = (aws_header_t){"X-Amz-Security-Token", token};
    aws_request_t r = {.url = f->target.url,
                       .headers = headers,
                       .header_count = n,
                       .body = buf_cstr(&body),
                       .body_len = body.len,
                       .connect_ms = CONNECT_MS,
                       .total_ms = total_ms,
                       .body_max = BODY_MAX};
    return aws_http_send(&r, ret, err);
}

static aws_action_t try_once(fetch_t *f, aws_answer_t *ret, err_t *err)
{
    uint64_t now = clock_ms(), left = f->deadline > now ? f->deadline - now : 1;
    f->tries++;
    if (send_signed(f, left < TRY_MS ? left : TRY_MS, ret, err) == 0) return aws_reply_judge(ret, err);
    return err->id == ERR_SEC_NET && !ret->tls_refused ? AWS_AGAIN : AWS_FINAL;
}

/* ---- what to do next ---- */

/* Keeps keys that do not end at once; gets fresh ones otherwise. */
static int need_keys(fetch_t *f, err_t *err)
{
    bool ends = f->cred.expires_s > 0 && f->cred.expires_s - EXPIRY_MARGIN_S < aws_now(f);
    if (f->cred.id && !ends) return 0;
    aws_cred_free(&f->cred);
    return aws_cred_get(f->set, f->deadline, &f->cred, err);
}

static bool correct_clock(fetch_t *f, const aws_answer_t *a)
{
    if (f->clock_corrected || a->date_s == 0) return false;
    int64_t offset = a->date_s - (int64_t)(clock_wall_ms() / 1000);
    if (llabs(offset - f->clock_offset_s) < SKEW_S) return false;
    f->clock_offset_s = offset;
    f->clock_corrected = true;
    return true;
}

static bool renew_keys(fetch_t *f)
{
    if (f->keys_renewed || f->cred.is_static) return false;
    aws_cred_free(&f->cred);
    f->keys_renewed = true;
    return true;
}

/* Shall it be tried again? Waits before it says so. */
static bool again(fetch_t *f, aws_action_t action, const aws_answer_t *a)
{
    switch (action) {
    case AWS_CLOCK:
        return correct_clock(f, a) || renew_keys(f);
    case AWS_KEYS:
        return renew_keys(f);
    case AWS_LATER:
        return f->later++ < LATER_MAX &&
               aws_reply_wait(action, f->later, a->retry_after_ms, f->deadline) == 0;
    case AWS_AGAIN:
    case AWS_SLOWER:
        return aws_reply_wait(action, f->tries, a->retry_after_ms, f->deadline) == 0;
    case AWS_GOOD:
    case AWS_FINAL:
        break;
    }
    return false;
}

static int explain(const fetch_t *f, err_t *err)
{
    if (f->tries > 1) err_wrap(err, "after %u tries", f->tries);
    return err_wrap(err, "%s%.200s of %s", f->arn.is_parameter ? "" : "secret ", f->arn.name, f->arn.region);
}

static int take_answer(const fetch_t *f, const buf_t *body, secret_t **ret_value,
                       char ret_version[AWS_VERSION_SIZE], err_t *err)
{
    if (f->arn.is_parameter)
        return aws_value_parameter(buf_cstr(body), body->len, ret_value, ret_version, err);
    aws_value_version(buf_cstr(body), body->len, ret_version);
    return aws_value_take(buf_cstr(body), body->len, f->arn.json_key, ret_value, err);
}

static int run(fetch_t *f, secret_t **ret_value, char ret_version[AWS_VERSION_SIZE], err_t *err)
{
    for (;;) {
        aws_answer_t answer = {0};
        int rc = -1;
        if (need_keys(f, err) < 0) return -1;
        aws_action_t action = try_once(f, &answer, err);
        if (action == AWS_GOOD) rc = take_answer(f, &answer.body, ret_value, ret_version, err);
        bool more = action != AWS_GOOD && again(f, action, &answer);
        aws_http_free(&answer);
        if (!more) return rc;
    }
}

int aws_secret_check_arn(const char *arn, err_t *err)
{
    aws_arn_t parsed;
    return aws_arn_parse(arn, &parsed, err);
}

int aws_secret_fetch_version(const settings_t *set, const char *arn, const char *stage, uint64_t deadline_ms,
                             secret_t **ret_value, char ret_version[AWS_VERSION_SIZE], err_t *err)
{
    fetch_t f = {.set = set, .deadline = deadline_ms};
    err_t own = {0};
    *ret_value = NULL;
    if (aws_arn_parse(arn, &f.arn, err) < 0 || aws_endpoint(set, &f.arn, &f.target, err) < 0) return -1;
    if (*stage && f.arn.is_parameter)
        return err_set(err, ERR_SEC_NOT_FOUND, "a parameter has no version %s", stage);
    if (*stage && !*f.arn.stage && !*f.arn.version) {
        snprintf(f.arn.stage, sizeof f.arn.stage, "%s", stage);
        f.later = LATER_MAX;
    }
    int rc = run(&f, ret_value, ret_version, &own);
    aws_cred_free(&f.cred);
    if (rc == 0) return 0;
    explain(&f, &own);
    if (err) *err = own;
    return -1;
}

int aws_secret_fetch(const settings_t *set, const char *arn, uint64_t deadline_ms, secret_t **ret_value,
                     err_t *err)
{
    char version[AWS_VERSION_SIZE];
    return aws_secret_fetch_version(set, arn, "", deadline_ms, ret_value, version, err);
}
