#include "tests/model/space.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct space {
    const space_model_t *m;
    uint64_t *words; /* count * m->words */
    uint32_t *parent;
    size_t count, room, limit;
    uint32_t *slots; /* index + 1; 0: empty */
    size_t mask;
    uint32_t now;    /* the state whose successors are being looked at */
    uint32_t *edges; /* pairs from, to; liveness only */
    size_t edge_count, edge_room;
    /* for traces */
    space_state_t want, found;
    space_step_t found_step;
    bool is_found;
};

static void *grow(void *p, size_t n, size_t size)
{
    void *q = realloc(p, n * size);
    if (!q) {
        fprintf(stderr, "model: out of memory\n");
        abort();
    }
    return q;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    return x ^ x >> 32;
}

static uint64_t hash(const uint64_t *w, int n)
{
    uint64_t h = 0;
    for (int i = 0; i < n; i++) h = mix(h ^ w[i]) + 0x9e3779b97f4a7c15ULL;
    return h;
}

static void rehash(space_t *s)
{
    size_t size = (s->mask + 1) * 2;
    free(s->slots);
    s->slots = calloc(size, sizeof *s->slots);
    if (!s->slots) abort();
    s->mask = size - 1;
    for (size_t i = 0; i < s->count; i++) {
        size_t at = hash(s->words + i * (size_t)s->m->words, s->m->words) & s->mask;
        while (s->slots[at]) at = (at + 1) & s->mask;
        s->slots[at] = (uint32_t)i + 1;
    }
}

/* The index of a canonical state, new or known. */
static uint32_t intern(space_t *s, const space_state_t *c)
{
    int n = s->m->words;
    size_t bytes = (size_t)n * sizeof(uint64_t), at = hash(c->w, n) & s->mask;
    for (; s->slots[at]; at = (at + 1) & s->mask)
        if (memcmp(s->words + (size_t)(s->slots[at] - 1) * (size_t)n, c->w, bytes) == 0)
            return s->slots[at] - 1;
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 1024;
        s->words = grow(s->words, s->room, bytes);
        s->parent = grow(s->parent, s->room, sizeof *s->parent);
    }
    memcpy(s->words + s->count * (size_t)n, c->w, bytes);
    s->parent[s->count] = s->now;
    s->slots[at] = (uint32_t)++s->count;
    if (s->count * 3 > (s->mask + 1) * 2) rehash(s);
    return (uint32_t)(s->count - 1);
}

static void state_get(const space_t *s, uint32_t i, space_state_t *ret)
{
    *ret = (space_state_t){0};
    memcpy(ret->w, s->words + (size_t)i * (size_t)s->m->words, (size_t)s->m->words * sizeof(uint64_t));
}

static void edge_add(space_t *s, uint32_t from, uint32_t to)
{
    if (s->edge_count == s->edge_room) {
        s->edge_room = s->edge_room ? s->edge_room * 2 : 4096;
        s->edges = grow(s->edges, s->edge_room, 2 * sizeof *s->edges);
    }
    s->edges[2 * s->edge_count] = from;
    s->edges[2 * s->edge_count++ + 1] = to;
}

static void reached(space_t *s, const space_state_t *next, space_step_t step)
{
    space_state_t c = *next;
    s->m->canon(s->m->self, &c);
    uint32_t to = intern(s, &c);
    if (s->m->goal && !step.luck && to != s->now) edge_add(s, s->now, to);
}

/* ---- liveness: backwards from the goals ---- */

static void spread(const space_t *s, const uint32_t *begin, const uint32_t *from, bool *good)
{
    uint32_t *todo = grow(NULL, s->count, sizeof *todo);
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        if (good[i]) todo[n++] = (uint32_t)i;
    while (n > 0) {
        uint32_t to = todo[--n];
        for (uint32_t e = begin[to]; e < begin[to + 1]; e++)
            if (!good[from[e]]) {
                good[from[e]] = true;
                todo[n++] = from[e];
            }
    }
    free(todo);
}

