#include "base/redact.h"
#include "base/redact_forms.h"
#include "base/secret.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A window of four bytes is looked up at every stride-th place of the text. Each form is in the table with its windows at the
 * first `stride` offsets, so wherever it stands in a text, one of its windows stands at a place that is looked at. */
enum {
    WINDOW = 4,
    STRIDE_MAX = 8,
    HASH_BITS = 13,
    VALUES_MAX = 128,
    FORMS_MAX = 4096,
};

typedef struct {
    secret_t *bytes;
    uint64_t seen_ms;
} value_t;

typedef struct {
    uint32_t window;
    uint16_t next; /* 0: none, else index + 1 */
    uint16_t form, offset;
} entry_t;
static_assert(FORMS_MAX * STRIDE_MAX < UINT16_MAX, "entries are counted in 16 bits");

static struct {
    value_t values[VALUES_MAX];
    size_t value_count;
    secret_t **forms;
    size_t form_count, form_cap;
    entry_t *entries;
    size_t stride;
    uint16_t heads[1 << HASH_BITS];
} r;

static uint32_t load(const char *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static uint32_t hash(uint32_t window) { return window * 2654435761U >> (32 - HASH_BITS); }

/* ---- the table ---- */

static void add_form(void *arg, const char *bytes, size_t len)
{
    bool *failed = arg;
    for (size_t i = 0; i < r.form_count; i++)
        if (secret_len(r.forms[i]) == len && memcmp(secret_bytes(r.forms[i]), bytes, len) == 0) return;
    if (r.form_count == r.form_cap) {
        size_t cap = r.form_cap ? 2 * r.form_cap : 64;
        secret_t **more = cap <= FORMS_MAX ? realloc(r.forms, cap * sizeof(secret_t *)) : NULL;
        if (!more) {
            *failed = true;
            return;
        }
        r.forms = more;
        r.form_cap = cap;
    }
    secret_t *copy = secret_new(bytes, len);
    if (!copy) *failed = true;
    if (copy) r.forms[r.form_count++] = copy;
}

static void drop_forms(void)
{
    for (size_t i = 0; i < r.form_count; i++) secret_free(&r.forms[i]);
    if (r.entries) secret_wipe(r.entries, r.form_count * r.stride * sizeof *r.entries);
    free(r.entries);
    r.entries = NULL;
    r.form_count = 0;
    r.stride = 0;
    memset(r.heads, 0, sizeof r.heads);
}

static size_t shortest_form(void)
{
    size_t least = STRIDE_MAX + WINDOW - 1;
    for (size_t i = 0; i < r.form_count; i++)
        if (secret_len(r.forms[i]) < least) least = secret_len(r.forms[i]);
    return least;
}

static bool rebuild(void)
{
    bool failed = false;
    drop_forms();
    for (size_t i = 0; i < r.value_count; i++)
        redact_forms_each(secret_bytes(r.values[i].bytes), secret_len(r.values[i].bytes), add_form, &failed);
    if (r.form_count == 0) return !failed;
    size_t stride = shortest_form() - WINDOW + 1;
    r.entries = calloc(r.form_count * stride, sizeof *r.entries);
    if (!r.entries) return false;
    r.stride = stride;
    for (size_t f = 0; f < r.form_count; f++)
        for (size_t o = 0; o < stride; o++) {
            size_t at = f * stride + o;
            uint32_t w = load(secret_bytes(r.forms[f]) + o);
            r.entries[at] = (entry_t){w, r.heads[hash(w)], (uint16_t)f, (uint16_t)o};
            r.heads[hash(w)] = (uint16_t)(at + 1);
        }
    return !failed;
}

/* The one seen longest ago makes room. */
static value_t *free_value(void)
{
    if (r.value_count < VALUES_MAX) return &r.values[r.value_count++];
    value_t *oldest = r.values;
    for (size_t i = 1; i < VALUES_MAX; i++)
        if (r.values[i].seen_ms < oldest->seen_ms) oldest = &r.values[i];
    secret_free(&oldest->bytes);
    return oldest;
}

bool redact_add(const char *bytes, size_t len, uint64_t now_ms)
{
    if (len < REDACT_LEAST) return false;
    for (size_t i = 0; i < r.value_count; i++) {
        value_t *v = &r.values[i];
        if (secret_len(v->bytes) != len || memcmp(secret_bytes(v->bytes), bytes, len) != 0) continue;
        if (now_ms > v->seen_ms) v->seen_ms = now_ms;
        return true;
    }
    secret_t *copy = secret_new(bytes, len);
    if (!copy) return false;
    *free_value() = (value_t){.bytes = copy, .seen_ms = now_ms};
    return rebuild();
}

void redact_forget(uint64_t before_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < r.value_count; i++) {
        if (r.values[i].seen_ms < before_ms)
            secret_free(&r.values[i].bytes);
        else
            r.values[kept++] = r.values[i];
    }
    bool changed = kept != r.value_count;
    r.value_count = kept;
    if (changed) rebuild();
    if (kept) return;
    free(r.forms);
    r.forms = NULL;
    r.form_cap = 0;
}

