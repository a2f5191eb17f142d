#include "bootstrap/render.h"
#include "base/fd.h"
#include "bootstrap/quote.h"
#include <string.h>

typedef enum { LANG_PHP, LANG_NGINX, LANG_INI, LANG_HTML, LANG_COUNT_ } lang_t;
static const char *const LANG_NAMES[LANG_COUNT_] = {"php", "nginx", "ini", "html"};
enum { CONDITIONS = 4 };

typedef struct {
    const char *file;
    lang_t lang;
    int line;
    const render_value_t *values;
    const render_value_t *each; /* inside {{@name}}: its value is `item` */
    const char *item;
    size_t item_len;
    buf_t *out;
    err_t *err;
} render_t;

static int broken(const render_t *r, const char *why, const char *name, size_t len)
{
    return err_set(r->err, ERR_TEMPLATE, "%s line %d: %s%s%.*s%s", r->file, r->line, why, len ? " \"" : "",
                   (int)(len < 64 ? len : 64), name, len ? "\"" : "");
}

static const render_value_t *find_value(const render_t *r, const char *name, size_t len)
{
    for (const render_value_t *v = r->values; v->name; v++)
        if (strlen(v->name) == len && memcmp(v->name, name, len) == 0) return v;
    return NULL;
}

static bool is_set(const render_value_t *v)
{
    return v->type == RV_NUMBER || v->type == RV_FLAG ? v->number != 0 : v->text && *v->text;
}

static int add_text(const render_t *r, const char *bytes, size_t len)
{
    switch (r->lang) {
    case LANG_PHP:
        quote_php(r->out, bytes, len);
        return 0;
    case LANG_INI:
        quote_ini(r->out, bytes, len);
        return 0;
    case LANG_HTML:
        quote_html(r->out, bytes, len);
        return 0;
    default:
        return quote_nginx(r->out, bytes, len, r->err) < 0 ? err_wrap(r->err, "%s line %d", r->file, r->line)
                                                           : 0;
    }
}

static int add_value(const render_t *r, const render_value_t *v, const char *suffix, size_t suffix_len)
{
    cleanup_buf buf_t whole = BUF_INIT;
    if (v == r->each) return add_text(r, r->item, r->item_len);
    if (v->type == RV_NUMBER) {
        buf_printf(r->out, "%lld", (long long)v->number);
        return 0;
    }
    if (v->type != RV_TEXT) return broken(r, "flag or list used as text", v->name, strlen(v->name));
    if (v->text) buf_str(&whole, v->text);
    buf_add(&whole, suffix, suffix_len);
    if (whole.failed) return err_set(r->err, ERR_MEMORY, "rendering %s", r->file);
    return add_text(r, whole.data, whole.len);
}

/* Length of "{{...}}" at `text`, with its contents in *ret_in; 0: there is none. */
static size_t brace_at(const char *text, size_t len, const char **ret_in, size_t *ret_in_len)
{
    if (len < 4 || text[0] != '{' || text[1] != '{') return 0;
    for (size_t i = 2; i + 1 < len && text[i] != '\n'; i++)
        if (text[i] == '}' && text[i + 1] == '}') {
            *ret_in = text + 2;
            *ret_in_len = i - 2;
            return i + 2;
        }
    return 0;
}

static int render_words(const render_t *r, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const char *open = memmem(text + i, len - i, "{{", 2), *in = NULL;
        size_t plain = open ? (size_t)(open - text) - i : len - i, in_len = 0;
        buf_add(r->out, text + i, plain);
        i += plain;
        if (i == len) break;
        size_t n = brace_at(text + i, len - i, &in, &in_len);
        if (n == 0) return broken(r, "{{ without }}", "", 0);
        const char *colon = memchr(in, ':', in_len);
        size_t name_len = colon ? (size_t)(colon - in) : in_len;
        const render_value_t *v = find_value(r, in, name_len);
        if (!v) return broken(r, "unknown name", in, name_len);
        if (add_value(r, v, in + name_len + (colon ? 1 : 0), in_len - name_len - (colon ? 1 : 0)) < 0)
            return -1;
        i += n;
    }
    return 0;
}

static int render_items(render_t *r, const render_value_t *list, const char *text, size_t len)
{
    r->each = list;
    for (const char *p = list->text; p && *p;) {
        r->item = p;
        r->item_len = strcspn(p, ",");
        if (render_words(r, text, len) < 0) return -1;
        p += r->item_len;
        p += *p == ',';
    }
    r->each = NULL;
    return 0;
}

/* One line, its end included. */
static int render_line(render_t *r, const char *text, size_t len)
{
    const render_value_t *list = NULL;
    const char *in = NULL;
    size_t in_len = 0, n;
    while ((n = brace_at(text, len, &in, &in_len)) && in_len && strchr("?!@", in[0])) {
        const render_value_t *v = find_value(r, in + 1, in_len - 1);
        if (!v) return broken(r, "unknown name", in + 1, in_len - 1);
        if (in[0] == '@' && (v->type != RV_LIST || list)) return broken(r, "not a list", in + 1, in_len - 1);
        if (in[0] == '@') list = v;
        if (in[0] != '@' && is_set(v) != (in[0] == '?')) return 0;
        text += n;
        len -= n;
    }
    return list ? render_items(r, list, text, len) : render_words(r, text, len);
}

static int read_language(render_t *r, const char *text, size_t len)
{
    const char *in = NULL, *word = "language ";
    size_t in_len = 0, n = brace_at(text, len, &in, &in_len), skip = strlen(word);
    if (n && n + 1 == len && in_len > skip && memcmp(in, word, skip) == 0)
        for (int l = 0; l < LANG_COUNT_; l++)
            if (strlen(LANG_NAMES[l]) == in_len - skip &&
                memcmp(LANG_NAMES[l], in + skip, in_len - skip) == 0) {
                r->lang = (lang_t)l;
                return 0;
            }
    return broken(r, "the first line is not {{language php}} (or nginx, ini, html)", "", 0);
}

int render_template(const char *file, const char *text, size_t len, const render_value_t *values, buf_t *ret,
                    err_t *err)
{
    render_t r = {.file = file, .values = values, .out = ret, .err = err};
    for (size_t i = 0; i < len || r.line == 0;) {
        const char *nl = len > i ? memchr(text + i, '\n', len - i) : NULL;
        size_t n = nl ? (size_t)(nl - text) - i + 1 : len - i;
        r.line++;
        if ((r.line == 1 ? read_language(&r, text + i, n) : render_line(&r, text + i, n)) < 0) return -1;
        i += n;
    }
    return ret->failed ? err_set(err, ERR_MEMORY, "rendering %s", file) : 0;
}
