/* logfwd.h - reads what a child writes and hands it on, message by message. Always reads, however slow our own reader is: a child
 * blocked in write(2) cannot even die politely. One stream per pipe. */
#ifndef MOODLECTL_SUPERVISOR_LOGFWD_H
#define MOODLECTL_SUPERVISOR_LOGFWD_H

#include "supervisor/logfmt.h"
#include "supervisor/logtext.h"
#include <uv.h>

typedef struct stream stream_t;
typedef void stream_event_fn(void *arg, const char *line, size_t len);

/* Calls `fn` for each line that looks as if somebody had been refused a login: the words of a server in PHP's lines, and requests that
 * ended with a status of 500 or more. May be wrong, and often. */
void logfwd_watch(void (*fn)(void *arg), void *arg);

/* nginx's access lines: are they part of the log? And `fn`, if any, is given each of them. */
void logfwd_forward_access(bool forward);
void logfwd_on_access(void (*fn)(void *arg, const char *json, size_t len), void *arg);

/* Takes over `fd`, the read end of a pipe. `src` must outlive the stream. NULL: out of memory (fd is closed). */
stream_t *stream_open(uv_loop_t *loop, int fd, stream_kind_t kind, const char *src, log_level_t level,
                      stream_event_fn *on_event, void *arg);
/* Reads what is there now (the child has exited), then closes; frees itself. NULL-safe; sets *s to NULL. */
void stream_drain_and_close(stream_t **s);

/* Called from on_event: a line that a role's script wrote goes to the log as one of PHP's. `src` is copied. */
void logfwd_script_line(const char *src, log_level_t level, const char *line, size_t len);

/* Takes `bytes` the way that the output of a child of that kind takes, at level error. */
void stream_try(stream_kind_t kind, const char *src, const char *bytes, size_t len);

#endif
