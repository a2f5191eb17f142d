/* protocol.h - the coordination protocol as a model for space.h: N members, one purpose, discrete time, faults.
 * What the product decides by a table or a formula is taken from coord/ itself: the life of a member (replica_next), the grace
 * (lease_grace_left) and the times (lease_times_make). The rest of the steps is written here, beside the function that it stands for. */
#ifndef MOODLECTL_TESTS_MODEL_PROTOCOL_H
#define MOODLECTL_TESTS_MODEL_PROTOCOL_H

#include "coord/lease.h"
#include "coord/replica.h"
#include "tests/model/space.h"

enum { MEMBERS_MAX = SPACE_WORDS - 1, TICKS_MAX = 15 };

/* Times in ticks. Only their order matters, so a tick is no second: see protocol_ticks(). */
typedef struct {
    int idle, deadline, grace, evict;
} ticks_t;
ticks_t protocol_ticks(const lease_times_t *t);

typedef enum {
    FAULT_CRASH = 1,    /* a container is killed */
    FAULT_FREEZE = 2,   /* a container stands still, and its clock with it */
    FAULT_HANG = 4,     /* the role stands still; keeper and script live on */
    FAULT_CUT = 8,      /* nothing passes between a member and the database */
    FAULT_SESSION = 16, /* the database ends a lead session */
    FAULT_LOCK = 32,    /* the lead lock is gone though its session lives (a proxy over a failover) */
    FAULT_RESTART = 64, /* the database restarts, or another server with another clock takes over */
    FAULT_SCRIPT = 128, /* a script is killed alone */
    FAULT_LOSS =
        256, /* another server takes over, without the last raise of the epoch and all that came after it */
    FAULT_ALL = 511,
} fault_t;

/* The parts of the protocol, each of which a variant may leave out. */
typedef struct {
    bool deadline;      /* a leader gives up when its deadline has passed */
    bool from_reply;    /* bug: the deadline counts from the answer, not from the sending */
    bool keeper;        /* the deadline kills the script though the role hangs */
    bool grace;         /* an unclean predecessor is waited for */
    bool idle;          /* the server ends silent lead sessions */
    bool evict_lead;    /* a rival ends a lead session whose heartbeat is too old */
    bool evict_work;    /* the owner of the work lock is ended before the own script starts */
    bool work_lock;     /* the script's session takes the work lock */
    bool fence_epoch;   /* ... and then looks whether its epoch is still the newest */
    bool fence_holder;  /* ... and whether it is its own leader's */
    bool fence_first;   /* bug: it looks first, and takes the lock then */
    bool beat_lock;     /* a heartbeat proves that the lock is ours */
    bool beat_row;      /* a heartbeat proves that the row is ours */
    bool relock;        /* a lost session may be taken up again */
    bool relock_row;    /* ... if the row is still ours */
    bool relock_late;   /* bug: ... even after the deadline */
    bool foreign_age;   /* bug: ages by the clock of another server count */
    bool old_release;   /* bug: so does a "released" from before a failover */
    bool early_release; /* bug: the row says "released" while the script still runs */
    ticks_t ticks;
    unsigned char next[REPLICA_COUNT_][REPLICA_EV_COUNT_]; /* coord/replica.c, or a mutant of it */
} parts_t;
void protocol_parts(parts_t *ret); /* as implemented */

typedef enum { CHECK_S, CHECK_X, CHECK_O } check_t;
typedef struct {
    parts_t parts;
    int members, faults, kinds;
    check_t check;
    unsigned char grace_left[2][2][TICKS_MAX + 1]; /* by lease_grace_left: [clean][same server][age] */
} protocol_t;

/* `live`: the model asks for liveness, too. */
void protocol_init(protocol_t *p, const parts_t *parts, int members, int faults, int kinds, check_t check);
space_model_t protocol_model(const protocol_t *p, bool live);
void protocol_show(const void *self, const space_state_t *after,
                   space_step_t step); /* a step in plain words */

#endif
