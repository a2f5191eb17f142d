#include "bootstrap/aws_secrets.h"
#include "base/clock.h"
#include "base/fd.h"
#include "bootstrap/aws_http.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ASK_MS = 5000,
    SOON_MS = 50,
    LATER_MS = 1000,
    DELAY_MAX_MS = 20000,
    RARE_TRIES = 3,    /* a policy or a secret made a moment ago may not be seen everywhere yet */
    SKEW_LEAST_S = 240 /* AWS accepts five minutes */
};
#define TARGET "secretsmanager.GetSecretValue"

typedef struct {
    const char *code;
    err_id_t id;
    aws_retry_t retry;
} class_row_t;

/* Secrets Manager API reference, GetSecretValue and "Common Errors"; the throttling names are those of the SDKs. */
static const class_row_t CLASSES[] = {
    {"ResourceNotFoundException", ERR_SEC_NOT_FOUND, AWS_RARELY},
    {"AccessDeniedException", ERR_SEC_DENIED, AWS_RARELY},
    {"AccessDenied", ERR_SEC_DENIED, AWS_RARELY},
    {"NotAuthorized", ERR_SEC_DENIED, AWS_RARELY},
    {"OptInRequired", ERR_SEC_DENIED, AWS_NEVER},
    {"DecryptionFailure", ERR_SEC_DECRYPT, AWS_NEVER},
    {"InvalidParameterException", ERR_SEC_REQUEST, AWS_NEVER},
    {"InvalidRequestException", ERR_SEC_REQUEST, AWS_NEVER},
    {"ValidationException", ERR_SEC_REQUEST, AWS_NEVER},
    {"InternalServiceError", ERR_SEC_SERVICE, AWS_SOON},
    {"InternalServiceFailure", ERR_SEC_SERVICE, AWS_SOON},
    {"InternalFailure", ERR_SEC_SERVICE, AWS_SOON},
    {"ServiceUnavailable", ERR_SEC_SERVICE, AWS_SOON},
    {"RequestTimeout", ERR_SEC_SERVICE, AWS_SOON},
    {"RequestTimeoutException", ERR_SEC_SERVICE, AWS_SOON},
    {"ThrottlingException", ERR_SEC_THROTTLED, AWS_LATER},
    {"Throttling", ERR_SEC_THROTTLED, AWS_LATER},
    {"ThrottledException", ERR_SEC_THROTTLED, AWS_LATER},
    {"RequestThrottled", ERR_SEC_THROTTLED, AWS_LATER},
    {"RequestThrottledException", ERR_SEC_THROTTLED, AWS_LATER},
    {"RequestLimitExceeded", ERR_SEC_THROTTLED, AWS_LATER},
    {"TooManyRequestsException", ERR_SEC_THROTTLED, AWS_LATER},
    {"LimitExceededException", ERR_SEC_THROTTLED, AWS_LATER},
    {"SlowDown", ERR_SEC_THROTTLED, AWS_LATER},
    {"ExpiredTokenException", ERR_SEC_SIGNATURE, AWS_WITH_NEW_CREDENTIALS},
    {"ExpiredToken", ERR_SEC_SIGNATURE, AWS_WITH_NEW_CREDENTIALS},
    {"UnrecognizedClientException", ERR_SEC_SIGNATURE, AWS_WITH_NEW_CREDENTIALS},
    {"InvalidClientTokenId", ERR_SEC_SIGNATURE, AWS_WITH_NEW_CREDENTIALS},
    {"InvalidSignatureException", ERR_SEC_SIGNATURE, AWS_WITH_NEW_CREDENTIALS},
    {"SignatureDoesNotMatch", ERR_SEC_SIGNATURE, AWS_WITH_NEW_CREDENTIALS},
    {"RequestExpired", ERR_SEC_SIGNATURE, AWS_WITH_NEW_CREDENTIALS},
    {"IncompleteSignature", ERR_SEC_SIGNATURE, AWS_NEVER},
    {"IncompleteSignatureException", ERR_SEC_SIGNATURE, AWS_NEVER},
    {"MissingAuthenticationTokenException", ERR_SEC_SIGNATURE, AWS_NEVER},
};

/* "aws.protocol#Name:http://..." is Name. */
static void code_of(const char *text, char *buf, size_t size)
{
    size_t n = strcspn(text, ":");
    const char *hash = memrchr(text, '#', n);
    size_t skip = hash ? (size_t)(hash - text) + 1 : 0;
    snprintf(buf, size, "%.*s", (int)(n - skip), text + skip);
}

