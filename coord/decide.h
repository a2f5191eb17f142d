/* decide.h - what a member does about the state it read: one pure table, asked before and again after the lock is won. */
#ifndef MOODLECTL_COORD_DECIDE_H
#define MOODLECTL_COORD_DECIDE_H

#include "base/err.h"
#include "coord/schema.h"

enum {
    DECIDE_FAILED_MAX = 2,      /* attempts that ended in an error, for one target */
    DECIDE_INTERRUPTED_MAX = 6, /* attempts whose leader vanished or was stopped */
    DECIDE_BACKOFF_MS = 30000,  /* doubled for each */
    DECIDE_BACKOFF_MAX_MS = 900000,
};

typedef enum { RUN_NONE, RUN_RUNNING, RUN_OK, RUN_FAILED, RUN_INTERRUPTED } run_result_t;

typedef struct history {          /* of the deploy purpose, from our own tables; all zero: no tables yet */
    char action[17], target[128]; /* of the last run */
    run_result_t result;
    bool ours;               /* the last run had our own target */
    bool alive;              /* somebody's heartbeat is fresh: the last run may really be running */
    int failed, interrupted; /* runs for our own target since the last one that went well */
    bool was_ours;           /* our own target once went well here, and the last run had another target */
    int64_t backoff_ms;      /* left, by the database's clock; for our own target */
} history_t;

typedef struct decide_in {
    schema_t schema;
    history_t history;
    int64_t code_version; /* times 100 */
    const char *code_hash;
    bool install_auto, upgrade_auto;
    bool install_settings; /* password and mail address of the first administrator are there */
    bool forced;           /* a person said: upgrade */
    bool served;           /* this process has seen the database fit its code */
} decide_in_t;

typedef enum {
    DECIDE_WAIT,          /* somebody else works, or it is too early */
    DECIDE_CURRENT,       /* serve */
    DECIDE_HOLD,          /* a person is needed */
    DECIDE_INSTALL,       /* the rest needs the lock */
    DECIDE_CLEAN_INSTALL, /* drop what an unfinished install of ours left, then install */
    DECIDE_UPGRADE,
    DECIDE_FINISH, /* the schema fits, but a leader went without a word: clear what it left */
} decide_verdict_t;

typedef struct decide_out {
    decide_verdict_t verdict;
    err_id_t id;     /* HOLD: why; WAIT: why when it is an error */
    const char *why; /* one sentence */
} decide_out_t;

decide_out_t decide(const decide_in_t *in);
const char *decide_name(decide_verdict_t v);
bool decide_needs_lock(decide_verdict_t v);
int64_t decide_backoff_ms(int failed, int interrupted); /* before the next attempt */
run_result_t run_result_find(const char *name);
const char *run_result_name(run_result_t r);

#endif
