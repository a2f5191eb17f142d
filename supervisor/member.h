/* member.h - the one state of PID 1: what lifecycle, roles, status and control share. One thread, one loop: no locks. */
#ifndef MOODLECTL_SUPERVISOR_MEMBER_H
#define MOODLECTL_SUPERVISOR_MEMBER_H

#include "base/settings.h"
#include "base/stop_plan.h"
#include "supervisor/child.h"
#include "supervisor/drain_tally.h"
#include "supervisor/fpm_watch.h"
#include "supervisor/lifecycle_fsm.h"
#include "supervisor/nginx_load.h"
#include "supervisor/probe.h"
#include "supervisor/services.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct progress { /* of an install or upgrade, here or at another member; for the holding page */
    char phase[24], detail[160], by[128];
    long done, total;
    uint64_t elapsed_ms;
    bool known;
} progress_t;

typedef struct cron_view { /* what this member's cron role last said */
    bool holder, running;
    int last_exit;
    bool has_run;
    uint64_t last_end_ms; /* clock_ms */
    int runner;           /* place of this member's ad-hoc runner, from 1; 0: none */
    uint64_t success_ms; /* when cron last did its work anywhere in the cluster, by our clock; 0: not known */
    char success_by[81]; /* "": it has not yet, since then */
} cron_view_t;

typedef struct rotation {  /* what role secrets last said; rotation.c */
    json_t *values;        /* NULL: nothing yet */
    uint64_t values_ms;    /* clock_ms when it said so */
    json_int_t asked;      /* refreshes and checks that it was sent since it started */
    json_int_t answered;   /* those that it has finished */
    uint64_t suspected_ms; /* clock_ms of the last suspicion that was handed on */
} rotation_t;

typedef struct ecs {       /* ecs.c */
    json_t *task;          /* what role prepare learnt of the task; NULL: not on ECS, or not known */
    json_t *protection;    /* what role protect last said; NULL: nothing yet */
    uint64_t until_ms;     /* clock_ms when that ends by itself */
    const char *told_hold; /* what it was last told to protect */
} ecs_t;

typedef struct drain { /* one stop, from its first second; drain.c */
    uint64_t began_ms; /* clock_ms; 0: none */
    stop_plan_t plan;
    uint64_t spent_ms[LP_COUNT_]; /* per phase, for the report */
    unsigned asked;               /* stops asked for */
    unsigned cut_short;           /* children that were cut short */
    unsigned strays;
    ask_t *asking; /* nginx is being asked what it has under way */
    bool to_ask, load_known, door_tried;
    nginx_load_t load;
    drain_tally_t tally;
    uint64_t resets_before; /* tcp_resets() when nginx was told to accept no more */
} drain_t;

typedef struct reload { /* reload.c */
    enum {
        RELOAD_IDLE,
        RELOAD_RENDERS,
        RELOAD_POLITE,
        RELOAD_SETTLES
    } step;          /* POLITE, SETTLES: answers close their connections */
    bool nginx, php; /* which have to follow */
    uv_timer_t timer;
    err_id_t id; /* of the last one that failed; 0: it went well, or there was none */
    char msg[300];
} reload_t;

/* Files in state/ whose presence is their meaning. */
typedef enum { FLAG_READY, FLAG_STARTED, FLAG_DRAIN, FLAG_OPEN, FLAG_COUNT_ } flag_t;
typedef enum { FLAG_UNKNOWN, FLAG_OFF, FLAG_ON } flag_state_t; /* unknown: what a container before us left */

typedef struct member {
    uv_loop_t *loop;
    const settings_t *set;
    services_t *services;
    lifecycle_phase_t phase;
    uint64_t phase_since_ms, started_ms;
    child_t children[SV_COUNT_];
    probe_t *probes[SV_COUNT_];
    uv_timer_t deadline; /* of the stopping phases */
    drain_t drain;
    fpm_watch_t fpm_watch;
    bool booted; /* the run directory is there: state files can be written */
    bool advancing, advance_again;
    uv_timer_t words;
    const lifecycle_step_t *untold; /* it has been made, and is still to be logged and written; NULL: none */
    lifecycle_phase_t untold_from;
    char stop_by[64]; /* who asked to stop, still to be logged; "": nobody */
    flag_state_t flags[FLAG_COUNT_];
    bool served; /* has been in SERVE */
    reload_t reload;
    int exit_status;
    err_id_t reason_id; /* why LEAD waits, or HOLD holds, or the member failed */
    char reason[300], state[24];
    progress_t progress;
    uint64_t page_written_ms;
    cron_view_t cron;
    rotation_t rotation;
    ecs_t ecs;
    char name[128], release[128];
} member_t;

#endif
