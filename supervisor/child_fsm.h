/* child_fsm.h - the life of one child process as a pure table. No clock, no process, no allocation.
 * child.c feeds it events, performs the actions and arms the one deadline that the new state has. */
#ifndef MOODLECTL_SUPERVISOR_CHILD_FSM_H
#define MOODLECTL_SUPERVISOR_CHILD_FSM_H

#include <stdio.h>

typedef enum {
    CS_DOWN,      /* no process; starts when wanted */
    CS_STARTING,  /* process there, not ready yet */
    CS_UP,        /* ready */
    CS_BOUNCING,  /* killed because it was not ready in time; starts anew */
    CS_BACKOFF,   /* died; waits before the next start */
    CS_STOPPING,  /* stop signal sent, awaiting its exit */
    CS_INSISTING, /* the last signal before SIGKILL sent: end now, cleanly if you can */
    CS_KILLING,   /* SIGKILL sent to the group, awaiting its exit */
    CS_FAILED,    /* died too often, or must not be tried again */
    CS_DONE,      /* a one-shot that ended well */
    CS_COUNT_
} child_state_t;

typedef enum {
    CE_START,      /* it is wanted */
    CE_STOP,       /* it is no longer wanted */
    CE_READY,      /* it says, or a probe found, that it is ready */
    CE_EXIT_DONE,  /* a one-shot ended with 0 */
    CE_EXIT_AGAIN, /* it died and may be tried again */
    CE_EXIT_FINAL, /* it died and must not be tried again */
    CE_TIMEOUT,    /* the state's deadline */
    CE_COUNT_
} child_event_t;

enum { ACT_NONE = 0, ACT_SPAWN = 1, ACT_TERM = 2, ACT_KILL = 4, ACT_INSIST = 8 };
typedef enum { DL_NONE, DL_START, DL_BACKOFF, DL_GRACE, DL_INSIST, DL_KILL } child_deadline_t;

typedef struct {
    child_state_t next;
    int actions;
    const char *why; /* for the log and the diagram; NULL: the event is ignored in this state */
} child_step_t;

/* Never NULL; every cell is written out. */
const child_step_t *child_fsm_step(child_state_t state, child_event_t event);
child_deadline_t child_fsm_deadline(child_state_t state);
const char *child_state_name(child_state_t state);
const char *child_event_name(child_event_t event);
void child_fsm_print(FILE *out); /* the table as a Mermaid state diagram, for ARCHITECTURE.md */

#endif
