#include "supervisor/lineio.h"
#include <stdlib.h>
#include <string.h>

static void give(lineio_t *l, const char *bytes, size_t len, bool last, lineio_fn *fn, void *arg)
{
    if (last && len > 0 && bytes[len - 1] == '\r') len--;
    if (last && l->part == 0) {
        fn(arg, bytes, len, 0, true);
    } else {
        fn(arg, bytes, len, ++l->part, last);
    }
    if (last) l->part = 0;
}

/* Gives out whole LINE_MAX_ pieces while the unfinished bytes do not fit; returns how many bytes were used up. */
static size_t give_parts(lineio_t *l, const char *bytes, size_t len, lineio_fn *fn, void *arg)
{
    size_t used = 0;
    while (l->held_len + (len - used) > LINE_MAX_) {
        size_t take = LINE_MAX_ - l->held_len;
        if (l->held_len) {
            memcpy(l->held + l->held_len, bytes + used, take);
            give(l, l->held, LINE_MAX_, false, fn, arg);
            l->held_len = 0;
        } else {
            give(l, bytes + used, take, false, fn, arg);
        }
        used += take;
    }
    return used;
}

static void hold(lineio_t *l, const char *bytes, size_t len)
{
    if (len == 0) return;
    if (!l->held && !(l->held = malloc(LINE_MAX_)))
        return; /* out of memory: this piece is lost, the service is not */
    memcpy(l->held + l->held_len, bytes, len);
    l->held_len += len;
}

static void finish_line(lineio_t *l, const char *bytes, size_t len, lineio_fn *fn, void *arg)
{
    size_t used = give_parts(l, bytes, len, fn, arg);
    if (l->held_len == 0) {
        give(l, bytes + used, len - used, true, fn, arg);
        return;
    }
    memcpy(l->held + l->held_len, bytes + used, len - used);
    give(l, l->held, l->held_len + len - used, true, fn, arg);
    l->held_len = 0;
}

void lineio_feed(lineio_t *l, const char *bytes, size_t len, lineio_fn *fn, void *arg)
{
    size_t at = 0;
    while (at < len) {
        const char *nl = memchr(bytes + at, '\n', len - at);
        if (!nl) {
            at += give_parts(l, bytes + at, len - at, fn, arg);
            hold(l, bytes + at, len - at);
            return;
        }
        size_t n = (size_t)(nl - (bytes + at));
        finish_line(l, bytes + at, n, fn, arg);
        at += n + 1;
    }
    if (l->held && l->held_len == 0) lineio_free(l);
}

void lineio_end(lineio_t *l, lineio_fn *fn, void *arg)
{
    if (l->held_len || l->part) give(l, l->held ? l->held : "", l->held_len, true, fn, arg);
    lineio_free(l);
}

void lineio_free(lineio_t *l)
{
    free(l->held);
    *l = (lineio_t){0};
}
