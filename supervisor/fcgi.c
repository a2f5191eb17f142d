#include "supervisor/fcgi.h"
#include "supervisor/ask.h"
#include <stdlib.h>
#include <string.h>

enum { TYPE_BEGIN = 1, TYPE_END = 3, TYPE_PARAMS = 4, TYPE_STDIN = 5, TYPE_STDOUT = 6, ROLE_RESPONDER = 1 };

struct fcgi_get {
    ask_t *ask;
    fcgi_fn *fn;
    void *arg;
};

static size_t record_head(unsigned char *to, int type, size_t len)
{
    const unsigned char head[8] = {
        1, (unsigned char)type, 0, 1, (unsigned char)(len >> 8), (unsigned char)len, 0, 0};
    memcpy(to, head, sizeof head);
    return sizeof head;
}

static size_t put_text(unsigned char *to, const char *text)
{
    size_t n = 0;
    for (; text[n]; n++) to[n] = (unsigned char)text[n];
    return n;
}

static size_t param(unsigned char *to, const char *name, const char *value)
{
    size_t n = put_text(to + 2, name), v = put_text(to + 2 + n, value);
    to[0] = (unsigned char)n; /* both below 128: one length byte each */
    to[1] = (unsigned char)v;
    return 2 + n + v;
}

size_t fcgi_request(const char *uri, unsigned char *buf, size_t size)
{
    if (strlen(uri) > 100 || size < 512) return 0;
    unsigned char params[400];
    size_t n = 0;
    n += param(params + n, "REQUEST_METHOD", "GET");
    char script[101];
    size_t path = strcspn(uri, "?");
    memcpy(script, uri, path);
    script[path] = '\0';
    n += param(params + n, "SCRIPT_NAME", script);
    n += param(params + n, "SCRIPT_FILENAME", script);
    n += param(params + n, "QUERY_STRING", uri[path] ? uri + path + 1 : "");
    size_t at = record_head(buf, TYPE_BEGIN, 8);
    const unsigned char begin[8] = {0, ROLE_RESPONDER, 0, 0, 0, 0, 0, 0};
    memcpy(buf + at, begin, sizeof begin);
    at += sizeof begin;
    at += record_head(buf + at, TYPE_PARAMS, n);
    memcpy(buf + at, params, n);
    at += n;
    at += record_head(buf + at, TYPE_PARAMS, 0);
    at += record_head(buf + at, TYPE_STDIN, 0);
    return at;
}

size_t fcgi_parse(const unsigned char *in, size_t len, char *out, size_t size, int *ret_end)
{
    size_t at = 0, got = 0;
    *ret_end = 0;
    while (len - at >= 8) {
        size_t content = (size_t)in[at + 4] << 8 | in[at + 5], padding = in[at + 6];
        if (len - at < 8 + content + padding) break;
        if (in[at + 1] == TYPE_STDOUT) {
            size_t take = content < size - got ? content : size - got;
            memcpy(out + got, in + at + 8, take);
            got += take;
        }
        if (in[at + 1] == TYPE_END) *ret_end = 1;
        at += 8 + content + padding;
    }
    return got;
}

static bool is_whole(const unsigned char *bytes, size_t len)
{
    char unused[1];
    int end = 0;
    fcgi_parse(bytes, len, unused, 0, &end);
    return end;
}

static void on_answer(void *arg, const unsigned char *bytes, size_t len, const err_t *failure)
{
    fcgi_get_t *g = arg;
    char *text = bytes ? malloc(len + 1) : NULL;
    err_t err = {0};
    int end = 0;
    size_t n = text ? fcgi_parse(bytes, len, text, len, &end) : 0;
    const char *body = n ? memmem(text, n, "\r\n\r\n", 4) : NULL;
    if (body) {
        body += 4;
        g->fn(g->arg, body, n - (size_t)(body - text), NULL);
    } else {
        if (!failure) err_set(&err, ERR_PROBE_FAILED, "php-fpm's answer is no answer");
        g->fn(g->arg, NULL, 0, failure ? failure : &err);
    }
    free(text);
    free(g);
}

fcgi_get_t *fcgi_get(uv_loop_t *loop, const char *socket_path, const char *uri, uint64_t ms, fcgi_fn *fn,
                     void *arg)
{
    unsigned char request[ASK_REQUEST_MAX];
    fcgi_get_t *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    g->fn = fn;
    g->arg = arg;
    size_t n = fcgi_request(uri, request, sizeof request);
    g->ask = ask_unix(loop, socket_path, "php-fpm", request, n, is_whole, ms, on_answer, g);
    if (g->ask) return g;
    free(g);
    return NULL;
}

void fcgi_cancel(fcgi_get_t **get)
{
    if (!*get) return;
    ask_cancel(&(*get)->ask);
    free(*get);
    *get = NULL;
}