aws_retry_t aws_secrets_classify(long status, const char *error_type, const char *body, size_t len,
                                 err_t *err)
{
    char code[128];
    json_t *o = json_loadb(body, len, 0, NULL);
    const char *type = json_string_value(json_object_get(o, "__type"));
    const char *words = json_string_value(json_object_get(o, "Message"));
    if (!words) words = json_string_value(json_object_get(o, "message"));
    class_row_t row = {"", ERR_SEC_REQUEST, AWS_NEVER};
    code_of(type ? type : error_type, code, sizeof code);
    if (status == 429) row = (class_row_t){"", ERR_SEC_THROTTLED, AWS_LATER};
    if (status >= 500) row = (class_row_t){"", ERR_SEC_SERVICE, AWS_SOON};
    for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++)
        if (strcmp(CLASSES[i].code, code) == 0) row = CLASSES[i];
    err_set(err, row.id, "%s%s%.250s", *code ? code : "no error code", words ? ": " : "", words ? words : "");
    if (!*code) err_wrap(err, "HTTP status %ld", status);
    json_decref(o);
    return row.retry;
}

static int take_string(const aws_answer_t *a, buf_t *ret, err_t *err)
{
    json_t *o = json_loadb(buf_cstr(&a->body), a->body.len, JSON_ALLOW_NUL, NULL),
           *s = json_object_get(o, "SecretString");
    int rc = 0;
    if (json_is_string(s))
        buf_add(ret, json_string_value(s), json_string_length(s));
    else
        rc = err_set(err, ERR_SEC_FORMAT, "the answer has no SecretString%s",
                     json_object_get(o, "SecretBinary") ? ": the secret is binary" : "");
    json_decref(o);
    if (rc == 0 && memchr(buf_cstr(ret), '\0', ret->len))
        rc = err_set(err, ERR_SEC_FORMAT, "the secret holds a zero byte");
    return rc == 0 && ret->failed ? err_set(err, ERR_MEMORY, "no memory for a secret") : rc;
}

static void endpoint(const settings_t *set, const aws_arn_t *arn, char *buf, size_t size)
{
    const char *own = settings_str(set, SET_aws_endpoint_sm), *all = settings_str(set, SET_aws_endpoint);
    if (*own || *all)
        snprintf(buf, size, "%s", *own ? own : all);
    else
        snprintf(buf, size, "https://secretsmanager.%s.%s", arn->region,
                 aws_dns_suffix(arn->partition, arn->region));
}

static void body_make(const aws_arn_t *arn, buf_t *out)
{
    buf_str(out, "{\"SecretId\":\"");
    buf_json(out, arn->secret, strlen(arn->secret));
    if (*arn->stage || *arn->version) {
        buf_printf(out, "\",\"%s\":\"", *arn->stage ? "VersionStage" : "VersionId");
        buf_json(out, *arn->stage ? arn->stage : arn->version,
                 strlen(*arn->stage ? arn->stage : arn->version));
    }
    buf_str(out, "\"}");
}

/* One signed request. 0: an answer. */
static int ask_once(const aws_secrets_t *a, const aws_arn_t *arn, aws_answer_t *ret, err_t *err)
{
    char base[512], url[1100], date[20];
    aws_url_t u;
    cleanup_buf buf_t body = BUF_INIT, authorization = BUF_INIT;
    time_t now = (time_t)(clock_wall_ms() / 1000) + a->clock_offset_s;
    struct tm tm;
    endpoint(a->set, arn, base, sizeof base);
    if (aws_url_parse(base, &u, err) < 0) return err_wrap(err, "AWS_ENDPOINT_URL");
    snprintf(url, sizeof url, "%s://%s%s/", u.scheme, u.authority, u.path);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    body_make(arn, &body);
    aws_header_t headers[7] = {{"Host", u.authority},
                               {"Content-Type", "application/x-amz-json-1.1"},
                               {"X-Amz-Date", date},
                               {"X-Amz-Target", TARGET}};
    size_t count = 4;
    if (a->cred.token) headers[count++] = (aws_header_t){"X-Amz-Security-Token", secret_bytes(a->cred.token)};
    strncat(u.path, "/", sizeof u.path - strlen(u.path) - 1);
    aws_sigv4_t s = {.method = "POST",
                     .path = u.path,
                     .query = "",
                     .headers = headers,
                     .header_count = count,
                     .body = buf_cstr(&body),
                     .body_len = body.len,
                     .region = arn->region,
                     .service = "secretsmanager",
                     .date = date,
                     .key_id = secret_bytes(a->cred.key_id),
                     .key = secret_bytes(a->cred.key)};
    if (aws_sigv4_header(&s, &authorization, err) < 0) return -1;
    headers[count++] = (aws_header_t){"Authorization", buf_cstr(&authorization)};
    aws_request_t r = {.method = "POST",
                       .url = url,
                       .headers = headers,
                       .header_count = count,
                       .body = buf_cstr(&body),
                       .body_len = body.len,
                       .timeout_ms = ASK_MS};
    return aws_http(&r, ret, err);
}

