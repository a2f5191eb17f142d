#include "supervisor/logfwd.h"
#include "base/fd.h"
#include "base/json_check.h"
#include "base/redact.h"
#include "supervisor/lineio.h"
#include "supervisor/logjoin.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    READ_SIZE = 64 * 1024,  /* a pipe's capacity, pipe(7) */
    TURN_SIZE = 256 * 1024, /* a flooding child yields to the others after that much */
    EVENT_MAX = 128 * 1024, /* a role's event line arrives whole up to here */
};

struct stream {
    uv_poll_t poll;
    int fd;
    stream_kind_t kind;
    const char *src;
    log_level_t level;
    lineio_t lines;
    logjoin_t join;
    logfold_t fold;
    uint64_t fold_until_ms; /* uv_now */
    buf_t waits;            /* from one piece of a long message to the next */
    log_level_t long_level; /* of that message */
    unsigned part;          /* pieces of it that were given out */
    uv_timer_t timer;       /* only while a message is open or repeats are counted */
    char script[32];        /* source of the script that a role runs */
    char *event;            /* unfinished event line */
    size_t event_len;
    stream_event_fn *on_event;
    void *arg;
    bool paused;
    struct stream *prev, *next; /* all open streams */
};

static stream_t *streams;

static char chunk[READ_SIZE] __attribute__((aligned(4096))); /* one loop, one thread: shared by all streams */

static struct {
    void (*fn)(void *arg);
    void *arg;
} watch;

void logfwd_watch(void (*fn)(void *arg), void *arg)
{
    watch.fn = fn;
    watch.arg = arg;
}

static struct {
    bool dropped;
    void (*fn)(void *arg, const char *json, size_t len);
    void *arg;
} access_lines;

void logfwd_forward_access(bool forward) { access_lines.dropped = !forward; }

void logfwd_on_access(void (*fn)(void *arg, const char *json, size_t len), void *arg)
{
    access_lines.fn = fn;
    access_lines.arg = arg;
}

/* auth_failed() in PostgreSQL's libpq/auth.c, ER_ACCESS_DENIED_ERROR of MySQL and MariaDB, -WRONGPASS and -NOAUTH of Redis */
static void watch_php(const char *bytes, size_t len)
{
    static const char *const words[] = {"password authentication failed", "Access denied for user",
                                        "WRONGPASS", "NOAUTH"};
    for (size_t i = 0; watch.fn && i < sizeof words / sizeof *words; i++)
        if (memmem(bytes, len, words[i], strlen(words[i]))) watch.fn(watch.arg);
}

static log_level_t access_level(const char *json, size_t len)
{
    const char *s = memmem(json, len, "\"status\":", 9);
    return s && s + 9 < json + len && s[9] == '5' ? LOG_WARN_ : LOG_INFO_;
}

static void tell_repeats(stream_t *s)
{
    unsigned n = logfold_take(&s->fold);
    if (n) logfmt_repeats(s->src, s->fold.level, n);
}

/* A piece of a long message. What may be the beginning of a secret at its end waits for the next piece. */
static void on_piece(stream_t *s, log_level_t level, const char *bytes, size_t len, bool last)
{
    buf_add(&s->waits, bytes, len);
    size_t n = last ? s->waits.len : redact_cut(buf_cstr(&s->waits), s->waits.len);
    logfmt_child(s->src, level, buf_cstr(&s->waits), n, &s->part, last);
    size_t rest = s->waits.len - n;
    if (rest) memmove(s->waits.data, s->waits.data + n, rest);
    s->waits.len = rest;
    if (last) buf_free(&s->waits);
}

/* `head`: length of its time and the like, which does not keep it from being the same as the last. */
static void on_message(void *arg, log_level_t level, const char *bytes, size_t len, size_t head, bool last)
{
    stream_t *s = arg;
    if (last && !s->part && logfold_is_repeat(&s->fold, level, bytes + head, len - head)) {
        s->fold.repeats++;
        return;
    }
    tell_repeats(s);
    if (!last || s->part || s->waits.len) {
        on_piece(s, level, bytes, len, last);
        return;
    }
    logfold_remember(&s->fold, level, bytes + head, len - head);
    if (json_check_object(bytes, len))
        logfmt_child_object(s->src, level, false, bytes, len);
    else
        logfmt_child(s->src, level, bytes, len, NULL, true);
}

