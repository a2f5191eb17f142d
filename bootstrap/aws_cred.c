#include "bootstrap/aws_cred.h"
#include "base/clock.h"
#include "base/fd.h"
#include "bootstrap/aws_http.h"
#include "bootstrap/aws_imds.h"
#include "bootstrap/aws_reply.h"
#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ECS_ADDRESS "http://169.254.170.2"
enum { TRY_MS = 2000, BODY_MAX = 1 << 16, TOKEN_MAX = 1 << 14 };

void aws_cred_free(aws_cred_t *c)
{
    free(c->id);
    secret_free(&c->key);
    secret_free(&c->token);
    *c = (aws_cred_t){0};
}

/* They go into headers. */
static bool is_clean(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s > '~') return false;
    return true;
}

static int fill(aws_cred_t *c, const char *id, const char *key, const char *token, err_t *err)
{
    if (!is_clean(id) || !is_clean(key) || !is_clean(token))
        return err_set(err, ERR_SEC_CREDENTIALS, "the credentials hold a space or control character");
    c->id = strdup(id);
    c->key = secret_new(key, strlen(key));
    c->token = secret_new(token, strlen(token));
    return c->id && c->key && c->token ? 0 : err_set(err, ERR_MEMORY, "no memory for credentials");
}

/* ---- the container's ---- */

