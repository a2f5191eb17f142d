#include "base/redact_forms.h"
#include <stdbool.h>
#include <string.h>

typedef struct {
    redact_form_fn *fn;
    void *arg;
} sink_t;

static void give(const sink_t *s, buf_t *form)
{
    if (!form->failed && form->len) s->fn(s->arg, form->data, form->len);
    buf_clear(form);
}

/* ---- JSON: json_encode of PHP escapes slashes and all but ASCII unless told otherwise, jansson and we do not ---- */

/* Code point at the head of valid UTF-8, and its length; the byte itself when it is not valid. */
static unsigned utf8_head(const unsigned char *p, size_t len, size_t *ret_len)
{
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;
    *ret_len = 1;
    if (n == 1 || n > len) return p[0];
    unsigned c = p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) c = c << 6 | (p[i] & 0x3fU);
    *ret_len = n;
    return c;
}

static void json_form(buf_t *b, const char *bytes, size_t len, bool escape_slash, bool ascii)
{
    static const char ESCAPED[] = "\"\\\b\f\n\r\t", LETTER[] = "\"\\bfnrt";
    for (size_t i = 0, n = 1; i < len; i += n) {
        unsigned c = utf8_head((const unsigned char *)bytes + i, len - i, &n);
        const char *at = c && c < 0x80 ? strchr(ESCAPED, (int)c) : NULL;
        if (at)
            buf_printf(b, "\\%c", LETTER[at - ESCAPED]);
        else if (c == '/' && escape_slash)
            buf_str(b, "\\/");
        else if (c >= 0x10000 && ascii)
            buf_printf(b, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
        else if (c < 0x20 || (c >= 0x80 && ascii))
            buf_printf(b, "\\u%04x", c);
        else
            buf_add(b, bytes + i, n);
    }
}

/* ---- URLs: encoders differ in what they leave as it is ---- */

static const struct {
    const char *kept;
    bool plus; /* a blank becomes + */
} URL[] = {
    {"-_.~", false},      /* RFC 3986; rawurlencode, curl_easy_escape */
    {"-_.", true},        /* urlencode of PHP, forms */
    {"-_.!~*'()", false}, /* encodeURIComponent */
    {"-_.~/", false},     /* quote of Python */
};

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void url_form(buf_t *b, const char *bytes, size_t len, size_t row, bool upper)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == ' ' && URL[row].plus)
            buf_str(b, "+");
        else if (is_alnum(bytes[i]) || (bytes[i] && strchr(URL[row].kept, bytes[i])))
            buf_add(b, bytes + i, 1);
        else
            buf_printf(b, upper ? "%%%02X" : "%%%02x", (unsigned char)bytes[i]);
    }
}

/* ---- base64: alone, or behind `before` other bytes in the same group ("user:password") ---- */

static void base64_form(buf_t *b, const char *bytes, size_t len, size_t before, bool for_url)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const size_t UNSURE[] = {0, 2, 3}; /* digits that depend on the bytes before */
    size_t whole = (before + len) * 8 / 6;    /* digits that do not depend on the bytes behind */
    for (size_t d = UNSURE[before]; d < whole; d++) {
        unsigned six = 0;
        for (size_t bit = d * 6; bit < d * 6 + 6; bit++) {
            unsigned char byte = (unsigned char)bytes[bit / 8 - before];
            six = six << 1 | (byte >> (7 - bit % 8) & 1U);
        }
        char c = DIGITS[six];
        if (for_url) c = c == '+' ? '-' : c == '/' ? '_' : c;
        buf_add(b, &c, 1);
    }
}

void redact_forms_each(const char *bytes, size_t len, redact_form_fn *fn, void *arg)
{
    const sink_t s = {fn, arg};
    buf_t b = BUF_INIT;
    buf_add(&b, bytes, len);
    give(&s, &b);
    for (int i = 0; i < 4; i++) {
        json_form(&b, bytes, len, i & 1, i & 2);
        give(&s, &b);
    }
    for (size_t row = 0; row < sizeof URL / sizeof *URL; row++)
        for (int upper = 0; upper < 2; upper++) {
            url_form(&b, bytes, len, row, upper);
            give(&s, &b);
        }
    for (size_t before = 0; before < 3; before++)
        for (int for_url = 0; for_url < 2; for_url++) {
            base64_form(&b, bytes, len, before, for_url);
            give(&s, &b);
        }
    for (int upper = 0; upper < 2; upper++) {
        for (size_t i = 0; i < len; i++) buf_printf(&b, upper ? "%02X" : "%02x", (unsigned char)bytes[i]);
        give(&s, &b);
    }
    buf_free(&b);
}
