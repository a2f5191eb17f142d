/* buf.h - growing byte string. On memory failure it stays empty and `failed` is set: check once, at the end. */
#ifndef MOODLECTL_BASE_BUF_H
#define MOODLECTL_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct buf {
    char *data; /* NUL after the last byte whenever len > 0 or something was added; NULL before */
    size_t len, cap;
    bool failed;
} buf_t;
#define BUF_INIT ((buf_t){0})

void buf_add(buf_t *b, const void *bytes, size_t len);
void buf_str(buf_t *b, const char *s);
void buf_printf(buf_t *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(buf_t *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_clear(buf_t *b);             /* length 0, keeps the memory */
void buf_free(buf_t *b);              /* wipes, frees, zeroes */
const char *buf_cstr(const buf_t *b); /* never NULL */

/* JSON string contents (without the quotes): escapes quotes, backslash, control characters; valid UTF-8 passes; an invalid
 * byte 0xNN becomes the four characters \xNN (written \\xNN in JSON), so nothing is lost. */
void buf_json(buf_t *b, const char *bytes, size_t len);
/* Length of the longest start that stands in a JSON string as it is. */
size_t buf_json_plain(const char *bytes, size_t len);

#endif