static bool is_access(stream_t *s, const char *bytes, size_t len)
{
    if (s->kind != STREAM_NGINX || !json_check_object(bytes, len)) return false;
    log_level_t level = access_level(bytes, len);
    if (!access_lines.dropped) logfmt_child_object("nginx.access", level, true, bytes, len);
    if (access_lines.fn) access_lines.fn(access_lines.arg, bytes, len);
    if (level == LOG_WARN_ && watch.fn) watch.fn(watch.arg);
    return true;
}

static void on_line(void *arg, const char *bytes, size_t len, unsigned part, bool last)
{
    stream_t *s = arg;
    if (s->kind == STREAM_PHP) watch_php(bytes, len);
    if (part == 0) {
        if (!is_access(s, bytes, len)) logjoin_line(&s->join, s->kind, s->level, bytes, len, on_message, s);
        return;
    }
    if (part == 1) {
        logjoin_end(&s->join, on_message, s);
        logtext_t t = logtext_read(s->kind, bytes, len);
        s->long_level = s->kind != STREAM_LINES && t.has_level ? t.level : s->level;
    }
    on_message(s, s->long_level, bytes, len, 0, last);
}

static void on_due(uv_timer_t *timer);

/* Sets the timer for what is open or counted; it is not set when there is nothing. */
static void watch_time(stream_t *s)
{
    uint64_t ms = s->join.lines ? JOIN_WAIT_MS : s->fold.repeats ? FOLD_WAIT_MS : 0;
    if (ms == FOLD_WAIT_MS && uv_is_active((uv_handle_t *)&s->timer)) return;
    if (ms)
        uv_timer_start(&s->timer, on_due, ms, 0);
    else if (uv_is_active((uv_handle_t *)&s->timer))
        uv_timer_stop(&s->timer);
}

static void end_messages(stream_t *s)
{
    logjoin_end(&s->join, on_message, s);
    tell_repeats(s);
    logfold_free(&s->fold);
}

static void on_due(uv_timer_t *timer)
{
    stream_t *s = timer->data;
    if (s->join.lines) {
        logjoin_end(&s->join, on_message, s);
        watch_time(s);
    } else {
        end_messages(s);
    }
    outq_flush();
}

static stream_t *feeding; /* whose on_event runs */

void logfwd_script_line(const char *src, log_level_t level, const char *line, size_t len)
{
    stream_t *s = feeding;
    if (!s) return;
    if (strcmp(src, s->script) != 0) {
        end_messages(s);
        snprintf(s->script, sizeof s->script, "%s", src);
        s->src = s->script;
    }
    logjoin_line(&s->join, STREAM_EVENTS, level, line, len, on_message, s);
}

static bool grow_event(stream_t *s, size_t more)
{
    if (s->event_len + more > EVENT_MAX) {
        s->event_len = 0; /* no role writes that much: drop it rather than grow for ever */
        return false;
    }
    char *bigger = realloc(s->event, s->event_len + more + 1);
    if (!bigger) return false;
    s->event = bigger;
    return true;
}

static void feed_events(stream_t *s, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *nl = memchr(bytes, '\n', len);
        size_t n = nl ? (size_t)(nl - bytes) : len;
        if (grow_event(s, n)) {
            memcpy(s->event + s->event_len, bytes, n);
            s->event_len += n;
        }
        if (!nl) return;
        feeding = s;
        if (s->event_len) s->on_event(s->arg, s->event, s->event_len);
        feeding = NULL;
        free(s->event);
        s->event = NULL;
        s->event_len = 0;
        bytes += n + 1;
        len -= n + 1;
    }
}

static void feed(stream_t *s, const char *bytes, size_t len)
{
    if (s->kind == STREAM_EVENTS)
        feed_events(s, bytes, len);
    else
        lineio_feed(&s->lines, bytes, len, on_line, s);
}

