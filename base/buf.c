#include "base/buf.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `more` bytes and a NUL. realloc is not used: it may leave a copy of a secret behind. */
static bool reserve(buf_t *b, size_t more)
{
    if (b->failed) return false;
    if (b->len + more + 1 <= b->cap) return true;
    size_t cap = b->cap ? b->cap : 128;
    while (cap < b->len + more + 1) cap *= 2;
    char *data = malloc(cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    if (b->data) {
        memcpy(data, b->data, b->len);
        explicit_bzero(b->data, b->cap);
        free(b->data);
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_add(buf_t *b, const void *bytes, size_t len)
{
    if (!reserve(b, len)) return;
    if (len) memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_str(buf_t *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_vprintf(buf_t *b, const char *fmt, va_list ap)
{
    va_list copy;
    va_copy(copy, ap);
    int n = vsnprintf(NULL, 0, fmt, copy);
    va_end(copy);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if (!reserve(b, (size_t)n)) return;
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
}

void buf_printf(buf_t *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_clear(buf_t *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data) b->data[0] = '\0';
}

void buf_free(buf_t *b)
{
    if (b->data) explicit_bzero(b->data, b->cap);
    free(b->data);
    *b = BUF_INIT;
}

const char *buf_cstr(const buf_t *b) { return b->data ? b->data : ""; }

/* Length of the valid UTF-8 sequence at s (RFC 3629: no surrogates, no overlong forms), 0 when there is none. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
    if (s[0] >= 0xC2 && s[0] <= 0xDF) return left >= 2 && (s[1] & 0xC0) == 0x80 ? 2 : 0;
    if ((s[0] & 0xF0) == 0xE0) {
        if (left < 3 || (s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80) return 0;
        if (s[0] == 0xE0 && s[1] < 0xA0) return 0;
        if (s[0] == 0xED && s[1] > 0x9F) return 0;
        return 3;
    }
    if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        if (left < 4 || (s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80 || (s[3] & 0xC0) != 0x80) return 0;
        if (s[0] == 0xF0 && s[1] < 0x90) return 0;
        if (s[0] == 0xF4 && s[1] > 0x8F) return 0;
        return 4;
    }
    return 0;
}

static void json_escape_byte(buf_t *b, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add(b, "\\\"", 2);
        return;
    case '\\':
        buf_add(b, "\\\\", 2);
        return;
    case '\n':
        buf_add(b, "\\n", 2);
        return;
    case '\r':
        buf_add(b, "\\r", 2);
        return;
    case '\t':
        buf_add(b, "\\t", 2);
        return;
    default:
        break;
    }
    if (c < 0x80)
        buf_printf(b, "\\u%04x", c);
    else
        buf_printf(b, "\\\\x%02x", c);
}

static inline bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

/* Length of the start of s in which every byte is plain, to whole words of eight: the bit trick of "Bit Twiddling Hacks"
 * (Anderson), "determine if a word has a byte less than n" and "equal to n". A byte behind a hit may be called one, too, which costs
 * nothing but time. */
static size_t plain_words(const unsigned char *s, size_t len)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t w;
        memcpy(&w, s + i, 8);
        uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
        uint64_t hit = (w - ones * 0x20) | (w + ones) | (quote - ones) | (slash - ones) | w; /* w + 1: 0x7f */
        if (hit & tops) break;
    }
    return i;
}

size_t buf_json_plain(const char *bytes, size_t len)
{
    const unsigned char *s = (const unsigned char *)bytes;
    for (size_t i = 0;;) {
        i += plain_words(s + i, len - i);
        while (i < len && is_plain(s[i])) i++;
        size_t n = i < len && s[i] >= 0x80 ? utf8_len(s + i, len - i) : 0;
        if (n == 0) return i;
        i += n;
    }
}

void buf_json(buf_t *b, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = buf_json_plain(bytes + i, len - i);
        if (n) buf_add(b, bytes + i, n);
        i += n;
        if (i < len) json_escape_byte(b, (unsigned char)bytes[i++]);
    }
}
