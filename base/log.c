#include "base/log.h"
#include "base/redact.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const NAMES[] = {[LOG_DEBUG_] = "debug",
                                    [LOG_INFO_] = "info",
                                    [LOG_NOTICE_] = "notice",
                                    [LOG_WARN_] = "warn",
                                    [LOG_ERROR_] = "error"};
static log_level_t least_level = LOG_INFO_;

static void stderr_sink(log_level_t level, err_id_t id, const char *msg)
{
    char line[1024];
    int n = id == ERR_NONE
                ? snprintf(line, sizeof line, "moodlectl: %s: %s\n", NAMES[level], msg)
                : snprintf(line, sizeof line, "moodlectl: %s: %s: %s\n", NAMES[level], err_name(id), msg);
    if (n >= (int)sizeof line) {
        n = sizeof line - 1;
        line[n - 1] = '\n';
    }
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) return; /* nobody left to tell */
}

static log_sink_t *the_sink = stderr_sink;

void log_set_sink(log_sink_t *sink) { the_sink = sink ? sink : stderr_sink; }
void log_set_level(log_level_t least) { least_level = least; }
const char *log_level_name(log_level_t level) { return NAMES[level]; }

log_level_t log_level_find(const char *name, log_level_t otherwise)
{
    for (int i = LOG_DEBUG_; i <= LOG_ERROR_; i++)
        if (strcmp(NAMES[i], name) == 0) return (log_level_t)i;
    return otherwise;
}

void log_write(log_level_t level, err_id_t id, const char *fmt, ...)
{
    if (level < least_level) return;
    int saved = errno;
    char msg[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    redact_text(msg, sizeof msg);
    the_sink(level, id, msg);
    errno = saved;
}

void log_err(log_level_t level, const err_t *err) { log_write(level, err->id, "%s", err->msg); }