static void live_check(space_t *s, space_result_t *ret)
{
    bool *good = calloc(s->count, sizeof *good);
    uint32_t *begin = calloc(s->count + 2, sizeof *begin),
             *from = grow(NULL, s->edge_count + 1, sizeof *from);
    if (!good || !begin) abort();
    for (size_t e = 0; e < s->edge_count; e++) begin[s->edges[2 * e + 1] + 2]++;
    for (size_t i = 2; i < s->count + 2; i++) begin[i] += begin[i - 1];
    for (size_t e = 0; e < s->edge_count; e++) from[begin[s->edges[2 * e + 1] + 1]++] = s->edges[2 * e];
    space_state_t st;
    for (uint32_t i = 0; i < s->count; i++) {
        state_get(s, i, &st);
        good[i] = s->m->goal(s->m->self, &st);
    }
    spread(s, begin, from, good);
    for (uint32_t i = 0; i < s->count; i++) {
        state_get(s, i, &st);
        if (good[i] || !s->m->healthy(s->m->self, &st)) continue;
        if (ret->stuck++ == 0) ret->witness = i;
    }
    ret->live = ret->stuck ? SPACE_VIOLATED : SPACE_HOLDS;
    free(good);
    free(begin);
    free(from);
}

/* ---- exploring ---- */

space_t *space_explore(const space_model_t *m, size_t limit, space_result_t *ret)
{
    space_t *s = grow(NULL, 1, sizeof *s);
    space_state_t st = {0};
    *s = (space_t){.m = m, .limit = limit, .mask = 1023};
    s->slots = calloc(s->mask + 1, sizeof *s->slots);
    if (!s->slots) abort();
    *ret = (space_result_t){.verdict = SPACE_HOLDS, .live = SPACE_UNDECIDED};
    m->first(m->self, &st);
    m->canon(m->self, &st);
    intern(s, &st);
    size_t looked = 0;
    for (; s->now < s->count && ret->verdict == SPACE_HOLDS; s->now++) {
        state_get(s, s->now, &st);
        m->next(m->self, &st, reached, s);
        for (; looked < s->count; looked++) {
            state_get(s, (uint32_t)looked, &st);
            if (!m->bad(m->self, &st)) continue;
            ret->verdict = SPACE_VIOLATED;
            ret->witness = (uint32_t)looked;
            break;
        }
        if (s->count > limit && ret->verdict == SPACE_HOLDS) ret->verdict = SPACE_UNDECIDED;
    }
    ret->states = s->count;
    if (m->goal && ret->verdict == SPACE_HOLDS) live_check(s, ret);
    return s;
}

/* ---- traces ---- */

static void compare(space_t *s, const space_state_t *next, space_step_t step)
{
    space_state_t c = *next;
    if (s->is_found) return;
    s->m->canon(s->m->self, &c);
    if (memcmp(c.w, s->want.w, sizeof c.w) != 0) return;
    s->found = *next;
    s->found_step = step;
    s->is_found = true;
}

void space_trace(space_t *s, uint32_t to,
                 void (*show)(const void *self, const space_state_t *after, space_step_t step))
{
    size_t n = 0;
    for (uint32_t i = to; i != 0; i = s->parent[i]) n++;
    uint32_t *way = grow(NULL, n + 1, sizeof *way);
    for (uint32_t i = to, k = (uint32_t)n; i != 0; i = s->parent[i]) way[--k] = i;
    space_state_t st = {0};
    s->m->first(s->m->self, &st);
    for (size_t k = 0; k < n; k++) {
        state_get(s, way[k], &s->want);
        s->is_found = false;
        s->m->next(s->m->self, &st, compare, s);
        if (!s->is_found) abort(); /* canon() joined states that behave differently: a bug of the model */
        st = s->found;
        show(s->m->self, &st, s->found_step);
    }
    free(way);
}

void space_free(space_t *s)
{
    free(s->words);
    free(s->parent);
    free(s->slots);
    free(s->edges);
    free(s);
}
