#include "bootstrap/quote.h"
#include <string.h>

static void add_escaped(buf_t *out, const char *bytes, size_t len, const char *escape)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] && strchr(escape, bytes[i])) buf_add(out, "\\", 1);
        buf_add(out, bytes + i, 1);
    }
}

void quote_php(buf_t *out, const char *bytes, size_t len)
{
    buf_add(out, "'", 1);
    add_escaped(out, bytes, len, "\\'");
    buf_add(out, "'", 1);
}

/* Single quotes are raw in PHP's INI scanner but cannot hold one; double quotes cannot hold ${ or a quote before a line end.
 * Pieces of both kinds side by side are one value, as long as none is empty (Zend/zend_ini_scanner.l, zend_ini_parser.y). */
void quote_ini(buf_t *out, const char *bytes, size_t len)
{
    if (len == 0) buf_str(out, "\"\"");
    for (size_t i = 0; i < len;) {
        char q = bytes[i] == '\'' ? '"' : '\'';
        size_t n = 1;
        while (i + n < len && (bytes[i + n] == '\'') == (q == '"')) n++;
        buf_add(out, &q, 1);
        buf_add(out, bytes + i, n);
        buf_add(out, &q, 1);
        i += n;
    }
}

int quote_nginx(buf_t *out, const char *bytes, size_t len, err_t *err)
{
    if (memchr(bytes, '$', len)) return err_set(err, ERR_SET_INVALID, "nginx cannot be given a value with $");
    buf_add(out, "\"", 1);
    add_escaped(out, bytes, len, "\\\"");
    buf_add(out, "\"", 1);
    return 0;
}

void quote_html(buf_t *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (strchr("<>&\"'", c) && c)
            buf_printf(out, "&#%d;", c);
        else
            buf_add(out, bytes + i, 1);
    }
}