/* ---- the search ---- */

typedef struct {
    size_t from, to; /* what must not be shown: [from, to) */
} span_t;

/* The next span at or behind `*at`; spans that touch are one. False: there is none. */
static bool next_span(const char *bytes, size_t len, size_t *at, span_t *ret)
{
    size_t begin = *at, i = begin + r.stride - 1;
    bool found = false;
    for (; i + WINDOW <= len && !(found && i >= ret->to + r.stride); i += r.stride) {
        uint32_t w = load(bytes + i);
        for (unsigned e = r.heads[hash(w)]; e; e = r.entries[e - 1].next) {
            const entry_t *entry = &r.entries[e - 1];
            const secret_t *form = r.forms[entry->form];
            if (entry->window != w || i - begin < entry->offset) continue;
            size_t start = i - entry->offset, n = secret_len(form);
            if (n > len - start || memcmp(bytes + start, secret_bytes(form), n) != 0) continue;
            if (!found || start < ret->from) ret->from = start;
            if (!found || start + n > ret->to) ret->to = start + n;
            found = true;
        }
    }
    if (found) *at = ret->to;
    return found;
}

bool redact_find(const char *bytes, size_t len)
{
    size_t at = 0;
    span_t span;
    return r.stride > 0 && next_span(bytes, len, &at, &span);
}

bool redact_copy(const char *bytes, size_t len, buf_t *ret)
{
    size_t at = 0, shown = 0;
    span_t span;
    if (r.stride == 0) return false;
    while (next_span(bytes, len, &at, &span)) {
        if (shown == 0) buf_clear(ret);
        buf_add(ret, bytes + shown, span.from - shown);
        buf_str(ret, REDACT_MARK);
        shown = span.to;
    }
    if (shown == 0) return false;
    buf_add(ret, bytes + shown, len - shown);
    if (ret->failed) { /* better no line than a secret */
        buf_free(ret);
        buf_str(ret, REDACT_MARK);
    }
    return true;
}

void redact_text(char *text, size_t size)
{
    buf_t b = BUF_INIT;
    size_t len = strnlen(text, size);
    if (r.stride == 0 || size == 0) return;
    if (len + 1 >= size) { /* cut by whoever wrote it, perhaps within a value */
        len = redact_cut(text, len);
        text[len] = '\0';
    }
    if (redact_copy(text, len, &b)) {
        size_t n = b.len < size ? b.len : size - 1;
        memcpy(text, buf_cstr(&b), n);
        text[n] = '\0';
    }
    buf_free(&b);
}

size_t redact_cut(const char *bytes, size_t len)
{
    size_t most = 0;
    for (size_t f = 0; f < r.form_count; f++) {
        const secret_t *form = r.forms[f];
        size_t n = secret_len(form) - 1;
        for (n = n < len ? n : len; n > most; n--)
            if (memcmp(bytes + len - n, secret_bytes(form), n) == 0) most = n;
    }
    return len - most;
}
