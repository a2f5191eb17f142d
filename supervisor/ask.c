#include "supervisor/ask.h"
#include "base/fd.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct ask {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd, handles, error;
    const char *who;
    buf_t answer;
    ask_whole_fn *whole;
    ask_fn *fn;
    void *arg;
};

static void on_closed(uv_handle_t *handle)
{
    ask_t *a = handle->data;
    if (--a->handles > 0) return;
    fd_close(&a->fd);
    buf_free(&a->answer);
    free(a);
}

static void close_all(ask_t *a)
{
    uv_close((uv_handle_t *)&a->timer, on_closed);
    if (a->handles == 2) uv_close((uv_handle_t *)&a->poll, on_closed);
}

static void fail(ask_t *a, const char *what, int error)
{
    err_t err = {0};
    errno = error;
    err_sys(&err, ERR_PROBE_FAILED, "%s %s", what, a->who);
    a->fn(a->arg, NULL, 0, &err);
    close_all(a);
}

static void on_timeout(uv_timer_t *timer) { fail(timer->data, "no answer from", ETIMEDOUT); }

static void on_early_failure(uv_timer_t *timer)
{
    ask_t *a = timer->data;
    fail(a, "connecting to", a->error);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    ask_t *a = poll->data;
    (void)status;
    (void)events;
    unsigned char bytes[4096];
    ssize_t n = read(a->fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
        fail(a, "reading from", errno);
        return;
    }
    buf_add(&a->answer, bytes, (size_t)n);
    const unsigned char *all = (const unsigned char *)buf_cstr(&a->answer);
    bool whole = a->whole && a->whole(all, a->answer.len);
    if (n > 0 && !whole && !a->answer.failed && a->answer.len < ASK_ANSWER_MAX) return;
    a->fn(a->arg, all, a->answer.len, NULL);
    close_all(a);
}

/* connect(2) on a unix socket succeeds or fails at once; EAGAIN means a full backlog. The request fits the socket buffer. */
static int send_request(int fd, const char *path, const void *request, size_t len)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (len == 0 || len > ASK_REQUEST_MAX || strlen(path) >= sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) return -1;
    return send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

ask_t *ask_unix(uv_loop_t *loop, const char *path, const char *who, const void *request, size_t len,
                ask_whole_fn *whole, uint64_t ms, ask_fn *fn, void *arg)
{
    ask_t *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    a->who = who;
    a->whole = whole;
    a->fn = fn;
    a->arg = arg;
    a->handles = 1;
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    uv_update_time(loop);
    if (a->fd < 0 || send_request(a->fd, path, request, len) < 0 || uv_poll_init(loop, &a->poll, a->fd) < 0) {
        a->error = errno;
        uv_timer_start(&a->timer, on_early_failure, 0, 0);
        return a;
    }
    a->handles = 2;
    a->poll.data = a;
    uv_poll_start(&a->poll, UV_READABLE, on_readable);
    uv_timer_start(&a->timer, on_timeout, ms, 0);
    return a;
}

void ask_cancel(ask_t **ask)
{
    if (!*ask) return;
    close_all(*ask);
    *ask = NULL;
}
