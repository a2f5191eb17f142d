#include "base/err.h"
#include "base/redact.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct {
    const char *name;
    int status;
    bool retry;
    const char *cause, *cure;
} err_row_t;

static const err_row_t ROWS[ERR_COUNT_] = {
    [ERR_NONE] = {"E-NONE", EXIT_OK, false, "No error.", "Nothing to do."},
#define ERR(ident, name, status, retry, cause, cure) [ERR_##ident] = {name, status, retry, cause, cure},
#include "base/errors.def"
#undef ERR
};

static const err_row_t *row_of(err_id_t id) { return &ROWS[(unsigned)id < ERR_COUNT_ ? id : ERR_BUG]; }

const char *err_name(err_id_t id) { return row_of(id)->name; }
int err_status(err_id_t id) { return row_of(id)->status; }
bool err_is_retryable(err_id_t id) { return row_of(id)->retry; }
const char *err_cause(err_id_t id) { return row_of(id)->cause; }
const char *err_cure(err_id_t id) { return row_of(id)->cure; }

err_id_t err_find(const char *name)
{
    for (int i = ERR_NONE + 1; i < ERR_COUNT_; i++)
        if (strcasecmp(ROWS[i].name, name) == 0) return (err_id_t)i;
    return ERR_NONE;
}

void err_clear(err_t *err)
{
    if (err) *err = (err_t){0};
}

/* A message is one log line: what foreign libraries put in (line ends, tabs) becomes blanks, and a secret that they repeat
 * (Redis quotes the arguments of a command that it does not know) a mark. */
static void msg_clean(err_t *err)
{
    redact_text(err->msg, sizeof err->msg);
    for (char *s = err->msg; *s; s++)
        if ((unsigned char)*s < 0x20) *s = ' ';
}

int err_set(err_t *err, err_id_t id, const char *fmt, ...)
{
    if (!err) return -1;
    va_list ap;
    va_start(ap, fmt);
    err->id = id;
    err->sys = 0;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    msg_clean(err);
    return -1;
}

int err_sys(err_t *err, err_id_t id, const char *fmt, ...)
{
    int saved = errno;
    if (!err) return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    err->id = id;
    err->sys = saved;
    size_t len = strlen(err->msg);
    snprintf(err->msg + len, sizeof err->msg - len, ": %s", strerror(saved));
    msg_clean(err);
    errno = saved;
    return -1;
}

int err_wrap(err_t *err, const char *fmt, ...)
{
    if (!err) return -1;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    size_t len = strlen(err->msg);
    snprintf(err->msg + len, sizeof err->msg - len, ": %s", old);
    msg_clean(err);
    return -1;
}