/* Signature refused: new credentials, and the server's clock if ours is far off. */
static int refresh(aws_secrets_t *a, const aws_answer_t *answer, err_t *err)
{
    long offset = answer->date ? (long)(answer->date - (time_t)(clock_wall_ms() / 1000)) : 0;
    if (labs(offset - a->clock_offset_s) > SKEW_LEAST_S) a->clock_offset_s = offset;
    return aws_cred_get(a->set, a->deadline_ms, &a->cred, err);
}

static int ask(aws_secrets_t *a, const aws_arn_t *arn, buf_t *ret, aws_retry_t *ret_retry,
               aws_answer_t *answer, err_t *err)
{
    *ret_retry = AWS_NEVER;
    if (ask_once(a, arn, answer, err) < 0) {
        if (err->id == ERR_SEC_NET) *ret_retry = AWS_SOON;
        return -1;
    }
    if (answer->status == 200) return take_string(answer, ret, err);
    *ret_retry = aws_secrets_classify(answer->status, answer->error_type, buf_cstr(&answer->body),
                                      answer->body.len, err);
    if (*answer->request_id) err_wrap(err, "request %s", answer->request_id);
    return -1;
}

/* Full jitter, as the SDKs: rand(0, min(cap, base * 2^n)). */
static uint64_t delay_ms(aws_retry_t retry, int tries)
{
    uint64_t base = retry == AWS_SOON ? SOON_MS : LATER_MS, most = base << (tries < 12 ? tries : 12);
    return aws_jitter_ms(most < DELAY_MAX_MS ? most : DELAY_MAX_MS);
}

int aws_secrets_get(aws_secrets_t *a, const aws_arn_t *arn, buf_t *ret, err_t *err)
{
    bool refreshed = false;
    if (!a->has_cred && aws_cred_get(a->set, a->deadline_ms, &a->cred, err) < 0) return -1;
    a->has_cred = true;
    for (int tries = 1;; tries++) {
        aws_answer_t answer = {0};
        aws_retry_t retry = AWS_NEVER;
        int rc = ask(a, arn, ret, &retry, &answer, err);
        if (rc < 0 && retry == AWS_WITH_NEW_CREDENTIALS) {
            retry = !refreshed && refresh(a, &answer, err) == 0 ? AWS_SOON : AWS_NEVER;
            refreshed = true;
        }
        aws_answer_free(&answer);
        if (rc == 0 || retry == AWS_NEVER || (retry == AWS_RARELY && tries >= RARE_TRIES)) return rc;
        uint64_t pause = delay_ms(retry, tries);
        if (clock_ms() + pause >= a->deadline_ms) return rc;
        clock_sleep_ms(pause);
    }
}

void aws_secrets_free(aws_secrets_t *a) { aws_cred_free(&a->cred); }

int aws_secrets_pick(const char *secret, size_t len, const char *json_key, buf_t *ret, err_t *err)
{
    if (!*json_key) {
        buf_add(ret, secret, len);
        return 0;
    }
    json_t *o = json_loadb(secret, len, 0, NULL), *v = json_object_get(o, json_key);
    int rc = 0;
    if (!json_is_object(o))
        rc = err_set(err, ERR_SEC_FORMAT, "the secret is not a JSON object, so it has no key \"%.100s\"",
                     json_key);
    else if (json_is_string(v))
        buf_add(ret, json_string_value(v), json_string_length(v));
    else if (json_is_integer(v))
        buf_printf(ret, "%lld", (long long)json_integer_value(v));
    else if (json_is_boolean(v))
        buf_str(ret, json_is_true(v) ? "true" : "false");
    else
        rc = err_set(err, ERR_SEC_FORMAT, "the secret has no text or number with the key \"%.100s\"",
                     json_key);
    json_decref(o);
    return rc;
}
