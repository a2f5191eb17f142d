#include "supervisor/logfwd.h"
#include "base/fd.h"
#include "base/redact.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
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
    log_level_t level, last_level;
    lineio_t lines;
    buf_t waits; /* from one piece of a long line to the next */
    char *event; /* unfinished event line */
    size_t event_len;
    stream_event_fn *on_event;
    void *arg;
    bool paused;
    struct stream *prev, *next; /* all open streams */
};

static stream_t *streams;

static char chunk[READ_SIZE] __attribute__((aligned(4096))); /* one loop, one thread: shared by all streams */

typedef struct {
    const char *word;
    log_level_t level;
} level_word_t;

static const level_word_t NGINX_WORDS[] = {
    {" [debug] ", LOG_DEBUG_}, {" [info] ", LOG_INFO_},   {" [notice] ", LOG_NOTICE_},
    {" [warn] ", LOG_WARN_},   {" [error] ", LOG_ERROR_}, {" [crit] ", LOG_ERROR_},
    {" [alert] ", LOG_ERROR_}, {" [emerg] ", LOG_ERROR_}, {"nginx: [emerg]", LOG_ERROR_}};
/* php_error_cb in main/main.c and zlog in sapi/fpm/fpm/zlog.c of PHP give these words. */
static const level_word_t PHP_WORDS[] = {{"PHP Fatal error", LOG_ERROR_}, {"PHP Parse error", LOG_ERROR_},
                                         {"PHP Warning", LOG_WARN_},      {"PHP Notice", LOG_NOTICE_},
                                         {"PHP Deprecated", LOG_INFO_},   {"] ERROR: ", LOG_ERROR_},
                                         {"] ALERT: ", LOG_ERROR_},       {"] WARNING: ", LOG_WARN_},
                                         {"] NOTICE: ", LOG_NOTICE_},     {"] DEBUG: ", LOG_DEBUG_}};

static log_level_t find_level(const level_word_t *words, size_t n, const char *bytes, size_t len,
                              log_level_t otherwise)
{
    size_t look = len < 160 ? len : 160;
    for (size_t i = 0; i < n; i++)
        if (memmem(bytes, look, words[i].word, strlen(words[i].word))) return words[i].level;
    return otherwise;
}
#define LEVEL_IN(words, bytes, len, otherwise)                                                               \
    find_level(words, sizeof(words) / sizeof *(words), bytes, len, otherwise)

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

static bool is_json_object(const char *bytes, size_t len)
{
    if (len < 2 || bytes[0] != '{' || bytes[len - 1] != '}') return false;
    json_t *o = json_loadb(bytes, len, 0, NULL);
    bool is = json_is_object(o);
    json_decref(o);
    return is;
}

static log_level_t access_level(const char *json, size_t len)
{
    const char *s = memmem(json, len, "\"status\":", 9);
    return s && s + 9 < json + len && s[9] == '5' ? LOG_WARN_ : LOG_INFO_;
}

static void on_line(void *arg, const char *bytes, size_t len, unsigned part, bool last)
{
    stream_t *s = arg;
    log_level_t level = s->level;
    if (part == 0 && len == 0) return;
    if (part == 0 && s->kind == STREAM_NGINX && is_json_object(bytes, len)) {
        level = access_level(bytes, len);
        if (!access_lines.dropped) logfmt_child_object("nginx.access", level, OUT_ACCESS, bytes, len);
        if (access_lines.fn) access_lines.fn(access_lines.arg, bytes, len);
        if (level == LOG_WARN_ && watch.fn) watch.fn(watch.arg);
        return;
    }
    if (s->kind == STREAM_NGINX) level = LEVEL_IN(NGINX_WORDS, bytes, len, level);
    if (s->kind == STREAM_PHP) {
        watch_php(bytes, len);
        /* the lines of a stack trace have the severity of the message above them */
        bool goes_on =
            bytes[0] == '#' || bytes[0] == ' ' || (len >= 12 && memcmp(bytes, "Stack trace:", 12) == 0);
        level = goes_on ? s->last_level : LEVEL_IN(PHP_WORDS, bytes, len, level);
    }
    if (part > 1) level = s->last_level;
    s->last_level = level;
    if (part == 0 && is_json_object(bytes, len))
        logfmt_child_object(s->src, level, OUT_OTHER, bytes, len);
    else
        logfmt_child(s->src, level, OUT_OTHER, bytes, len, part, last);
}

/* A piece of a long line. What may be the beginning of a secret at its end waits for the next piece. */
static void on_piece(void *arg, const char *bytes, size_t len, unsigned part, bool last)
{
    stream_t *s = arg;
    if (part == 0) {
        on_line(s, bytes, len, part, last);
        return;
    }
    buf_add(&s->waits, bytes, len);
    size_t n = last ? s->waits.len : redact_cut(buf_cstr(&s->waits), s->waits.len);
    on_line(s, buf_cstr(&s->waits), n, part, last);
    size_t rest = s->waits.len - n;
    if (rest) memmove(s->waits.data, s->waits.data + n, rest);
    s->waits.len = rest;
    if (last) buf_free(&s->waits);
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
        if (s->event_len) s->on_event(s->arg, s->event, s->event_len);
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
        lineio_feed(&s->lines, bytes, len, on_piece, s);
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
    if (status < 0 || !read_some(s, TURN_SIZE)) {
        if (s->kind != STREAM_EVENTS) lineio_end(&s->lines, on_piece, s);
        uv_poll_stop(&s->poll); /* the owner closes it when the child's exit is seen */
    }
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
    stream_t s = {.kind = kind, .src = src, .level = LOG_ERROR_, .last_level = LOG_ERROR_};
    lineio_feed(&s.lines, bytes, len, on_piece, &s);
    lineio_end(&s.lines, on_piece, &s);
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
    s->level = s->last_level = level;
    s->on_event = on_event;
    s->arg = arg;
    s->poll.data = s;
    s->next = streams;
    if (streams) streams->prev = s;
    streams = s;
    outq_set_relief(on_relief);
    outq_set_idle(on_idle);
    uv_poll_start(&s->poll, UV_READABLE, on_readable);
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    stream_t *s = handle->data;
    fd_close(&s->fd);
    lineio_free(&s->lines);
    buf_free(&s->waits);
    free(s->event);
    free(s);
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
        if (s->paused || uv_is_active((uv_handle_t *)&s->poll)) read_some(s, TURN_SIZE);
        if (s->kind != STREAM_EVENTS) lineio_end(&s->lines, on_piece, s);
        uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, on_closed);
    }
    outq_flush();
}
