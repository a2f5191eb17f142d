#include "bootstrap/aws_imds.h"
#include "base/clock.h"
#include "base/fd.h"
#include "bootstrap/aws_http.h"
#include "bootstrap/aws_reply.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ROLES "/latest/meta-data/iam/security-credentials/"
enum { TRY_MS = 1000, TRIES = 2, BODY_MAX = 1 << 14 };

typedef struct session {
    const settings_t *set;
    uint64_t deadline_ms;
    buf_t token; /* of this session */
} session_t;

static const char *address_of(const settings_t *set)
{
    const char *own = settings_str(set, SET_aws_imds);
    if (*own) return own;
    return strcasecmp(settings_str(set, SET_aws_imds_mode), "IPv6") == 0 ? "http://[fd00:ec2::254]"
                                                                         : "http://169.254.169.254";
}

/* What stands in one line of a text: a token, a role's name, a region. It goes into the next request. */
static bool is_word(const buf_t *body)
{
    for (size_t i = 0; i < body->len; i++)
        if (body->data[i] <= ' ' || body->data[i] > '~') return false;
    return body->len > 0;
}

static aws_action_t send_once(const session_t *s, const char *method, const char *path, buf_t *ret,
                              err_t *err)
{
    const char *address = address_of(s->set);
    cleanup_buf buf_t url = BUF_INIT;
    bool asks_token = s->token.len == 0;
    aws_header_t header = {asks_token ? "X-aws-ec2-metadata-token-ttl-seconds" : "X-aws-ec2-metadata-token",
                           asks_token ? "21600" : buf_cstr(&s->token)};
    uint64_t now = clock_ms(), left = s->deadline_ms > now ? s->deadline_ms - now : 1;
    aws_request_t r = {.url = url.data,
                       .method = method,
                       .headers = &header,
                       .header_count = 1,
                       .direct = true,
                       .connect_ms = TRY_MS,
                       .total_ms = left < TRY_MS ? left : TRY_MS,
                       .body_max = BODY_MAX};
    aws_answer_t answer;
    size_t len = strlen(address);
    buf_printf(&url, "%.*s%s", (int)(len && address[len - 1] == '/' ? len - 1 : len), address, path);
    r.url = buf_cstr(&url);
    if (aws_http_send(&r, &answer, err) < 0) {
        aws_http_free(&answer);
        return err->id == ERR_SEC_NET ? AWS_AGAIN : AWS_FINAL;
    }
    bool good = answer.status == 200;
    if (good)
        buf_add(ret, answer.body.data, answer.body.len);
    else
        err_set(err, ERR_SEC_CREDENTIALS, "HTTP status %ld", answer.status);
    aws_action_t again = answer.status >= 500 || answer.status == 429 ? AWS_AGAIN : AWS_FINAL;
    aws_http_free(&answer);
    return good ? AWS_GOOD : again;
}

static int ask(const session_t *s, const char *method, const char *path, buf_t *ret, err_t *err)
{
    err_t why = {0};
    for (unsigned attempt = 1;; attempt++) {
        aws_action_t action = send_once(s, method, path, ret, &why);
        if (action == AWS_GOOD) return 0;
        if (action == AWS_FINAL || attempt == TRIES ||
            aws_reply_wait(action, attempt, -1, s->deadline_ms) < 0)
            return err_set(err, ERR_SEC_CREDENTIALS, "the instance's metadata at %.100s: %.60s: %.200s",
                           address_of(s->set), path, why.msg);
    }
}

static int ask_word(const session_t *s, const char *method, const char *path, buf_t *ret, err_t *err)
{
    if (ask(s, method, path, ret, err) < 0) return -1;
    if (is_word(ret)) return 0;
    return err_set(err, ERR_SEC_CREDENTIALS, "the instance's metadata at %.100s: %s: not one word",
                   address_of(s->set), path);
}

static int begin(session_t *s, err_t *err)
{
    if (settings_bool(s->set, SET_aws_imds_off))
        return err_set(err, ERR_SEC_CREDENTIALS, "the instance's metadata is not asked: %s is set",
                       SETTINGS[SET_aws_imds_off].name);
    buf_t token = BUF_INIT;
    int rc = ask_word(s, "PUT", "/latest/api/token", &token, err);
    s->token = token;
    return rc;
}

int aws_imds_credentials(const settings_t *set, uint64_t deadline_ms, buf_t *ret_json, err_t *err)
{
    session_t s = {.set = set, .deadline_ms = deadline_ms, .token = BUF_INIT};
    cleanup_buf buf_t role = BUF_INIT, path = BUF_INIT;
    int rc = begin(&s, err);
    if (rc == 0) rc = ask_word(&s, "GET", ROLES, &role, err);
    buf_printf(&path, ROLES "%s", buf_cstr(&role));
    if (rc == 0) rc = ask(&s, "GET", buf_cstr(&path), ret_json, err);
    buf_free(&s.token);
    return rc;
}

int aws_imds_region(const settings_t *set, uint64_t deadline_ms, char *ret, size_t size, err_t *err)
{
    session_t s = {.set = set, .deadline_ms = deadline_ms, .token = BUF_INIT};
    cleanup_buf buf_t region = BUF_INIT;
    int rc = begin(&s, err);
    if (rc == 0) rc = ask_word(&s, "GET", "/latest/meta-data/placement/region", &region, err);
    if (rc == 0) snprintf(ret, size, "%s", buf_cstr(&region));
    buf_free(&s.token);
    return rc;
}
