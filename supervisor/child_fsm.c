#include "supervisor/child_fsm.h"

#define GO(state, actions, why)                                                                              \
    {                                                                                                        \
        state, actions, why                                                                                  \
    }
#define IGNORED(state)                                                                                       \
    {                                                                                                        \
        state, ACT_NONE, NULL                                                                                \
    }

static const child_step_t STEP[CS_COUNT_][CE_COUNT_] =
    {
        [CS_DOWN] =
            {
                [CE_START] = GO(CS_STARTING, ACT_SPAWN, "wanted"),
                [CE_STOP] = IGNORED(CS_DOWN),
                [CE_READY] = IGNORED(CS_DOWN), /* a late answer of the process before */
                [CE_EXIT_DONE] = IGNORED(CS_DOWN),
                [CE_EXIT_AGAIN] = IGNORED(CS_DOWN),
                [CE_EXIT_FINAL] = IGNORED(CS_DOWN),
                [CE_TIMEOUT] = IGNORED(CS_DOWN),
            },
        [CS_STARTING] =
            {
                [CE_START] = IGNORED(CS_STARTING),
                [CE_STOP] = GO(CS_STOPPING, ACT_TERM, "stopped while starting"),
                [CE_READY] = GO(CS_UP, ACT_NONE, "ready"),
                [CE_EXIT_DONE] = GO(CS_DONE, ACT_NONE, "done"),
                [CE_EXIT_AGAIN] = GO(CS_BACKOFF, ACT_NONE, "died while starting"),
                [CE_EXIT_FINAL] = GO(CS_FAILED, ACT_NONE, "failed"),
                [CE_TIMEOUT] = GO(CS_BOUNCING, ACT_KILL, "not ready in time"),
            },
        [CS_UP] =
            {
                [CE_START] = IGNORED(CS_UP),
                [CE_STOP] = GO(CS_STOPPING, ACT_TERM, "stop"),
                [CE_READY] = IGNORED(CS_UP),
                [CE_EXIT_DONE] = GO(CS_DONE, ACT_NONE, "done"),
                [CE_EXIT_AGAIN] = GO(CS_BACKOFF, ACT_NONE, "died"),
                [CE_EXIT_FINAL] = GO(CS_FAILED, ACT_NONE, "died too often"),
                [CE_TIMEOUT] = GO(CS_BOUNCING, ACT_KILL, "does not answer"), /* child_bounce */
            },
        [CS_BOUNCING] =
            {
                [CE_START] = IGNORED(CS_BOUNCING),
                [CE_STOP] = GO(CS_STOPPING, ACT_TERM, "stop"),
                [CE_READY] = IGNORED(CS_BOUNCING),
                [CE_EXIT_DONE] = GO(CS_BACKOFF, ACT_NONE, "ended for the restart"),
                [CE_EXIT_AGAIN] = GO(CS_BACKOFF, ACT_NONE, "ended for the restart"),
                [CE_EXIT_FINAL] = GO(CS_FAILED, ACT_NONE, "died too often"),
                [CE_TIMEOUT] = GO(CS_BOUNCING, ACT_KILL, "grace over"),
            },
        [CS_BACKOFF] =
            {
                [CE_START] = IGNORED(CS_BACKOFF), /* the delay is a state: no path around it */
                [CE_STOP] = GO(CS_DOWN, ACT_NONE, "stop"),
                [CE_READY] = IGNORED(CS_BACKOFF),
                [CE_EXIT_DONE] = IGNORED(CS_BACKOFF),
                [CE_EXIT_AGAIN] = IGNORED(CS_BACKOFF),
                [CE_EXIT_FINAL] = IGNORED(CS_BACKOFF),
                [CE_TIMEOUT] = GO(CS_STARTING, ACT_SPAWN, "tried again"),
            },
        [CS_STOPPING] =
            {
                [CE_START] = IGNORED(CS_STOPPING), /* starts from DOWN if still wanted then */
                [CE_STOP] = IGNORED(CS_STOPPING),
                [CE_READY] = IGNORED(CS_STOPPING),
                [CE_EXIT_DONE] = GO(CS_DOWN, ACT_NONE, "stopped"),
                [CE_EXIT_AGAIN] = GO(CS_DOWN, ACT_NONE, "stopped"),
                [CE_EXIT_FINAL] = GO(CS_DOWN, ACT_NONE, "stopped"),
                [CE_TIMEOUT] = GO(CS_INSISTING, ACT_INSIST, "grace nearly over"),
            },
        [CS_INSISTING] =
            {
                [CE_START] = IGNORED(CS_INSISTING),
                [CE_STOP] = IGNORED(CS_INSISTING),
                [CE_READY] = IGNORED(CS_INSISTING),
                [CE_EXIT_DONE] = GO(CS_DOWN, ACT_NONE, "stopped, cut short"),
                [CE_EXIT_AGAIN] = GO(CS_DOWN, ACT_NONE, "stopped, cut short"),
                [CE_EXIT_FINAL] = GO(CS_DOWN, ACT_NONE, "stopped, cut short"),
                [CE_TIMEOUT] = GO(CS_KILLING, ACT_KILL, "grace over"),
            },
        [CS_KILLING] =
            {
                [CE_START] = IGNORED(CS_KILLING),
                [CE_STOP] = IGNORED(CS_KILLING),
                [CE_READY] = IGNORED(CS_KILLING),
                [CE_EXIT_DONE] = GO(CS_DOWN, ACT_NONE, "killed"),
                [CE_EXIT_AGAIN] = GO(CS_DOWN, ACT_NONE, "killed"),
                [CE_EXIT_FINAL] = GO(CS_DOWN, ACT_NONE, "killed"),
                [CE_TIMEOUT] = GO(CS_KILLING, ACT_KILL, "still there after SIGKILL"),
            },
        [CS_FAILED] =
            {
                [CE_START] = IGNORED(CS_FAILED),
                [CE_STOP] = GO(CS_DOWN, ACT_NONE, "stop"),
                [CE_READY] = IGNORED(CS_FAILED),
                [CE_EXIT_DONE] = IGNORED(CS_FAILED),
                [CE_EXIT_AGAIN] = IGNORED(CS_FAILED),
                [CE_EXIT_FINAL] = IGNORED(CS_FAILED),
                [CE_TIMEOUT] = IGNORED(CS_FAILED),
            },
        [CS_DONE] =
            {
                [CE_START] = IGNORED(CS_DONE),
                [CE_STOP] = GO(CS_DOWN, ACT_NONE, "no longer wanted"),
                [CE_READY] = IGNORED(CS_DONE),
                [CE_EXIT_DONE] = IGNORED(CS_DONE),
                [CE_EXIT_AGAIN] = IGNORED(CS_DONE),
                [CE_EXIT_FINAL] = IGNORED(CS_DONE),
                [CE_TIMEOUT] = IGNORED(CS_DONE),
            },
};

