/* protocol_state.h - one state of the model, packed: a word for each member and one for the database; and the names of the steps. */
#ifndef MOODLECTL_TESTS_MODEL_PROTOCOL_STATE_H
#define MOODLECTL_TESTS_MODEL_PROTOCOL_STATE_H

#include "tests/model/protocol.h"

enum { HALT_NONE, HALT_HUNG, HALT_FROZEN };
enum { BEAT_NONE, BEAT_SENT, BEAT_GOOD, BEAT_BAD }; /* good, bad: the answer is under way */
enum { HOLD_NONE, HOLD_OURS, HOLD_ORPHAN }; /* orphan: the server holds it for a client that is gone */
enum {
    SCRIPT_NONE,
    SCRIPT_FORKED,
    SCRIPT_FENCED,
    SCRIPT_WORKS
};                                           /* fenced: in the middle of templates/fence.php */
enum { GHOST_NONE, GHOST_IDLE, GHOST_RUNS }; /* session of a dead script; runs: and its statement */

typedef union {
    struct {
        uint64_t alive : 1, halt : 2, cut : 1;
        uint64_t state : 4; /* replica_state_t; REPLICA_COUNT_: ended by an impossible event */
        uint64_t sess : 1, hold : 2;
        uint64_t epoch : 4,
            term : 4; /* the epoch's number, and who was before whom: a loss gives numbers again */
        uint64_t age : 4, grace : 4; /* age: of the last good heartbeat, since its sending */
        uint64_t beat : 2, beat_age : 4;
        uint64_t script : 2, conn : 1, stmt : 1;
        uint64_t ran : 1; /* deploy: one script an epoch */
        uint64_t stale : 1,
            superseded : 1; /* a newer script has begun; a script of this leader would be stale */
        uint64_t ghost : 2, ghost_stale : 1, ghost_term : 4;
    };
    uint64_t word;
} member_t;

typedef union {
    struct {
        uint64_t silent : 4;          /* since the last sign of the lead session */
        uint64_t age : 4;             /* of heartbeat_at */
        uint64_t clean : 1;           /* phase is "released" */
        uint64_t same : 1;            /* server_id in the row is this server's */
        uint64_t epoch : 4, term : 4; /* the row: number and holder */
        uint64_t faults : 4;          /* left */
        uint64_t done : 1;            /* what Moodle's tables say */
        uint64_t twice : 1;           /* work began though it was done */
        uint64_t can_lose : 1, old_clean : 1, old_done : 1, old_term : 4; /* before the last raise */
    };
    uint64_t word;
} database_t;

typedef struct {
    int n;
    member_t m[MEMBERS_MAX];
    database_t db;
} world_t;

#define STEPS(X)                                                                                             \
    X(TRY, "gets the lead lock")                                                                             \
    X(NO_LOCK, "goes on without the lock")                                                                   \
    X(CLAIM, "raises the epoch")                                                                             \
    X(EVICT_WORK, "ends the session that owns the work lock")                                                \
    X(GRACE_OVER, "has waited the grace; nobody owns the work lock")                                         \
    X(NOTHING, "finds nothing to do, or a person is needed: releases")                                       \
    X(NEEDED, "finds that work is needed")                                                                   \
    X(FORK, "starts its script")                                                                             \
    X(RELEASE, "writes \"released\" and unlocks")                                                            \
    X(RELEASE_EARLY, "writes \"released\" while its script runs")                                            \
    X(BEAT_SEND, "sends a heartbeat")                                                                        \
    X(BEAT_GOOD, ": the server accepts the heartbeat")                                                       \
    X(BEAT_BAD, ": the server refuses the heartbeat")                                                        \
    X(BEAT_ANSWER, "gets the answer: a new deadline")                                                        \
    X(REFUSED, "gets the refusal: kills its script, stops")                                                  \
    X(GIVE_UP, "gets no answer and gives its session up")                                                    \
    X(RELOCK, "takes the lock again in a new session")                                                       \
    X(DEADLINE, "reaches its deadline: kills its script, stops")                                             \
    X(CLOSED, "sees its session closed: kills its script, stops")                                            \
    X(KEEPER, ": the keeper kills the script at the deadline")                                               \
    X(WORK_LOCK, ": the script takes the work lock")                                                         \
    X(EPOCH_READ, ": the script reads its own epoch in the row")                                             \
    X(BEGIN, ": the script BEGINS TO WORK")                                                                  \
    X(FENCE_BUSY, ": the script does not get the work lock and ends")                                        \
    X(FENCE_EPOCH, ": the script sees another epoch and ends")                                               \
    X(SCRIPT_LOST, ": the script's session is gone; it ends")                                                \
    X(STMT, ": the script sends a statement")                                                                \
    X(STMT_END, ": the statement ends")                                                                      \
    X(SCRIPT_DONE, ": the script ends well")                                                                 \
    X(SCRIPT_FAILED, ": the script ends with a failure")                                                     \
    X(GHOST_END, ": what the dead script left in the server ends")                                           \
    X(FIN, ": the server learns that the client is gone, frees the lock")                                    \
    X(IDLE, ": the server ends the silent lead session")                                                     \
    X(EVICT_LEAD, "ends the stale lead session of another member")                                           \
    X(TICK, "time passes")                                                                                   \
    X(START, "is started again")                                                                             \
    X(RESUME, "goes on")                                                                                     \
    X(HEAL, "reaches the database again")                                                                    \
    X(CRASH, "IS KILLED")                                                                                    \
    X(FREEZE, "FREEZES, keeper and script too")                                                              \
    X(HANG, "HANGS; its keeper and its script live on")                                                      \
    X(CUT, "IS CUT OFF from the database")                                                                   \
    X(SESSION_END, ": THE DATABASE ENDS THE LEAD SESSION")                                                   \
    X(LOCK_GONE, ": THE LOCK IS GONE, the session lives")                                                    \
    X(SCRIPT_KILLED, ": THE SCRIPT IS KILLED")                                                               \
    X(RESTART, "THE DATABASE RESTARTS, or another server takes over")                                        \
    X(LOSS, "ANOTHER SERVER TAKES OVER WITHOUT THE LAST RAISE of the epoch")

typedef enum {
#define X(name, words) STEP_##name,
    STEPS(X)
#undef X
        STEP_COUNT_,
    STEP_FIRST_LUCK = STEP_START, /* from here on: faults and their ends */
} step_t;

#endif
