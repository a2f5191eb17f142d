#include "supervisor/outq.h"
#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/logfmt.h"
#include "supervisor/ring.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    GATHERED = 128 * 1024,    /* before a write */
    BATCH = 1024 * 1024,      /* the oldest of what waits, as it will be written */
    RING_LIMIT = 1024 * 1024, /* with the batch 4 MiB in all */
    PROGRESS = 64 * 1024,     /* a pipe's capacity: a reader that takes less in READER_DEAD_MS makes none */
    LAST_TRY_MS = 200,        /* of a reader that takes nothing, before exit */
    CROWDED = 512 * 1024,     /* waiting bytes above which services are held back while the reader lives */
    READER_DEAD_MS = 300,     /* no progress for so long: services go on and lines are dropped */
    RELIEF_MS = 5,
    BUSY = 8 * 1024, /* lines wrote so much at once: memory is given back when it is quiet again */
    QUIET_MS = 100,
    POLLED_WRITE = 4096, /* PIPE_BUF: poll(2) promises room for that much, pipe(7) */
};
typedef enum { MODE_NONBLOCK, MODE_SEND, MODE_POLLED, MODE_PLAIN } out_mode_t;

static struct {
    int fd;
    out_mode_t mode;
    int epoll; /* watches fd; uv_poll watches epoll, because uv_poll_init makes what it watches non-blocking */
    uv_poll_t poll; /* readable: fd is writable */
    bool has_poll, waiting, held;
    char *batch; /* bytes being written: [sent, len) */
    size_t len, sent;
    ring_t rings[OUT_CLASSES_];
    char sources[RING_TAGS][32]; /* the tags of the rings; the last stands for all that have no place */
    uint64_t seq, dropped, progress_ms;
    size_t taken; /* bytes since progress_ms */
    uv_loop_t *loop;
    uv_timer_t relief;
    outq_relief_fn *on_relief;
    uv_timer_t quiet;
    uint64_t quiet_seq; /* q.seq when it was armed */
    outq_idle_fn *on_idle;
    buf_t *divert;
} q = {.fd = -1, .epoll = -1};

static void on_writable(uv_poll_t *handle, int status, int events);

/* A description of our own for the same pipe or terminal can be non-blocking without anybody noticing. */
static void choose_mode(int fd)
{
    struct stat st;
    q.fd = fd;
    q.mode = MODE_POLLED;
    if (fstat(fd, &st) < 0) return;
    if (S_ISREG(st.st_mode)) {
        q.mode = MODE_PLAIN;
    } else if (S_ISSOCK(st.st_mode)) {
        q.mode = MODE_SEND;
    } else {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (own < 0) return;
        q.fd = own;
        q.mode = MODE_NONBLOCK;
    }
}

static void watch(uv_loop_t *loop)
{
    struct epoll_event ev = {.events = 0};
    q.epoll = epoll_create1(EPOLL_CLOEXEC);
    q.has_poll = q.epoll >= 0 && epoll_ctl(q.epoll, EPOLL_CTL_ADD, q.fd, &ev) == 0 &&
                 uv_poll_init(loop, &q.poll, q.epoll) == 0;
    if (q.has_poll)
        uv_unref((uv_handle_t *)&q.poll);
    else
        q.mode = MODE_PLAIN; /* EPERM: /dev/null and its like, which never block */
}