static const child_deadline_t DEADLINE[CS_COUNT_] = {
    [CS_DOWN] = DL_NONE,       [CS_STARTING] = DL_START, [CS_UP] = DL_NONE,          [CS_BOUNCING] = DL_KILL,
    [CS_BACKOFF] = DL_BACKOFF, [CS_STOPPING] = DL_GRACE, [CS_INSISTING] = DL_INSIST, [CS_KILLING] = DL_KILL,
    [CS_FAILED] = DL_NONE,     [CS_DONE] = DL_NONE,
};

static const char *const STATE_NAME[CS_COUNT_] = {
    [CS_DOWN] = "down",           [CS_STARTING] = "starting", [CS_UP] = "up",
    [CS_BOUNCING] = "bouncing",   [CS_BACKOFF] = "backoff",   [CS_STOPPING] = "stopping",
    [CS_INSISTING] = "insisting", [CS_KILLING] = "killing",   [CS_FAILED] = "failed",
    [CS_DONE] = "done",
};

static const char *const EVENT_NAME[CE_COUNT_] = {
    [CE_START] = "start",           [CE_STOP] = "stop",
    [CE_READY] = "ready",           [CE_EXIT_DONE] = "exit-done",
    [CE_EXIT_AGAIN] = "exit-again", [CE_EXIT_FINAL] = "exit-final",
    [CE_TIMEOUT] = "timeout",
};

const child_step_t *child_fsm_step(child_state_t state, child_event_t event) { return &STEP[state][event]; }
child_deadline_t child_fsm_deadline(child_state_t state) { return DEADLINE[state]; }
const char *child_state_name(child_state_t state) { return STATE_NAME[state]; }
const char *child_event_name(child_event_t event) { return EVENT_NAME[event]; }

void child_fsm_print(FILE *out)
{
    fputs("stateDiagram-v2\n    [*] --> down\n", out);
    for (int s = 0; s < CS_COUNT_; s++)
        for (int e = 0; e < CE_COUNT_; e++)
            if (STEP[s][e].why)
                fprintf(out, "    %s --> %s: %s (%s)\n", STATE_NAME[s], STATE_NAME[STEP[s][e].next],
                        EVENT_NAME[e], STEP[s][e].why);
}
