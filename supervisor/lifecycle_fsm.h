/* lifecycle_fsm.h - a member's life as pure tables: which phase follows, and what should run in each phase.
 * lifecycle.c compares what should run with what runs, after every event. */
#ifndef MOODLECTL_SUPERVISOR_LIFECYCLE_FSM_H
#define MOODLECTL_SUPERVISOR_LIFECYCLE_FSM_H

#include <stdbool.h>
#include <stdio.h>

typedef enum {
    LP_BOOT,    /* signals armed; settings are read, nginx's files are rendered */
    LP_PREPARE, /* nginx shows the holding page; secrets are fetched, the rest is rendered */
    LP_LEAD,    /* database and Redis are waited for; one member installs or upgrades, the others wait */
    LP_WARM,    /* php-fpm starts, caches are prepared */
    LP_SERVE,   /* nginx hands requests to PHP; cron is contended for */
    LP_HOLD,    /* a person is needed: no PHP, no cron; holding page and a reason */
    LP_LAME,    /* stopping: unready, serves on until the load balancer has learnt it */
    LP_QUIESCE, /* nginx finishes its requests and ends */
    LP_FINISH,  /* php-fpm ends, only now that nobody asks it any more */
    LP_SWEEP,   /* roles hand over, strays are ended */
    LP_EXIT,
    LP_COUNT_
} lifecycle_phase_t;

typedef enum {
    LE_BOOTED,     /* nginx can start */
    LE_PREPARED,   /* everything is rendered */
    LE_CURRENT,    /* the database fits this code */
    LE_WAITING,    /* a dependency is away, or a member (perhaps this one) installs or upgrades */
    LE_HOLDING,    /* a person is needed */
    LE_WARMED,     /* php-fpm answers, caches are prepared */
    LE_FAILED,     /* something essential failed for good: the container must end */
    LE_STOP,       /* TERM, INT, QUIT, WINCH or the drain command */
    LE_HURRY,      /* a second stop */
    LE_DEADLINE,   /* the phase's own time is over */
    LE_FRONT_GONE, /* nginx has ended */
    LE_BACK_GONE,  /* php-fpm has ended */
    LE_EMPTY,      /* no child and no stray is left */
    LE_COUNT_
} lifecycle_event_t;

typedef enum {
    SV_PREPARE,
    SV_NGINX,
    SV_LEAD,
    SV_FPM,
    SV_WARM,
    SV_CRON,
    SV_ADHOC,
    SV_SECRETS,
    SV_PROTECT,
    SV_COUNT_
} service_id_t;
typedef enum { WANT_OFF, WANT_RUN, WANT_KEEP } service_want_t; /* KEEP: as it is */

typedef struct {
    lifecycle_phase_t next;
    const char *why; /* NULL: ignored in this phase */
} lifecycle_step_t;

const lifecycle_step_t *lifecycle_fsm_step(lifecycle_phase_t phase, lifecycle_event_t event);
service_want_t lifecycle_fsm_want(lifecycle_phase_t phase, service_id_t service);
bool lifecycle_is_stopping(lifecycle_phase_t phase);
const char *lifecycle_phase_name(lifecycle_phase_t phase); /* "SERVE" */
const char *lifecycle_event_name(lifecycle_event_t event);
void lifecycle_fsm_print(FILE *out); /* Mermaid state diagram */

#endif
