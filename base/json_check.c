#include "base/json_check.h"
#include "base/buf.h"
#include <string.h>

enum { DEPTH_MAX = 64, NUMBER_MAX = 18, EXPONENT_MAX = 2 };

typedef struct {
    const char *p, *end;
    unsigned depth;
} cursor_t;

static bool value(cursor_t *c);

static bool take(cursor_t *c, char wanted)
{
    if (c->p == c->end || *c->p != wanted) return false;
    c->p++;
    return true;
}

static void blanks(cursor_t *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r' || *c->p == '\n')) c->p++;
}

static size_t digits(cursor_t *c)
{
    const char *from = c->p;
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') c->p++;
    return (size_t)(c->p - from);
}

static bool number(cursor_t *c)
{
    const char *from = c->p;
    take(c, '-');
    if (!take(c, '0') && !digits(c)) return false;
    if (take(c, '.') && !digits(c)) return false;
    if ((size_t)(c->p - from) > NUMBER_MAX) return false;
    if (!take(c, 'e') && !take(c, 'E')) return true;
    if (!take(c, '-')) take(c, '+');
    size_t n = digits(c);
    return n > 0 && n <= EXPONENT_MAX;
}

static bool hex4(cursor_t *c, unsigned *ret)
{
    static const char DIGITS[] = "0123456789abcdef";
    *ret = 0;
    if (c->end - c->p < 4) return false;
    for (int i = 0; i < 4; i++, c->p++) {
        char lower = *c->p >= 'A' && *c->p <= 'F' ? (char)(*c->p + 32) : *c->p;
        const char *at = lower ? strchr(DIGITS, lower) : NULL;
        if (!at) return false;
        *ret = *ret << 4 | (unsigned)(at - DIGITS);
    }
    return true;
}

static bool escape(cursor_t *c)
{
    unsigned high, low;
    if (c->p == c->end) return false;
    char kind = *c->p++;
    if (kind != 'u') return kind && strchr("\"\\/bfnrt", kind);
    if (!hex4(c, &high) || high == 0 || (high >= 0xDC00 && high <= 0xDFFF)) return false;
    if (high < 0xD800 || high > 0xDBFF) return true;
    return take(c, '\\') && take(c, 'u') && hex4(c, &low) && low >= 0xDC00 && low <= 0xDFFF;
}

static bool string(cursor_t *c)
{
    if (!take(c, '"')) return false;
    for (;;) {
        c->p += buf_json_plain(c->p, (size_t)(c->end - c->p));
        if (c->p == c->end) return false;
        if (take(c, '"')) return true;
        if (take(c, '\\')) {
            if (!escape(c)) return false;
        } else if (!take(c, 0x7f)) {
            return false;
        }
    }
}

static bool word(cursor_t *c, const char *wanted)
{
    size_t n = strlen(wanted);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, wanted, n) != 0) return false;
    c->p += n;
    return true;
}

/* What stands between brackets; `close` ends it. */
static bool members(cursor_t *c, char close)
{
    bool keys = close == '}';
    c->p++;
    if (++c->depth > DEPTH_MAX) return false;
    blanks(c);
    if (!take(c, close)) {
        do {
            blanks(c);
            if (keys) {
                if (!string(c)) return false;
                blanks(c);
                if (!take(c, ':')) return false;
                blanks(c);
            }
            if (!value(c)) return false;
            blanks(c);
        } while (take(c, ','));
        if (!take(c, close)) return false;
    }
    c->depth--;
    return true;
}

static bool value(cursor_t *c) /* NOLINT(misc-no-recursion): DEPTH_MAX */
{
    if (c->p == c->end) return false;
    switch (*c->p) {
    case '{':
        return members(c, '}');
    case '[':
        return members(c, ']');
    case '"':
        return string(c);
    case 't':
        return word(c, "true");
    case 'f':
        return word(c, "false");
    case 'n':
        return word(c, "null");
    default:
        return number(c);
    }
}

bool json_check_object(const char *bytes, size_t len)
{
    cursor_t c = {bytes, bytes + len, 0};
    return len >= 2 && bytes[0] == '{' && bytes[len - 1] == '}' && value(&c) && c.p == c.end;
}
