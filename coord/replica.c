#include "coord/replica.h"

static const char *const STATES[] = {
    [REPLICA_CONNECT] = "connect",     [REPLICA_REFUSED] = "refused", [REPLICA_WATCH] = "watch",
    [REPLICA_SATISFIED] = "satisfied", [REPLICA_HELD] = "held",       [REPLICA_WAITING] = "waiting",
    [REPLICA_CLAIMED] = "claimed",     [REPLICA_GRACE] = "grace",     [REPLICA_RECHECK] = "recheck",
    [REPLICA_LEADING] = "leading",     [REPLICA_STOPPED] = "stopped",
};
static const char *const EVENTS[] = {
    [REPLICA_EV_OK] = "ok",           [REPLICA_EV_FAILED] = "failed", [REPLICA_EV_REFUSED] = "refused",
    [REPLICA_EV_NOTHING] = "nothing", [REPLICA_EV_HOLD] = "hold",     [REPLICA_EV_NEEDED] = "needed",
    [REPLICA_EV_BUSY] = "busy",       [REPLICA_EV_TIME] = "time",
};

/* Cells hold state + 1, so that a cell nobody wrote is "impossible". */
#define TO(s) (REPLICA_##s + 1)
static const unsigned char NEXT[REPLICA_COUNT_][REPLICA_EV_COUNT_] = {
    [REPLICA_CONNECT] =
        {[REPLICA_EV_OK] = TO(WATCH), [REPLICA_EV_FAILED] = TO(CONNECT), [REPLICA_EV_REFUSED] = TO(REFUSED)},
    [REPLICA_REFUSED] = {[REPLICA_EV_TIME] = TO(CONNECT)},
    [REPLICA_WATCH] = {[REPLICA_EV_NOTHING] = TO(SATISFIED),
                       [REPLICA_EV_HOLD] = TO(HELD),
                       [REPLICA_EV_NEEDED] = TO(WAITING),
                       [REPLICA_EV_FAILED] = TO(CONNECT)},
    [REPLICA_SATISFIED] = {[REPLICA_EV_TIME] = TO(CONNECT)},
    [REPLICA_HELD] = {[REPLICA_EV_TIME] = TO(CONNECT)},
    [REPLICA_WAITING] =
        {[REPLICA_EV_OK] = TO(CLAIMED), [REPLICA_EV_BUSY] = TO(WATCH), [REPLICA_EV_FAILED] = TO(CONNECT)},
    [REPLICA_CLAIMED] = {[REPLICA_EV_OK] = TO(GRACE), [REPLICA_EV_FAILED] = TO(STOPPED)},
    [REPLICA_GRACE] = {[REPLICA_EV_OK] = TO(RECHECK), [REPLICA_EV_FAILED] = TO(STOPPED)},
    [REPLICA_RECHECK] = {[REPLICA_EV_NEEDED] = TO(LEADING),
                         [REPLICA_EV_NOTHING] = TO(STOPPED),
                         [REPLICA_EV_HOLD] = TO(STOPPED),
                         [REPLICA_EV_FAILED] = TO(STOPPED)},
    [REPLICA_LEADING] = {[REPLICA_EV_OK] = TO(STOPPED), [REPLICA_EV_FAILED] = TO(STOPPED)},
    [REPLICA_STOPPED] = {[REPLICA_EV_OK] = TO(CONNECT)},
};

replica_state_t replica_next(replica_state_t s, replica_event_t ev)
{
    if (s >= REPLICA_COUNT_ || ev >= REPLICA_EV_COUNT_ || NEXT[s][ev] == 0) return REPLICA_COUNT_;
    return (replica_state_t)(NEXT[s][ev] - 1);
}

const char *replica_name(replica_state_t s) { return s < REPLICA_COUNT_ ? STATES[s] : "?"; }
const char *replica_event_name(replica_event_t ev) { return ev < REPLICA_EV_COUNT_ ? EVENTS[ev] : "?"; }

void replica_print(FILE *out)
{
    fprintf(out, "stateDiagram-v2\n    [*] --> %s\n", STATES[REPLICA_CONNECT]);
    for (int s = 0; s < REPLICA_COUNT_; s++)
        for (int e = 0; e < REPLICA_EV_COUNT_; e++)
            if (NEXT[s][e]) fprintf(out, "    %s --> %s: %s\n", STATES[s], STATES[NEXT[s][e] - 1], EVENTS[e]);
}
