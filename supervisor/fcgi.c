#include "supervisor/fcgi.h"
#include "base/fd.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 16384,
    TYPE_BEGIN = 1,
    TYPE_END = 3,
    TYPE_PARAMS = 4,
    TYPE_STDIN = 5,
    TYPE_STDOUT = 6,
    ROLE_RESPONDER = 1
};

struct fcgi_get {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd, handles;
    unsigned char answer[ANSWER_MAX];
    size_t len;
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
    n += param(params + n, "SCRIPT_NAME", uri);
    n += param(params + n, "SCRIPT_FILENAME", uri);
    n += param(params + n, "QUERY_STRING", "json");
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

static void on_closed(uv_handle_t *handle)
{
    fcgi_get_t *g = handle->data;
    if (--g->handles > 0) return;
    fd_close(&g->fd);
    free(g);
}

static void close_all(fcgi_get_t *g)
{
    uv_close((uv_handle_t *)&g->timer, on_closed);
    if (g->handles == 2) uv_close((uv_handle_t *)&g->poll, on_closed);
}

static void finish(fcgi_get_t *g, const char *body, size_t len, const err_t *err)
{
    g->fn(g->arg, body, len, err);
    close_all(g);
}

static void fail(fcgi_get_t *g, const char *what)
{
    err_t err = {0};
    err_sys(&err, ERR_PROBE_FAILED, "%s", what);
    finish(g, NULL, 0, &err);
}

static void on_timeout(uv_timer_t *timer)
{
    errno = ETIMEDOUT;
    fail(timer->data, "php-fpm's answer");
}

static void on_answer(fcgi_get_t *g)
{
    char text[ANSWER_MAX];
    int end = 0;
    size_t n = fcgi_parse(g->answer, g->len, text, sizeof text, &end);
    const char *body = memmem(text, n, "\r\n\r\n", 4);
    if (!body) {
        errno = EPROTO;
        fail(g, "php-fpm's answer");
        return;
    }
    body += 4;
    finish(g, body, n - (size_t)(body - text), NULL);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    fcgi_get_t *g = poll->data;
    (void)status;
    (void)events;
    ssize_t n = read(g->fd, g->answer + g->len, sizeof g->answer - g->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
        fail(g, "reading php-fpm's answer");
        return;
    }
    g->len += (size_t)n;
    char unused[1];
    int end = 0;
    fcgi_parse(g->answer, g->len, unused, 0, &end);
    if (n == 0 || end || g->len == sizeof g->answer) on_answer(g);
}

/* connect(2) on a unix socket succeeds or fails at once; EAGAIN means a full backlog. The request fits the socket buffer. */
static int send_request(int fd, const char *path, const char *uri)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    unsigned char request[512];
    size_t n = fcgi_request(uri, request, sizeof request);
    if (n == 0 || strlen(path) >= sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) return -1;
    return send(fd, request, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -1;
}

static void on_early_failure(uv_timer_t *timer)
{
    fcgi_get_t *g = timer->data;
    errno = (int)g->len; /* put there by fcgi_get: no answer can have come yet */
    fail(g, "connecting to php-fpm");
}

fcgi_get_t *fcgi_get(uv_loop_t *loop, const char *socket_path, const char *uri, uint64_t ms, fcgi_fn *fn,
                     void *arg)
{
    fcgi_get_t *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    g->fn = fn;
    g->arg = arg;
    g->handles = 1;
    uv_timer_init(loop, &g->timer);
    g->timer.data = g;
    g->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    uv_update_time(loop);
    if (g->fd < 0 || send_request(g->fd, socket_path, uri) < 0 || uv_poll_init(loop, &g->poll, g->fd) < 0) {
        g->len = (size_t)errno;
        uv_timer_start(&g->timer, on_early_failure, 0, 0);
        return g;
    }
    g->handles = 2;
    g->poll.data = g;
    uv_poll_start(&g->poll, UV_READABLE, on_readable);
    uv_timer_start(&g->timer, on_timeout, ms, 0);
    return g;
}

void fcgi_cancel(fcgi_get_t **get)
{
    if (!*get) return;
    close_all(*get);
    *get = NULL;
}
