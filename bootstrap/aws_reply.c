#include "bootstrap/aws_reply.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/redact.h"
#include "base/role.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

typedef struct row {
    const char *code;
    err_id_t id;
    aws_action_t action;
} row_t;

/* The throttling and transient codes are those of botocore/retries/standard.py. */
static const row_t ROWS[] = {
    {"ResourceNotFoundException", ERR_SEC_NOT_FOUND, AWS_LATER},
    {"AccessDeniedException", ERR_SEC_DENIED, AWS_LATER},
    {"AccessDenied", ERR_SEC_DENIED, AWS_LATER},
    {"NotAuthorized", ERR_SEC_DENIED, AWS_LATER},
    {"OptInRequired", ERR_SEC_DENIED, AWS_FINAL},
    {"DecryptionFailure", ERR_SEC_DECRYPT, AWS_FINAL},
    {"DecryptionFailureException", ERR_SEC_DECRYPT, AWS_FINAL},
    {"InvalidParameterException", ERR_SEC_REQUEST, AWS_FINAL},
    {"InvalidRequestException", ERR_SEC_REQUEST, AWS_FINAL},
    {"ValidationException", ERR_SEC_REQUEST, AWS_FINAL},
    {"ExpiredTokenException", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"ExpiredToken", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"UnrecognizedClientException", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"InvalidClientTokenId", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"MissingAuthenticationToken", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"MissingAuthenticationTokenException", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"IncompleteSignature", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"IncompleteSignatureException", ERR_SEC_SIGNATURE, AWS_KEYS},
    {"InvalidSignatureException", ERR_SEC_SIGNATURE, AWS_CLOCK},
    {"SignatureDoesNotMatch", ERR_SEC_SIGNATURE, AWS_CLOCK},
    {"RequestExpired", ERR_SEC_SIGNATURE, AWS_CLOCK},
    {"RequestTimeTooSkewed", ERR_SEC_SIGNATURE, AWS_CLOCK},
    {"Throttling", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"ThrottlingException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"ThrottledException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"RequestThrottledException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"RequestThrottled", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"TooManyRequestsException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"ProvisionedThroughputExceededException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"TransactionInProgressException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"RequestLimitExceeded", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"BandwidthLimitExceeded", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"LimitExceededException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"SlowDown", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"PriorRequestNotComplete", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"EC2ThrottledException", ERR_SEC_THROTTLED, AWS_SLOWER},
    {"RequestTimeout", ERR_SEC_SERVICE, AWS_AGAIN},
    {"RequestTimeoutException", ERR_SEC_SERVICE, AWS_AGAIN},
    {"InternalServiceError", ERR_SEC_SERVICE, AWS_AGAIN},
    {"InternalServiceErrorException", ERR_SEC_SERVICE, AWS_AGAIN},
    {"InternalServiceFailure", ERR_SEC_SERVICE, AWS_AGAIN},
    {"InternalFailure", ERR_SEC_SERVICE, AWS_AGAIN},
    {"ServiceUnavailable", ERR_SEC_SERVICE, AWS_AGAIN},
    {"ServiceUnavailableException", ERR_SEC_SERVICE, AWS_AGAIN},
};

void aws_reply_words(const char *foreign, char *ret, size_t size)
{
    size_t n = 0;
    cleanup_buf buf_t clean = BUF_INIT;
    if (redact_copy(foreign, strlen(foreign), &clean)) foreign = buf_cstr(&clean);
    for (; foreign[n] && n + 1 < size; n++)
        ret[n] = foreign[n] >= ' ' && foreign[n] <= '~' ? foreign[n] : '?';
    ret[n] = '\0';
}

/* "com.amazonaws.x#ThrottlingException:http://..." holds the code between # and : */
static void take_code(const char *type, char *ret, size_t size)
{
    char cut[256];
    snprintf(cut, sizeof cut, "%.*s", (int)strcspn(type, ":"), type);
    const char *hash = strrchr(cut, '#');
    aws_reply_words(hash ? hash + 1 : cut, ret, size);
}

static void read_error(const aws_answer_t *a, char *code, size_t code_size, char *words, size_t words_size)
{
    json_t *o = json_loadb(buf_cstr(&a->body), a->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *type = json_string_value(json_object_get(o, "__type"));
    const char *text = json_string_value(json_object_get(o, "message"));
    if (!text) text = json_string_value(json_object_get(o, "Message"));
    take_code(type ? type : a->error_type, code, code_size);
    aws_reply_words(text ? text : "", words, words_size);
    json_decref(o);
}

static row_t by_status(long status)
{
    if (status == 429) return (row_t){"", ERR_SEC_THROTTLED, AWS_SLOWER};
    if (status >= 500) return (row_t){"", ERR_SEC_SERVICE, AWS_AGAIN};
    if (status == 401 || status == 403) return (row_t){"", ERR_SEC_DENIED, AWS_LATER};
    return (row_t){"", ERR_SEC_REQUEST, AWS_FINAL};
}

aws_action_t aws_reply_judge(const aws_answer_t *a, err_t *err)
{
    if (a->status >= 200 && a->status < 300) return AWS_GOOD;
    char code[80], words[280], id[64];
    read_error(a, code, sizeof code, words, sizeof words);
    aws_reply_words(a->request_id, id, sizeof id);
    row_t row = by_status(a->status);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (strcmp(ROWS[i].code, code) == 0) row = ROWS[i];
    err_set(err, row.id, "%s%sHTTP status %ld%s%s%s%s", code, *code ? ", " : "", a->status,
            *words ? ": " : "", words, *id ? ", request " : "", id);
    return row.action;
}

uint64_t aws_reply_delay_ms(aws_action_t action, unsigned attempt, int64_t retry_after_ms, uint32_t random)
{
    enum { CAP_MS = 20000, ABOVE_MS = 5000 };
    uint64_t most = action == AWS_SLOWER || action == AWS_LATER ? 1000 : 100;
    for (unsigned i = 1; i < attempt && most < CAP_MS; i++) most *= 2;
    if (most > CAP_MS) most = CAP_MS;
    uint64_t delay = most * random / UINT32_MAX;
    if (retry_after_ms < 0 || (uint64_t)retry_after_ms < delay) return delay;
    return (uint64_t)retry_after_ms > delay + ABOVE_MS ? delay + ABOVE_MS : (uint64_t)retry_after_ms;
}

int aws_reply_wait(aws_action_t action, unsigned attempt, int64_t retry_after_ms, uint64_t deadline_ms)
{
    enum { STEP_MS = 100 };
    uint32_t random = UINT32_MAX;
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = UINT32_MAX;
    uint64_t until = clock_ms() + aws_reply_delay_ms(action, attempt, retry_after_ms, random);
    if (until >= deadline_ms) return -1;
    for (uint64_t now = clock_ms(); now < until && role_stop_requested() == 0; now = clock_ms())
        clock_sleep_ms(until - now < STEP_MS ? until - now : STEP_MS);
    return role_stop_requested() ? -1 : 0;
}
