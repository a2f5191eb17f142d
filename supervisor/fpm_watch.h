/* fpm_watch.h - tells a PHP-FPM that is stuck from one that is busy. A ping waits in the pool's own queue, behind the users. While it
 * waits, FPM's status (a socket of its own, pm.status_listen) says how many connections its workers have taken. A full FPM takes the
 * next whenever a request ends, and none may last longer than MOODLECTL_REQUEST_TIMEOUT. So: stuck is who takes none for that long
 * and MOODLECTL_FPM_STUCK_AFTER more, with the ping waiting all the time.
 *
 * One wake-up a check: the answer to a ping is read when the next is sent. Never blocks. */
#ifndef MOODLECTL_SUPERVISOR_FPM_WATCH_H
#define MOODLECTL_SUPERVISOR_FPM_WATCH_H

#include "supervisor/fcgi.h"
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct fpm_progress { /* pure: what is known about the queue */
    uint64_t waiting_ms;      /* since when a ping waits; 0: none does */
    uint64_t moved_ms;        /* when a worker last took a connection, as far as is known */
    long long accepted;       /* connections taken; -1: not known */
} fpm_progress_t;

void fpm_progress_waits(fpm_progress_t *p, uint64_t now_ms); /* the ping was not answered yet */
void fpm_progress_answered(fpm_progress_t *p);               /* it was */
void fpm_progress_accepted(fpm_progress_t *p, long long accepted, uint64_t now_ms);
uint64_t fpm_progress_still_ms(const fpm_progress_t *p, uint64_t now_ms); /* nothing has moved for so long */
long long fpm_accepted(const char *status,
                       size_t len); /* "accepted conn" of the status in JSON; -1: not there */

typedef void fpm_stuck_fn(void *arg, uint64_t still_ms, bool answers); /* answers: its status does */

typedef struct fpm_watch {
    uv_loop_t *loop;
    uv_timer_t timer;
    char pool[108], status[108]; /* sockets */
    uint64_t limit_ms, every_ms;
    int ping; /* connection whose answer is awaited, or -1 */
    bool sent;
    fpm_progress_t progress;
    fcgi_get_t *asking;
    fpm_stuck_fn *fn;
    void *arg;
} fpm_watch_t;

/* Calls fn at each check at which it is stuck. */
void fpm_watch_init(fpm_watch_t *w, uv_loop_t *loop, uint64_t limit_ms, fpm_stuck_fn *fn, void *arg);
void fpm_watch_start(fpm_watch_t *w, const char *pool, const char *status); /* anew, with no suspicion */
void fpm_watch_stop(fpm_watch_t *w);
void fpm_watch_close(fpm_watch_t *w);

#endif
