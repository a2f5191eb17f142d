#include "bootstrap/aws_http.h"
#include "base/fd.h"
#include "base/role.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- addresses ---- */

static bool part(CURLU *u, CURLUPart what, char *ret, size_t size)
{
    char *s = NULL;
    *ret = '\0';
    bool have = curl_url_get(u, what, &s, 0) == CURLUE_OK && strlen(s) < size;
    if (have) snprintf(ret, size, "%s", s);
    curl_free(s);
    return have;
}

static bool has(CURLU *u, CURLUPart what)
{
    char *s = NULL;
    bool have = curl_url_get(u, what, &s, 0) == CURLUE_OK;
    curl_free(s);
    return have;
}

static const char *parse(CURLU *u, const char *url, bool with_query, aws_url_t *ret)
{
    char scheme[16], host[256], port[16];
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK) return "is not an address";
    if (!part(u, CURLUPART_SCHEME, scheme, sizeof scheme)) return "has no scheme";
    ret->https = strcasecmp(scheme, "https") == 0;
    if (!ret->https && strcasecmp(scheme, "http") != 0) return "is neither http nor https";
    if (has(u, CURLUPART_USER) || has(u, CURLUPART_PASSWORD)) return "holds a user or password";
    if (!with_query && (has(u, CURLUPART_QUERY) || has(u, CURLUPART_FRAGMENT)))
        return "has a query or fragment";
    if (has(u, CURLUPART_ZONEID)) return "has a zone id";
    if (!part(u, CURLUPART_HOST, host, sizeof host) || !*host) return "has no host";
    if (!part(u, CURLUPART_PATH, ret->path, sizeof ret->path)) return "has too long a path";
    bool own_port =
        part(u, CURLUPART_PORT, port, sizeof port) && strcmp(port, ret->https ? "443" : "80") != 0;
    snprintf(ret->host_header, sizeof ret->host_header, "%s%s%s", host, own_port ? ":" : "",
             own_port ? port : "");
    size_t len = strlen(host);
    bool bracketed = host[0] == '[' && host[len - 1] == ']';
    snprintf(ret->host, sizeof ret->host, "%.*s", (int)(bracketed ? len - 2 : len), host + bracketed);
    return NULL;
}

int aws_http_parse(const char *url, bool with_query, aws_url_t *ret, err_t *err)
{
    CURLU *u = curl_url();
    if (!u) return err_set(err, ERR_MEMORY, "no memory for an address");
    const char *wrong = parse(u, url, with_query, ret);
    curl_url_cleanup(u);
    return wrong ? err_set(err, ERR_SET_INVALID, "the address %s", wrong) : 0;
}

/* ---- one request ---- */

typedef struct transfer {
    aws_answer_t *answer;
    size_t body_max;
    bool too_long;
} transfer_t;

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    transfer_t *t = arg;
    if (t->answer->body.len + size * n > t->body_max) {
        t->too_long = true;
        return 0;
    }
    buf_add(&t->answer->body, bytes, size * n);
    return t->answer->body.failed ? 0 : size * n;
}

/* The value of header `name` when `line` is that header; cut to fit. */
static bool header_value(const char *line, size_t len, const char *name, char *ret, size_t size)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':') return false;
    const char *value = line + n + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t')) value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) end--;
    snprintf(ret, size, "%.*s", (int)(end - value), value);
    return true;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    aws_answer_t *a = ((transfer_t *)arg)->answer;
    char value[64];
    if (header_value(line, size * n, "Date", value, sizeof value)) {
        time_t t = curl_getdate(value, NULL);
        a->date_s = t > 0 ? (int64_t)t : 0;
    } else if (header_value(line, size * n, "x-amz-retry-after", value, sizeof value)) {
        char *end = NULL;
        long ms = strtol(value, &end, 10);
        if (end != value && *end == '\0' && ms >= 0) a->retry_after_ms = ms;
    } else if (!header_value(line, size * n, "x-amzn-RequestId", a->request_id, sizeof a->request_id)) {
        header_value(line, size * n, "x-amzn-errortype", a->error_type, sizeof a->error_type);
    }
    return size * n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)arg, (void)a, (void)b, (void)c, (void)d;
    return role_stop_requested() > 0; /* not 0 ends the transfer */
}

static struct curl_slist *make_headers(const aws_request_t *r)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < r->header_count; i++) {
        cleanup_buf buf_t line = BUF_INIT;
        buf_printf(&line, "%s: %s", r->headers[i].name, r->headers[i].value);
        struct curl_slist *longer = line.failed ? NULL : curl_slist_append(list, buf_cstr(&line));
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static void set_options(CURL *c, const aws_request_t *r, const struct curl_slist *headers, transfer_t *t,
                        char *words)
{
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)r->total_ms);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "moodlectl/" MOODLECTL_VERSION);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, r->at_stop ? 1L : 0L);
    if (r->direct) curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    if (r->method) curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
    if (r->body) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body);
    }
}

static int judge(CURLcode rc, const transfer_t *t, const char *words, err_t *err)
{
    if (rc == CURLE_OK) return 0;
    if (t->too_long) return err_set(err, ERR_SEC_FORMAT, "the answer is longer than %zu bytes", t->body_max);
    t->answer->tls_refused = rc == CURLE_PEER_FAILED_VERIFICATION;
    return err_set(err, ERR_SEC_NET, "%.200s", *words ? words : curl_easy_strerror(rc));
}

int aws_http_send(const aws_request_t *r, aws_answer_t *ret, err_t *err)
{
    *ret = (aws_answer_t){.retry_after_ms = -1};
    transfer_t t = {.answer = ret, .body_max = r->body_max};
    char words[CURL_ERROR_SIZE] = "";
    CURL *c = curl_easy_init();
    struct curl_slist *headers = make_headers(r);
    int rc = -1;
    if (!c || (!headers && r->header_count > 0)) {
        err_set(err, ERR_MEMORY, "no memory for a request");
    } else {
        set_options(c, r, headers, &t, words);
        rc = judge(curl_easy_perform(c), &t, words, err);
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
    }
    for (struct curl_slist *h = headers; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data)); /* tokens */
    curl_slist_free_all(headers);
    if (c) curl_easy_cleanup(c);
    return rc;
}

void aws_http_free(aws_answer_t *a) { buf_free(&a->body); }
