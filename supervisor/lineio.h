/* lineio.h - bytes in, lines out. Pure. Bounded, NUL-safe: a NUL is a byte like any other, a full buffer is not an end of file.
 * A line longer than LINE_MAX_ comes in parts. The unfinished end of a read is kept (allocated) until its newline arrives. */
#ifndef MOODLECTL_SUPERVISOR_LINEIO_H
#define MOODLECTL_SUPERVISOR_LINEIO_H

#include <stdbool.h>
#include <stddef.h>

enum { LINE_MAX_ = 12288 }; /* CloudWatch agents cut at 16 KiB; the rest is for our JSON around it */

typedef struct lineio {
    char *held; /* unfinished line, LINE_MAX_ bytes when allocated */
    size_t held_len;
    unsigned part; /* parts of the current line already given out */
} lineio_t;

/* part: 0 for a whole line; 1, 2, ... for the pieces of a long one, `last` on its final piece. No newline in bytes. */
typedef void lineio_fn(void *arg, const char *bytes, size_t len, unsigned part, bool last);

void lineio_feed(lineio_t *l, const char *bytes, size_t len, lineio_fn *fn, void *arg);
void lineio_end(lineio_t *l, lineio_fn *fn, void *arg); /* end of file: gives out what is held; frees */
void lineio_free(lineio_t *l);

#endif
