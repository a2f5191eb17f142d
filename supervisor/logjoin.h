/* logjoin.h - lines to messages: a stack trace, a backtrace of Moodle and what else stands below a message becomes part of it, and a
 * message that comes again and again is counted. Pure: whoever owns it sees to the times. Memory only while something is open. */
#ifndef MOODLECTL_SUPERVISOR_LOGJOIN_H
#define MOODLECTL_SUPERVISOR_LOGJOIN_H

#include "base/buf.h"
#include "supervisor/lineio.h"
#include "supervisor/logtext.h"
#include <stdint.h>

enum {
    JOIN_WAIT_MS = 50,    /* for the next line of an open message */
    FOLD_WAIT_MS = 10000, /* repeats are told after that long at the latest */
    FOLD_MAX = 1024,      /* a longer message is not compared */
    JOIN_LINES_MAX = 500, /* of one message */
};

typedef struct logjoin {
    logtext_t above;     /* of the open message's first line; bytes are not kept */
    buf_t text;          /* the open message */
    unsigned lines;      /* of it; 0: none is open */
    logtext_more_t more; /* the next line belongs to it, whatever it is */
    log_level_t level, last_level;
} logjoin_t;

/* A message, or a piece of a long one: `last` on its end. */
typedef void logjoin_fn(void *arg, log_level_t level, const char *bytes, size_t len, size_t head, bool last);

/* A whole line. `level`: when it says nothing itself. */
void logjoin_line(logjoin_t *j, stream_kind_t kind, log_level_t level, const char *bytes, size_t len,
                  logjoin_fn *fn, void *arg);
void logjoin_end(logjoin_t *j, logjoin_fn *fn, void *arg); /* gives out what is open; frees */

typedef struct logfold {
    char *last; /* the text that was written last, without its time */
    size_t len;
    unsigned repeats;
    log_level_t level;
} logfold_t;

/* Is it what was written last? Then it is counted and need not be written. Else logfold_take first, then write it. */
bool logfold_is_repeat(const logfold_t *f, log_level_t level, const char *text, size_t len);
void logfold_remember(logfold_t *f, log_level_t level, const char *text, size_t len);
unsigned logfold_take(logfold_t *f); /* the number of repeats not told yet; from now 0 */
void logfold_free(logfold_t *f);

#endif
