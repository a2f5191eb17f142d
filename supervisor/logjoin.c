#include "supervisor/logjoin.h"
#include <stdlib.h>
#include <string.h>

static void open_with(logjoin_t *j, const logtext_t *t, log_level_t level)
{
    j->above = *t;
    j->above.bytes = NULL;
    j->level = level;
    j->lines = 1;
    j->more = logtext_more(t, MORE_NONE);
    buf_clear(&j->text);
    buf_add(&j->text, t->bytes, t->len);
}

static void add_line(logjoin_t *j, const char *bytes, size_t len, logjoin_fn *fn, void *arg)
{
    if (j->text.len + 1 + len > LINE_MAX_) {
        fn(arg, j->level, buf_cstr(&j->text), j->text.len, j->above.head, false);
        buf_clear(&j->text);
    }
    buf_str(&j->text, "\n");
    buf_add(&j->text, bytes, len);
    j->lines++;
}

static void close_open(logjoin_t *j, logjoin_fn *fn, void *arg)
{
    if (!j->lines) return;
    j->lines = 0;
    fn(arg, j->level, buf_cstr(&j->text), j->text.len, j->above.head, true);
    buf_clear(&j->text);
}

void logjoin_line(logjoin_t *j, stream_kind_t kind, log_level_t level, const char *bytes, size_t len,
                  logjoin_fn *fn, void *arg)
{
    if (len == 0) return; /* between the parts of a chain of exceptions, too */
    if (kind == STREAM_LINES) {
        fn(arg, level, bytes, len, 0, true);
        return;
    }
    logtext_t t = logtext_read(kind, bytes, len);
    if (j->lines && j->lines < JOIN_LINES_MAX &&
        (logtext_continues(kind, &t, &j->above) || (j->more && !t.has_level))) {
        j->more = logtext_more(&t, j->more);
        add_line(j, t.bytes, t.len, fn, arg);
        if (logtext_is_closed(kind, t.bytes, t.len)) close_open(j, fn, arg);
        return;
    }
    close_open(j, fn, arg);
    /* what stands below a message that has been given out already is as grave as that */
    if (t.has_level)
        level = t.level;
    else if (kind != STREAM_NGINX && logtext_is_trace(&t))
        level = j->last_level;
    j->last_level = level;
    if (logtext_opens(kind, &t))
        open_with(j, &t, level);
    else
        fn(arg, level, t.bytes, t.len, t.head, true);
}

void logjoin_end(logjoin_t *j, logjoin_fn *fn, void *arg)
{
    close_open(j, fn, arg);
    buf_free(&j->text);
}

bool logfold_is_repeat(const logfold_t *f, log_level_t level, const char *text, size_t len)
{
    return f->last && len == f->len && level == f->level && memcmp(f->last, text, len) == 0;
}

void logfold_remember(logfold_t *f, log_level_t level, const char *text, size_t len)
{
    f->len = 0;
    if (len == 0 || len > FOLD_MAX) {
        logfold_free(f);
        return;
    }
    if (!f->last && !(f->last = malloc(FOLD_MAX))) return;
    memcpy(f->last, text, len);
    f->len = len;
    f->level = level;
}

unsigned logfold_take(logfold_t *f)
{
    unsigned n = f->repeats;
    f->repeats = 0;
    return n;
}

void logfold_free(logfold_t *f)
{
    if (f->last) explicit_bzero(f->last, FOLD_MAX);
    free(f->last);
    *f = (logfold_t){0};
}
