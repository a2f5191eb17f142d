/* rotate_internal.h - the state of role secrets, shared by its loop (rotate.c) and by what it tells (rotate_report.c). */
#ifndef MOODLECTL_BOOTSTRAP_ROTATE_INTERNAL_H
#define MOODLECTL_BOOTSTRAP_ROTATE_INTERNAL_H

#include "base/log.h"
#include "bootstrap/rotate.h"
#include "bootstrap/rotate_file.h"
#include "bootstrap/rotate_groups.h"
#include "bootstrap/rotate_pace.h"
#include "bootstrap/rotate_source.h"

typedef enum { ROTATE_POLL, ROTATE_SUSPECT, ROTATE_REFRESH, ROTATE_CHECK } rotate_why_t;

typedef struct rotate_turn { /* one group in one round */
    rotate_why_t why;
    const char *stage; /* that was adopted; NULL: what the source holds as current */
    bool was_right;    /* the value in use is refused */
    bool adopted;
    uint64_t began_ms, login_ms;
} rotate_turn_t;

typedef struct rotate_value { /* one followed setting */
    bool is_followed;
    char source[800];               /* ARN or path */
    char version[AWS_VERSION_SIZE]; /* in use; "": not known */
    uint64_t good_ms;               /* clock_ms when its source last answered */
    err_t err;                      /* why it does not answer; id 0: it does */
} rotate_value_t;

typedef struct rotate_trouble { /* of one group; told when it changes, and again when it has grown old */
    err_t err;
    uint64_t since_ms;
    log_level_t told;
} rotate_trouble_t;

typedef struct rotate {
    const rotate_login_t *login;
    const char *run_dir;
    rotate_pace_t pace;
    uint64_t alarm_ms; /* an older trouble is an error, a younger one a warning */
    rotate_value_t value[SET_COUNT_];
    rotate_trouble_t trouble[RG_COUNT_];
    bool refresh, check, uses_iam; /* with tokens a new value is no rotation */
    unsigned long asked, answered; /* refresh and check commands */
} rotate_t;

void rotate_report_begin(rotate_t *r, const settings_t *set);
/* Could all values of the group be had? False with *err untouched: none of them is followed. */
bool rotate_report_has_group(const rotate_t *r, rotate_group_t group, const rotate_source_t *from,
                             err_t *err);
void rotate_report_seen(rotate_t *r, rotate_group_t group);
void rotate_report_outage(rotate_t *r, rotate_group_t group, const rotate_source_t *from, const err_t *err);
void rotate_report_trouble(rotate_t *r, rotate_group_t group, const err_t *err);
void rotate_report_settled(rotate_t *r, rotate_group_t group);
void rotate_report_versions(rotate_t *r, rotate_group_t group, const rotate_source_t *from);
void rotate_report_rotated(rotate_t *r, rotate_group_t group, const rotate_source_t *from,
                           const rotate_turn_t *turn);
void rotate_report_round(const rotate_t *r); /* metric and event secrets */

#endif
