/* child.h - one supervised process: executes child_fsm's actions, owns its pipes and its one timer. The only place that kills.
 * Knows nothing about what the process is: signal, limits, readiness and policy come from its service row. */
#ifndef MOODLECTL_SUPERVISOR_CHILD_H
#define MOODLECTL_SUPERVISOR_CHILD_H

#include "supervisor/child_fsm.h"
#include "supervisor/logfwd.h"
#include "supervisor/restart.h"
#include "supervisor/spawn.h"
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef enum { CK_DAEMON, CK_ONESHOT, CK_ROLE, CK_ROLE_ONESHOT } child_kind_t;
typedef enum { READY_AT_ONCE, READY_BY_PROBE, READY_BY_EVENT } child_ready_t;

typedef struct child_row { /* constant description of a service */
    const char *name;      /* also the log source */
    child_kind_t kind;
    child_ready_t ready;
    stream_kind_t stream;         /* of stdout and stderr; a role's stdout carries events */
    int stop_signal, last_signal; /* asks; asks again before SIGKILL */
    unsigned max_deaths;          /* within death_window_ms; 0: tried again for ever */
    uint64_t death_window_ms;
    uint64_t start_ms; /* to become ready; 0: no limit */
    int oom_score_adj, nice;
    unsigned nofile; /* see spawn.h, as the next */
    uint64_t caps;
    bool as_web_user;
    bool kill_leftovers; /* SIGKILL to its process group when its leader has exited */
} child_row_t;

typedef struct child child_t;
typedef struct child_hooks {
    /* Fills argv, envp and user. False: cannot be started (already logged). */
    bool (*prepare)(child_t *c, spawn_spec_t *ret_spec);
    void (*changed)(child_t *c, child_state_t from, const char *why); /* after each state change */
    void (*event)(child_t *c, const char *line, size_t len);          /* a role's event line */
    /* How an exit is to be taken; called before the state changes. */
    child_event_t (*judge)(child_t *c, int status);
} child_hooks_t;

struct child {
    const child_row_t *row;
    const child_hooks_t *hooks;
    child_state_t state;
    pid_t pid; /* -1: none */
    uint64_t started_ms, changed_ms;
    uint64_t insist_at_ms, kill_at_ms; /* clock_ms when the current stop asks again, and turns into SIGKILL */
    int exit_status;                   /* wait status of the last exit; valid when exits > 0 */
    unsigned exits, starts;
    restart_t restart;
    err_t last_error; /* why the last start failed, or the last role error */
    int in;           /* write end of a role's stdin, or -1 */
    stream_t *out, *err;
    uv_timer_t timer;
    uv_loop_t *loop;
    int slot; /* the owner's index */
};

void child_init(child_t *c, uv_loop_t *loop, const child_row_t *row, const child_hooks_t *hooks, int slot);
void child_start(child_t *c);
/* Asks; asks again after insist_ms; SIGKILL after kill_ms. A second call may shorten that, never lengthen it. */
void child_stop(child_t *c, uint64_t insist_ms, uint64_t kill_ms);
void child_ready(child_t *c);
void child_bounce(
    child_t *c); /* one that is up and does not answer: SIGKILL to its group, then a new start */
void child_signal(child_t *c, int sig); /* to the leader alone; nothing when there is no process */
void child_kill_now(child_t *c);        /* SIGKILL to its group; its state follows at the exit */
bool child_send(child_t *c,
                const char *line); /* a command line to a role's stdin; false when it takes none */
bool child_on_exit(child_t *c, pid_t pid, int status);        /* true: it was this one */
bool child_is_gone(const child_t *c);                         /* no process */
void child_close(child_t *c);                                 /* its timer; before the loop ends */
void child_describe_exit(int status, char *buf, size_t size); /* "exit status 3", "killed by SIGKILL" */

#endif