int outq_open(uv_loop_t *loop, int fd)
{
    choose_mode(fd);
    q.loop = loop;
    uv_timer_init(loop, &q.relief);
    uv_unref((uv_handle_t *)&q.relief);
    uv_timer_init(loop, &q.quiet);
    uv_unref((uv_handle_t *)&q.quiet);
    for (int i = 0; i < OUT_CLASSES_; i++) ring_init(&q.rings[i], RING_LIMIT);
    if (q.mode != MODE_PLAIN) watch(loop);
    return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

static void on_quiet(uv_timer_t *timer)
{
    if (q.seq != q.quiet_seq || q.len || q.waiting) {
        q.quiet_seq = q.seq;
        uv_timer_start(timer, on_quiet, QUIET_MS, 0);
        return;
    }
    free(q.batch);
    q.batch = NULL;
    if (q.on_idle) q.on_idle();
    malloc_trim(0);
}

static void await_quiet(void)
{
    if (uv_is_active((uv_handle_t *)&q.quiet)) return;
    q.quiet_seq = q.seq;
    uv_timer_start(&q.quiet, on_quiet, QUIET_MS, 0);
}

static bool polled_room(void)
{
    struct pollfd p = {.fd = q.fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLOUT);
}

/* Bytes taken; -1 with EAGAIN: the reader is slow. */
static ssize_t write_some(const char *bytes, size_t len)
{
    switch (q.mode) {
    case MODE_SEND:
        return send(q.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case MODE_POLLED:
        if (!polled_room()) {
            errno = EAGAIN;
            return -1;
        }
        return write(q.fd, bytes, len < POLLED_WRITE ? len : POLLED_WRITE);
    case MODE_NONBLOCK:
    case MODE_PLAIN:
        break;
    }
    return write(q.fd, bytes, len);
}

/* Lines from the rings in their first order, as many as fit. */
static void refill(void)
{
    q.len = q.sent = 0;
    for (;;) {
        ring_t *r = q.rings;
        for (int i = 1; i < OUT_CLASSES_; i++)
            if (ring_next_seq(&q.rings[i]) < ring_next_seq(r)) r = &q.rings[i];
        size_t n = ring_pop(r, q.batch + q.len, BATCH - q.len);
        if (n == 0) return;
        q.len += n;
    }
}

static size_t waiting_bytes(void)
{
    size_t n = 0;
    for (int i = 0; i < OUT_CLASSES_; i++) n += q.rings[i].used;
    return n;
}

/* Room in the batch, where what has been written of it may make some. False: the line has to wait in a ring. */
static bool batch_has_room(size_t len)
{
    if (waiting_bytes()) return false;
    if (q.len + len > BATCH && q.sent >= BATCH / 2) {
        memmove(q.batch, q.batch + q.sent, q.len - q.sent);
        q.len -= q.sent;
        q.sent = 0;
    }
    return q.len + len <= BATCH;
}

static void progress(size_t n)
{
    q.taken += n;
    if (q.waiting && q.taken < PROGRESS) return;
    q.progress_ms = uv_now(q.loop);
    q.taken = 0;
}

static void wait_writable(bool wanted)
{
    if (!q.has_poll || wanted == q.waiting) return;
    q.waiting = wanted;
    q.taken = 0;
    if (wanted) q.progress_ms = uv_now(q.loop);
    struct epoll_event ev = {.events = wanted ? EPOLLOUT : 0};
    epoll_ctl(q.epoll, EPOLL_CTL_MOD, q.fd, &ev);
    if (wanted)
        uv_poll_start(&q.poll, UV_READABLE, on_writable);
    else
        uv_poll_stop(&q.poll);
}

static void report_loss(void)
{
    static const char *const KIND[] = {
        [OUT_ACCESS] = "access", [OUT_OTHER] = "other", [OUT_ERRORS] = "error"};
    uint64_t lost[OUT_CLASSES_] = {0}, all = 0;
    cleanup_buf buf_t list = BUF_INIT;
    for (unsigned tag = 0; tag < RING_TAGS; tag++)
        for (int i = 0; i < OUT_CLASSES_; i++) {
            uint64_t n = ring_take_dropped(&q.rings[i], tag);
            if (n)
                buf_printf(&list, "%s%llu %s lines of %s", all ? ", " : "", (unsigned long long)n, KIND[i],
                           q.sources[tag]);
            lost[i] += n;
            all += n;
        }
    if (all == 0) return;
    q.dropped += all;
    const logfmt_metric_t metrics[] = {{"LogLinesLost", (double)all, "Count"},
                                       {"LogAccessLinesLost", (double)lost[OUT_ACCESS], "Count"},
                                       {"LogErrorLinesLost", (double)lost[OUT_ERRORS], "Count"}};
    logfmt_own(LOG_WARN_, ERR_NONE, "log.lost", "the reader of standard output was slow, dropped: %s",
               buf_cstr(&list));
    logfmt_metrics(metrics, sizeof metrics / sizeof *metrics);
}

/* Nobody reads any more: services go on. */
static void give_up_batch(void)
{
    for (const char *p = q.batch + q.sent; (p = memchr(p, '\n', (size_t)(q.batch + q.len - p))); p++)
        q.dropped++;
    q.sent = q.len;
}

static void flush(void)
{
    if (q.len > BUSY) await_quiet();
    for (;;) {
        while (q.sent < q.len) {
            ssize_t n = write_some(q.batch + q.sent, q.len - q.sent);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
                wait_writable(true);
                return;
            }
            if (n < 0) give_up_batch(); /* EPIPE */
            if (n > 0) {
                q.sent += (size_t)n;
                progress((size_t)n);
            }
        }
        q.len = q.sent = 0;
        if (waiting_bytes() == 0) break;
        refill();
    }
    wait_writable(false);
    report_loss();
}

void outq_flush(void)
{
    if (!q.held) flush();
}

void outq_hold(void) { q.held = true; }

void outq_release(void)
{
    q.held = false;
    if (!q.waiting) flush();
}

static void on_writable(uv_poll_t *handle, int status, int events)
{
    (void)handle;
    (void)events;
    if (status < 0) wait_writable(false);
    outq_flush();
}

static unsigned tag_of(const char *src)
{
    unsigned i = 0;
    while (i < RING_TAGS - 1 && q.sources[i][0] && strcmp(q.sources[i], src) != 0) i++;
    if (!q.sources[i][0])
        snprintf(q.sources[i], sizeof q.sources[i], "%s", i == RING_TAGS - 1 ? "others" : src);
    return i;
}

void outq_line(out_class_t cls, const char *src, const char *bytes, size_t len)
{
    if (q.divert) {
        buf_add(q.divert, bytes, len);
        return;
    }
    if (q.fd < 0) return;
    if (!q.batch && !(q.batch = malloc(BATCH))) {
        q.dropped++;
        return;
    }
    q.seq++;
    if (!q.waiting && q.len + len > GATHERED) flush();
    if (batch_has_room(len)) {
        memcpy(q.batch + q.len, bytes, len);
        q.len += len;
        return;
    }
    ring_push(&q.rings[cls], q.seq, tag_of(src), bytes, len);
}

void outq_divert(buf_t *to) { q.divert = to; }

void outq_set_idle(outq_idle_fn *fn) { q.on_idle = fn; }

void outq_set_relief(outq_relief_fn *fn) { q.on_relief = fn; }

static void on_relief(uv_timer_t *timer)
{
    (void)timer;
    if (q.on_relief) q.on_relief();
}

bool outq_is_crowded(void)
{
    if (q.fd < 0 || !q.waiting || q.len - q.sent + waiting_bytes() < CROWDED) return false;
    if (uv_now(q.loop) - q.progress_ms > READER_DEAD_MS) return false;
    uv_timer_start(&q.relief, on_relief, RELIEF_MS, 0);
    return true;
}

bool outq_is_stalled(void) { return q.waiting; }

uint64_t outq_dropped(void)
{
    uint64_t n = q.dropped;
    for (int i = 0; i < OUT_CLASSES_; i++)
        for (unsigned tag = 0; tag < RING_TAGS; tag++) n += q.rings[i].dropped[tag];
    return n;
}

void outq_close(uint64_t ms)
{
    uint64_t until = clock_ms() + ms;
    outq_flush();
    while (q.waiting && clock_ms() < until) {
        uint64_t left = until - clock_ms();
        struct pollfd p = {.fd = q.fd, .events = POLLOUT};
        if (poll(&p, 1, (int)(left < LAST_TRY_MS ? left : LAST_TRY_MS) + 1) <= 0) break;
        outq_flush();
    }
    wait_writable(false);
    if (q.has_poll && !uv_is_closing((uv_handle_t *)&q.poll)) uv_close((uv_handle_t *)&q.poll, NULL);
    q.has_poll = false;
    if (q.fd >= 0 && !uv_is_closing((uv_handle_t *)&q.relief)) {
        uv_close((uv_handle_t *)&q.relief, NULL);
        uv_close((uv_handle_t *)&q.quiet, NULL);
    }
    if (q.epoll >= 0) close(q.epoll);
    q.epoll = -1;
    for (int i = 0; i < OUT_CLASSES_; i++) ring_free(&q.rings[i]);
    free(q.batch);
    q.batch = NULL;
    q.len = q.sent = 0;
    q.fd = -1;
}
