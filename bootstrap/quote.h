/* quote.h - one value as a literal of another language. Pure. Any byte but NUL is legal unless said otherwise; each function is
 * tested against the language's own reader (tests/unit/test_quote.c). */
#ifndef MOODLECTL_BOOTSTRAP_QUOTE_H
#define MOODLECTL_BOOTSTRAP_QUOTE_H

#include "base/buf.h"
#include "base/err.h"

void quote_php(buf_t *out, const char *bytes, size_t len); /* '...' */
void quote_ini(buf_t *out, const char *bytes,
               size_t len); /* php.ini and php-fpm.conf: '...' and "'" side by side */
/* "..."; -1 with ERR_SET_INVALID when the value holds a $, which nginx would take for a variable. */
int quote_nginx(buf_t *out, const char *bytes, size_t len, err_t *err);
void quote_html(buf_t *out, const char *bytes, size_t len); /* text or attribute content */

#endif
