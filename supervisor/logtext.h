/* logtext.h - what a line of nginx, PHP-FPM, PHP and Moodle says about itself: its severity, where its time ends, whether lines follow
 * that belong to it. Pure; looks at the start of a line only. */
#ifndef MOODLECTL_SUPERVISOR_LOGTEXT_H
#define MOODLECTL_SUPERVISOR_LOGTEXT_H

#include "base/log.h"
#include <stdbool.h>
#include <stddef.h>

typedef enum {
    STREAM_LINES,  /* plain lines of level `level` */
    STREAM_NGINX,  /* nginx: access lines are JSON objects, error lines carry [level] */
    STREAM_PHP,    /* PHP and PHP-FPM: severity words, stack traces */
    STREAM_EVENTS, /* a role's events: whole lines go to on_event; what its scripts wrote comes as PHP's */
} stream_kind_t;

typedef struct logtext {
    const char *bytes; /* the line, without PHP-FPM's wrapping */
    size_t len;
    size_t head;  /* length of the time, and nginx's process and connection, before the text */
    bool stamped; /* PHP's log wrote it: what has no time of its own below it belongs to it */
    bool has_level;
    log_level_t level; /* valid when has_level */
} logtext_t;

logtext_t logtext_read(stream_kind_t kind, const char *bytes, size_t len);
/* May lines follow that belong to this one? */
bool logtext_opens(stream_kind_t kind, const logtext_t *t);
/* A line of a stack trace or of what else stands below a message. */
bool logtext_is_trace(const logtext_t *t);
/* What of a message must follow in the next line: nothing; the rest of PHP's message, which ends with a place; free text up to the next
 * line of a trace (Moodle's "Debug info:"). `now`: what was wanted before this line. */
typedef enum { MORE_NONE, MORE_MESSAGE, MORE_TEXT } logtext_more_t;
logtext_more_t logtext_more(const logtext_t *t, logtext_more_t now);
/* Does it belong to the message `above`, which opened? */
bool logtext_continues(stream_kind_t kind, const logtext_t *t, const logtext_t *above);
/* nginx: is what FastCGI sent quoted to its end? */
bool logtext_is_closed(stream_kind_t kind, const char *bytes, size_t len);

#endif
