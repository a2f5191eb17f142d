/* logfmt.h - one line of the log: JSON for CloudWatch, text on a terminal. Lines go to outq. Time stamp and the constant part
 * are made once for all lines of one read. */
#ifndef MOODLECTL_SUPERVISOR_LOGFMT_H
#define MOODLECTL_SUPERVISOR_LOGFMT_H

#include "base/err.h"
#include "base/log.h"
#include "supervisor/outq.h"
#include <stdbool.h>
#include <stddef.h>

void logfmt_init(bool json, log_level_t least, const char *member);
void logfmt_set_member(const char *member);
void logfmt_set_release(const char *release);

void logfmt_trim(void); /* gives the memory of the last lines back */

enum { LOGFMT_LINE_MAX = 16384 }; /* no line of JSON is longer, its newline counted */

/* Between the two all lines bear the time of the first: those of one read came at one time. */
void logfmt_begin_read(void);
void logfmt_end_read(void);
/* A message of a child, or a piece of one that is too long: `last` with its end. `src`: "nginx", "php", "cron", ...; up to 31 bytes,
 * of a-z, 0-9, '.', '_' and '-'. `part`: how many pieces of it were given out; NULL for a whole message. What is too long for a line
 * is given out in parts. */
void logfmt_child(const char *src, log_level_t level, const char *bytes, size_t len, unsigned *part,
                  bool last);
void logfmt_repeats(const char *src, log_level_t level, unsigned count);
/* A child's line that is a valid JSON object, embedded as it is under "data". */
void logfmt_child_object(const char *src, log_level_t level, bool access, const char *json, size_t len);
/* A message of our own. `event`: stable name, or NULL. Flushes. */
void logfmt_own(log_level_t level, err_id_t id, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void logfmt_sink(log_level_t level, err_id_t id, const char *msg); /* for log_set_sink */
/* A message of a role, under its own source. */
void logfmt_role(const char *src, log_level_t level, const char *id, const char *msg, size_t len);
typedef struct logfmt_metric {
    const char *name;
    double value;
    const char *unit;
} logfmt_metric_t;
/* One CloudWatch Embedded Metric Format line (JSON format only), namespace moodlectl, dimension Member-free: Service=moodle. */
void logfmt_metrics(const logfmt_metric_t *list, size_t count);
void logfmt_metric(const char *name, double value, const char *unit);

#endif
