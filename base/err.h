/* err.h - errors as values. A function that can fail returns 0 or -1 and takes `err_t *err` last; the caller adds
 * words on the way up with err_wrap(). No allocation. Never blocks. `err` may be NULL everywhere. */
#ifndef MOODLECTL_BASE_ERR_H
#define MOODLECTL_BASE_ERR_H

#include <stdbool.h>

/* errors.def: ERR(ident, "E-NAME", exit status, retry, cause, cure) */
typedef enum {
    ERR_NONE = 0,
#define ERR(ident, name, status, retry, cause, cure) ERR_##ident,
#include "base/errors.def"
#undef ERR
    ERR_COUNT_
} err_id_t;

/* Exit statuses, sysexits.h where they fit. One meaning each; `moodlectl help exit-codes` prints them. */
enum {
    EXIT_OK = 0,
    EXIT_DIFFERENT = 1,         /* a check found a difference, or unhealthy */
    EXIT_PENDING_OUTAGE = 2,    /* upgrade pending, outage needed (Moodle's own number) */
    EXIT_PENDING_NO_OUTAGE = 3, /* upgrade pending, no outage needed (Moodle's own number) */
    EXIT_CHILD_FAILED = 10,     /* an essential child kept dying */
    EXIT_PROBE_FAILED = 11,     /* an essential child is alive but does not answer */
    EXIT_DRAIN_DIRTY = 12,      /* stopped at the deadline with work unfinished */
    EXIT_FENCED = 13,           /* lost the lock during an exclusive step */
    EXIT_OLD_CODE = 14,         /* the schema is newer than this code: do not retry */
    EXIT_HALF_INSTALLED = 15,   /* needs an operator's decision */
    EXIT_USAGE_ = 64,
    EXIT_DATAERR = 65,
    EXIT_NOINPUT = 66,
    EXIT_UNAVAILABLE = 69,
    EXIT_SOFTWARE = 70,
    EXIT_OSERR = 71,
    EXIT_CANTCREAT = 73,
    EXIT_IOERR = 74,
    EXIT_TEMPFAIL = 75,
    EXIT_NOPERM = 77,
    EXIT_CONFIG = 78,
};

typedef struct err {
    err_id_t id;   /* ERR_NONE: no error */
    int sys;       /* errno, or 0 */
    char msg[512]; /* one line, no newline, never a secret */
} err_t;

int err_set(err_t *err, err_id_t id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); /* returns -1 */
int err_sys(err_t *err, err_id_t id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); /* appends ": strerror(errno)", returns -1 */
int err_wrap(err_t *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* "words: msg", returns -1 */
void err_clear(err_t *err);

const char *err_name(err_id_t id);   /* "E-DB-AUTH" */
int err_status(err_id_t id);         /* exit status */
bool err_is_retryable(err_id_t id);  /* waiting may help */
const char *err_cause(err_id_t id);  /* one sentence */
const char *err_cure(err_id_t id);   /* one sentence */
err_id_t err_find(const char *name); /* by "E-NAME", any case; ERR_NONE when unknown */

#endif
