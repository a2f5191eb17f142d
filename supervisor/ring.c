#include "supervisor/ring.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t seq;
    uint32_t len, tag;
} record_t;
enum { RECORD_SIZE = sizeof(record_t), FIRST_CAP = 64 * 1024 };

void ring_init(ring_t *r, size_t limit) { *r = (ring_t){.limit = limit}; }

static void copy_in(ring_t *r, size_t offset, const void *from, size_t len)
{
    if (r->cap == 0) return;
    size_t at = (r->head + offset) % r->cap, first = r->cap - at < len ? r->cap - at : len;
    memcpy(r->data + at, from, first);
    if (len > first) memcpy(r->data, (const char *)from + first, len - first);
}

static void copy_out(const ring_t *r, size_t offset, void *to, size_t len)
{
    if (r->cap == 0) return;
    size_t at = (r->head + offset) % r->cap, first = r->cap - at < len ? r->cap - at : len;
    memcpy(to, r->data + at, first);
    if (len > first) memcpy((char *)to + first, r->data, len - first);
}

static record_t oldest(const ring_t *r)
{
    record_t rec = {0};
    copy_out(r, 0, &rec, sizeof rec);
    return rec;
}

static void forget_oldest(ring_t *r)
{
    size_t size = RECORD_SIZE + oldest(r).len;
    r->head = (r->head + size) % r->cap;
    r->used -= size;
}

static bool grow(ring_t *r, size_t need)
{
    size_t cap = r->cap ? r->cap : FIRST_CAP;
    while (cap < need && cap < r->limit) cap *= 2;
    if (cap > r->limit) cap = r->limit;
    if (cap < need || cap <= r->cap) return false;
    char *data = malloc(cap);
    if (!data) return false;
    if (r->used) copy_out(r, 0, data, r->used);
    free(r->data);
    r->data = data;
    r->cap = cap;
    r->head = 0;
    return true;
}

void ring_push(ring_t *r, uint64_t seq, unsigned tag, const char *bytes, size_t len)
{
    const record_t rec = {seq, (uint32_t)len, tag};
    size_t need = RECORD_SIZE + len;
    if (r->used + need > r->cap) grow(r, r->used + need);
    while (r->used && r->used + need > r->cap) {
        r->dropped[oldest(r).tag]++;
        forget_oldest(r);
    }
    if (need > r->cap) {
        r->dropped[tag]++;
        return;
    }
    copy_in(r, r->used, &rec, sizeof rec);
    copy_in(r, r->used + RECORD_SIZE, bytes, len);
    r->used += need;
}

bool ring_is_empty(const ring_t *r) { return r->used == 0; }
uint64_t ring_next_seq(const ring_t *r) { return r->used ? oldest(r).seq : UINT64_MAX; }

size_t ring_pop(ring_t *r, char *to, size_t room)
{
    if (!r->used) return 0;
    size_t len = oldest(r).len;
    if (len > room) return 0;
    copy_out(r, RECORD_SIZE, to, len);
    forget_oldest(r);
    if (r->used == 0) {
        free(r->data);
        r->data = NULL;
        r->cap = r->head = 0;
    }
    return len;
}

uint64_t ring_take_dropped(ring_t *r, unsigned tag)
{
    uint64_t n = r->dropped[tag];
    r->dropped[tag] = 0;
    return n;
}

void ring_free(ring_t *r)
{
    free(r->data);
    *r = (ring_t){.limit = r->limit};
}