static int64_t parse_time(const char *s)
{
    struct tm tm = {0};
    return s && strptime(s, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0; /* always UTC */
}

int aws_cred_parse(const char *json, size_t len, aws_cred_t *ret, err_t *err)
{
    *ret = (aws_cred_t){0};
    json_t *o = json_loadb(json, len, 0, NULL); /* its error text would quote what it read */
    json_t *key = json_object_get(o, "SecretAccessKey"), *token = json_object_get(o, "Token");
    const char *id = json_string_value(json_object_get(o, "AccessKeyId")), *key_text = json_string_value(key);
    int rc = -1;
    if (!o) {
        err_set(err, ERR_SEC_CREDENTIALS, "the answer is not JSON");
    } else if (!id || !*id || !key_text || !*key_text) {
        err_set(err, ERR_SEC_CREDENTIALS, "the answer has no %s",
                id && *id ? "SecretAccessKey" : "AccessKeyId");
    } else {
        rc = fill(ret, id, key_text, json_is_string(token) ? json_string_value(token) : "", err);
        ret->expires_s = parse_time(json_string_value(json_object_get(o, "Expiration")));
    }
    json_decref(o);
    if (rc < 0) aws_cred_free(ret);
    return rc;
}

static bool is_own_address(const char *host)
{
    static const char *const NAMED[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "::1"};
    struct in_addr four;
    struct in6_addr six, named;
    if (strcasecmp(host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127) return true;
    bool is_six = inet_pton(AF_INET6, host, &six) == 1;
    for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++) {
        if (strcmp(host, NAMED[i]) == 0) return true;
        if (is_six && inet_pton(AF_INET6, NAMED[i], &named) == 1 && memcmp(&six, &named, sizeof six) == 0)
            return true;
    }
    return false;
}

int aws_cred_check_url(const char *url, err_t *err)
{
    aws_url_t u;
    err_t why = {0};
    if (aws_http_parse(url, true, &u, &why) < 0) return err_set(err, ERR_SEC_CREDENTIALS, "%s", why.msg);
    if (u.https || is_own_address(u.host)) return 0;
    return err_set(err, ERR_SEC_CREDENTIALS,
                   "the address is http and its host neither loopback nor one of ECS; use https");
}

/* The Authorization to send: from the file, which may change, or the variable. */
static int read_token(const settings_t *set, buf_t *ret, err_t *err)
{
    const char *file = settings_str(set, SET_aws_auth_token_file), *name = SETTINGS[SET_aws_auth_token].name;
    err_t why = {0};
    if (*file) {
        name = SETTINGS[SET_aws_auth_token_file].name;
        if (fd_read_file(file, TOKEN_MAX, ret, &why) < 0)
            return err_set(err, ERR_SEC_CREDENTIALS, "%s: %s", name, why.msg);
    } else {
        buf_str(ret, settings_str(set, SET_aws_auth_token));
    }
    if (strlen(buf_cstr(ret)) != ret->len || strpbrk(buf_cstr(ret), "\r\n"))
        return err_set(err, ERR_SEC_CREDENTIALS, "%s holds a line end or NUL", name);
    return 0;
}

/* One try. Gives what to do when it failed. */
static aws_action_t ask(const char *url, const char *token, uint64_t total_ms, aws_answer_t *ret, err_t *err)
{
    aws_header_t headers[] = {{"Accept", "application/json"}, {"Authorization", token}};
    aws_request_t r = {.url = url,
                       .headers = headers,
                       .header_count = *token ? 2 : 1,
                       .direct = true,
                       .connect_ms = total_ms,
                       .total_ms = total_ms,
                       .body_max = BODY_MAX};
    if (aws_http_send(&r, ret, err) < 0)
        return ret->tls_refused || err->id == ERR_SEC_FORMAT ? AWS_FINAL : AWS_AGAIN;
    if (ret->status >= 200 && ret->status < 300) return AWS_GOOD;
    json_t *o = json_loadb(buf_cstr(&ret->body), ret->body.len, 0, NULL);
    const char *text = json_string_value(json_object_get(o, "message"));
    char words[200];
    aws_reply_words(text ? text : "", words, sizeof words);
    json_decref(o);
    err_set(err, ERR_SEC_CREDENTIALS, "HTTP status %ld%s%s", ret->status, *words ? ": " : "", words);
    return ret->status == 429 ? AWS_SLOWER : ret->status >= 500 ? AWS_AGAIN : AWS_FINAL;
}

/* Asks until there is an answer, a refusal, or no time. 503 is ECS's own "not yet". */
static int ask_until(const char *url, const char *token, uint64_t deadline_ms, aws_cred_t *ret, err_t *err)
{
    for (unsigned attempt = 1;; attempt++) {
        uint64_t now = clock_ms(), left = deadline_ms > now ? deadline_ms - now : 1;
        aws_answer_t answer;
        aws_action_t action = ask(url, token, left < TRY_MS ? left : TRY_MS, &answer, err);
        int rc = action == AWS_GOOD ? aws_cred_parse(buf_cstr(&answer.body), answer.body.len, ret, err) : -1;
        aws_http_free(&answer);
        if (action == AWS_GOOD || action == AWS_FINAL) return rc;
        if (aws_reply_wait(action, attempt + 2, -1, deadline_ms) < 0)
            return err_wrap(err, "given up after %u tries", attempt);
    }
}

static int container(const settings_t *set, uint64_t deadline_ms, aws_cred_t *ret, err_t *err)
{
    bool relative = *settings_str(set, SET_aws_relative_uri) != '\0';
    set_id_t id = relative ? SET_aws_relative_uri : SET_aws_full_uri;
    const char *value = settings_str(set, id);
    cleanup_buf buf_t url = BUF_INIT, token = BUF_INIT;
    err_t why = {0};
    buf_printf(&url, "%s%s", relative ? ECS_ADDRESS : "", value);
    /* without the slash "@host" or ".host" would make another address of it */
    if (relative && *value != '/')
        return err_set(err, ERR_SEC_CREDENTIALS, "%s does not begin with a slash", SETTINGS[id].name);
    if (aws_cred_check_url(buf_cstr(&url), &why) == 0 && read_token(set, &token, &why) == 0 &&
        ask_until(buf_cstr(&url), buf_cstr(&token), deadline_ms, ret, &why) == 0)
        return 0;
    return err_set(err, ERR_SEC_CREDENTIALS, "%s: %.400s", SETTINGS[id].name, why.msg);
}

/* The last resort: whoever has a task role never comes here. */
static int instance(const settings_t *set, uint64_t deadline_ms, aws_cred_t *ret, err_t *err)
{
    cleanup_buf buf_t json = BUF_INIT;
    if (aws_imds_credentials(set, deadline_ms, &json, err) == 0 &&
        aws_cred_parse(buf_cstr(&json), json.len, ret, err) == 0)
        return 0;
    return err_wrap(err, "there is no task role (%s is not set) and no %s",
                    SETTINGS[SET_aws_relative_uri].name, SETTINGS[SET_aws_key_id].name);
}

int aws_cred_get(const settings_t *set, uint64_t deadline_ms, aws_cred_t *ret, err_t *err)
{
    const char *id = settings_str(set, SET_aws_key_id), *key = settings_str(set, SET_aws_key);
    *ret = (aws_cred_t){0};
    if (!*id != !*key)
        return err_set(err, ERR_SEC_CREDENTIALS, "%s is set, but %s is not",
                       SETTINGS[*id ? SET_aws_key_id : SET_aws_key].name,
                       SETTINGS[*id ? SET_aws_key : SET_aws_key_id].name);
    if (*id) {
        ret->is_static = true;
        int rc = fill(ret, id, key, settings_str(set, SET_aws_token), err);
        if (rc < 0) aws_cred_free(ret);
        return rc;
    }
    if (*settings_str(set, SET_aws_relative_uri) || *settings_str(set, SET_aws_full_uri))
        return container(set, deadline_ms, ret, err);
    return instance(set, deadline_ms, ret, err);
}
