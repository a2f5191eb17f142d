/* log.h - the program's own messages. Every message ends in the sink: PID 1 puts it in its output queue, a role sends it to
 * PID 1 as an event, a command prints it. log_* never fails and does not allocate more than one line. */
#ifndef MOODLECTL_BASE_LOG_H
#define MOODLECTL_BASE_LOG_H

#include "base/err.h"

typedef enum { LOG_DEBUG_, LOG_INFO_, LOG_NOTICE_, LOG_WARN_, LOG_ERROR_ } log_level_t;
typedef void log_sink_t(log_level_t level, err_id_t id, const char *msg);

void log_set_sink(log_sink_t *sink); /* default: "level: msg" on stderr */
void log_set_level(log_level_t least);
const char *log_level_name(log_level_t level); /* "debug" ... "error" */
log_level_t log_level_find(const char *name, log_level_t otherwise);

void log_write(log_level_t level, err_id_t id, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void log_err(log_level_t level, const err_t *err); /* with its id */
#define log_debug(...)  log_write(LOG_DEBUG_, ERR_NONE, __VA_ARGS__)
#define log_info(...)   log_write(LOG_INFO_, ERR_NONE, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE_, ERR_NONE, __VA_ARGS__)
#define log_warn(...)   log_write(LOG_WARN_, ERR_NONE, __VA_ARGS__)
#define log_error(...)  log_write(LOG_ERROR_, ERR_NONE, __VA_ARGS__)

#endif
