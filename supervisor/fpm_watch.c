#include "supervisor/fpm_watch.h"
#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/ask.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { EVERY_MS = 30000, EVERY_LEAST_MS = 500, STATUS_MS = 5000 };

/* ---- pure ---- */

void fpm_progress_waits(fpm_progress_t *p, uint64_t now_ms)
{
    if (p->waiting_ms) return;
    *p = (fpm_progress_t){.waiting_ms = now_ms, .moved_ms = now_ms, .accepted = -1};
}

void fpm_progress_answered(fpm_progress_t *p) { *p = (fpm_progress_t){.accepted = -1}; }

void fpm_progress_accepted(fpm_progress_t *p, long long accepted, uint64_t now_ms)
{
    if (accepted < 0) return;
    if (p->accepted >= 0 && accepted != p->accepted) p->moved_ms = now_ms;
    p->accepted = accepted;
}

uint64_t fpm_progress_still_ms(const fpm_progress_t *p, uint64_t now_ms)
{
    return p->waiting_ms ? now_ms - p->moved_ms : 0;
}

long long fpm_accepted(const char *status, size_t len)
{
    json_t *o = json_loadb(status, len, JSON_DISABLE_EOF_CHECK, NULL);
    json_t *n = json_object_get(o, "accepted conn");
    long long accepted = json_is_integer(n) ? json_integer_value(n) : -1;
    json_decref(o);
    return accepted;
}

/* ---- the watch ---- */

static void send_ping(fpm_watch_t *w)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    unsigned char request[ASK_REQUEST_MAX];
    size_t len = fcgi_request("/-/fpm-ping", request, sizeof request);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", w->pool);
    w->ping = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->ping < 0) return;
    /* EAGAIN: the queue is full, so somebody waits; ECONNREFUSED: it does not listen, and its exit will tell */
    if (connect(w->ping, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        send(w->ping, request, len, MSG_NOSIGNAL) != (ssize_t)len)
        fd_close(&w->ping);
}

/* Anything that comes back, and an end as well, is a worker's doing. */
static bool was_answered(fpm_watch_t *w)
{
    char bytes[256];
    return w->ping >= 0 &&
           (recv(w->ping, bytes, sizeof bytes, 0) >= 0 || (errno != EAGAIN && errno != EINTR));
}

static void on_status(void *arg, const char *body, size_t len, const err_t *err)
{
    fpm_watch_t *w = arg;
    uint64_t now = clock_ms();
    w->asking = NULL;
    if (!err) fpm_progress_accepted(&w->progress, fpm_accepted(body, len), now);
    uint64_t still = fpm_progress_still_ms(&w->progress, now);
    if (still >= w->limit_ms) w->fn(w->arg, still, !err);
}

static void on_timer(uv_timer_t *timer)
{
    fpm_watch_t *w = timer->data;
    if (w->asking) return;
    if (!w->sent || was_answered(w)) {
        fd_close(&w->ping);
        fpm_progress_answered(&w->progress);
        send_ping(w);
        w->sent = true;
        return;
    }
    fpm_progress_waits(&w->progress, clock_ms());
    if (w->ping < 0) send_ping(w);
    w->asking = fcgi_get(w->loop, w->status, "/-/fpm-status?json", STATUS_MS, on_status, w);
}

void fpm_watch_init(fpm_watch_t *w, uv_loop_t *loop, uint64_t limit_ms, fpm_stuck_fn *fn, void *arg)
{
    uint64_t every = limit_ms / 4 < EVERY_MS ? limit_ms / 4 : EVERY_MS;
    *w = (fpm_watch_t){.loop = loop, .limit_ms = limit_ms, .ping = -1, .fn = fn, .arg = arg};
    w->every_ms = every > EVERY_LEAST_MS ? every : EVERY_LEAST_MS;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
}

void fpm_watch_start(fpm_watch_t *w, const char *pool, const char *status)
{
    fpm_watch_stop(w);
    snprintf(w->pool, sizeof w->pool, "%s", pool);
    snprintf(w->status, sizeof w->status, "%s", status);
    uv_timer_start(&w->timer, on_timer, w->every_ms, w->every_ms);
}

void fpm_watch_stop(fpm_watch_t *w)
{
    uv_timer_stop(&w->timer);
    fcgi_cancel(&w->asking);
    fd_close(&w->ping);
    fpm_progress_answered(&w->progress);
    w->sent = false;
}

void fpm_watch_close(fpm_watch_t *w)
{
    fpm_watch_stop(w);
    if (!uv_is_closing((uv_handle_t *)&w->timer)) uv_close((uv_handle_t *)&w->timer, NULL);
}