/* Reads what is there, up to `most` bytes; false at end of file. */
static bool read_some(stream_t *s, size_t most)
{
    for (size_t total = 0; total < most;) {
        ssize_t n = read(s->fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
        if (n <= 0) return false;
        feed(s, chunk, (size_t)n);
        total += (size_t)n;
        if ((size_t)n < sizeof chunk) break; /* the pipe is empty: spare the read that says so */
    }
    return true;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    stream_t *s = handle->data;
    (void)events;
    if (s->kind != STREAM_EVENTS && outq_is_crowded()) { /* events move the member's life: never held back */
        s->paused = true;
        uv_poll_stop(handle);
        return;
    }
    logfmt_begin_read();
    if (status < 0 || !read_some(s, TURN_SIZE)) {
        lineio_end(&s->lines, on_line, s);
        end_messages(s);
        uv_poll_stop(&s->poll); /* the owner closes it when the child's exit is seen */
    }
    logfmt_end_read();
    watch_time(s);
    outq_flush();
}

static void on_relief(void)
{
    for (stream_t *s = streams; s; s = s->next) {
        if (!s->paused) continue;
        s->paused = false;
        uv_poll_start(&s->poll, UV_READABLE, on_readable);
    }
}

static void on_idle(void)
{
    madvise(chunk, sizeof chunk, MADV_DONTNEED);
    logfmt_trim();
}

void stream_try(stream_kind_t kind, const char *src, const char *bytes, size_t len)
{
    stream_t s = {.kind = kind, .src = src, .level = LOG_ERROR_, .join = {.last_level = LOG_ERROR_}};
    lineio_feed(&s.lines, bytes, len, on_line, &s);
    lineio_end(&s.lines, on_line, &s);
    end_messages(&s);
    buf_free(&s.waits);
}

stream_t *stream_open(uv_loop_t *loop, int fd, stream_kind_t kind, const char *src, log_level_t level,
                      stream_event_fn *on_event, void *arg)
{
    stream_t *s = calloc(1, sizeof *s);
    fcntl(fd, F_SETFL, O_NONBLOCK); /* our read end: a description of its own */
    if (!s || uv_poll_init(loop, &s->poll, fd) < 0) {
        free(s);
        fd_close(&fd);
        return NULL;
    }
    s->fd = fd;
    s->kind = kind;
    s->src = src;
    s->level = s->join.last_level = level;
    s->on_event = on_event;
    s->arg = arg;
    s->poll.data = s->timer.data = s;
    uv_timer_init(loop, &s->timer);
    uv_unref((uv_handle_t *)&s->timer);
    s->next = streams;
    if (streams) streams->prev = s;
    streams = s;
    outq_set_relief(on_relief);
    outq_set_idle(on_idle);
    uv_poll_start(&s->poll, UV_READABLE, on_readable);
    return s;
}

static void on_timer_closed(uv_handle_t *handle) { free(handle->data); }

static void on_closed(uv_handle_t *handle)
{
    stream_t *s = handle->data;
    fd_close(&s->fd);
    lineio_free(&s->lines);
    buf_free(&s->waits);
    free(s->event);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

void stream_drain_and_close(stream_t **stream)
{
    stream_t *s = *stream;
    if (!s) return;
    *stream = NULL;
    if (s->prev) s->prev->next = s->next;
    if (s->next) s->next->prev = s->prev;
    if (streams == s) streams = s->next;
    if (!uv_is_closing((uv_handle_t *)&s->poll)) {
        /* One turn holds all that the dead child left in the pipe; a grandchild may hold the other end and write on. */
        logfmt_begin_read();
        if (s->paused || uv_is_active((uv_handle_t *)&s->poll)) read_some(s, TURN_SIZE);
        logfmt_end_read();
        lineio_end(&s->lines, on_line, s);
        end_messages(s);
        uv_timer_stop(&s->timer);
        uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, on_closed);
    }
    outq_flush();
}
