/* job.h - one PHP script under the keeper, while the role goes on with heartbeats, commands and signals. The script's lines
 * become `line` events; lines of Moodle's installer and upgrader become progress. Blocks until the script has ended. */
#ifndef MOODLECTL_COORD_JOB_H
#define MOODLECTL_COORD_JOB_H

#include "coord/lease.h"
#include "coord/target.h"

typedef struct job_progress {
    const char *phase, *by; /* phase NULL: none is reported */
    long done, total;
    long core; /* of these, the parts of the first step */
    char detail[120];
    uint64_t started_ms, told_ms;
} job_progress_t;

typedef struct job_spec {
    const char *src;         /* of its lines: install, upgrade, cron */
    const char *const *args; /* script (below code_dir, or absolute) and its arguments, NULL-ended */
    const char *input;       /* standard input, or NULL */
    lease_t *lease;          /* lost: the script is dead by the deadline */
    lease_t *also;           /* kept alive too, its loss is only logged; or NULL */
    const lead_conf_t *conf;
    const char *run_dir;
    job_progress_t *progress;
    uint64_t stop_patience_ms; /* from a stop request to the script's SIGTERM */
    bool second_term;          /* a second stop request is a second SIGTERM (cron: end inside the task) */
    bool quiet;                /* its lines are not told */
    uint64_t silence_ms;       /* a script that wrote nothing for so long is stuck, and ended; 0: never */
    void (*stuck)(void *arg);  /* called then, before it is ended; may be NULL */
    void (*line)(void *arg, const char *line); /* each line of it; may be NULL */
    /* asked about once a second; true: end the script politely. NULL: never */
    bool (*leave)(void *arg);
    bool (*command)(void *arg, const char *cmd); /* a command of PID 1 came; may be NULL */
    void *arg;
} job_spec_t;

typedef enum { JOB_EXITED, JOB_SIGNALED, JOB_LOST, JOB_NOT_STARTED } job_end_t;
typedef struct job_result {
    job_end_t end;
    int code;     /* exit status, or signal number */
    bool stopped; /* we asked it to end */
    bool stuck;   /* because it was silent for too long */
    bool out_of_memory;
    bool disturbed; /* the database ended the lease's session meanwhile: it may have ended the script's too */
    char last[200]; /* last line that was not blank */
} job_result_t;

int job_run(const job_spec_t *spec, job_result_t *ret,
            err_t *err); /* -1: not started, or the lease was lost (ERR_LOCK_LOST) */
const char *job_result_words(const job_result_t *r, char *buf, size_t size);

/* A heartbeat if it is due, with a relock when the session was lost. -1: leadership is over. */
int job_lease_keep(lease_t *l, const char *run_dir, const char *detail, err_t *err);

#endif
