/* replica.h - the life of one member in the protocol, for one purpose: a pure table (state, event) -> state. */
#ifndef MOODLECTL_COORD_REPLICA_H
#define MOODLECTL_COORD_REPLICA_H

#include <stdio.h>

typedef enum {
    REPLICA_CONNECT,   /* log in, check that this is a writer and no pooler */
    REPLICA_REFUSED,   /* it is not: try again slowly */
    REPLICA_WATCH,     /* read state, decide */
    REPLICA_SATISFIED, /* nothing to do: look again later, without keeping a session */
    REPLICA_HELD,      /* a person is needed; looks again too */
    REPLICA_WAITING,   /* work is needed, or somebody else does it: try the lock */
    REPLICA_CLAIMED,   /* the lead lock is ours: bump the epoch */
    REPLICA_GRACE,     /* wait for the predecessor's deadline, end its work session */
    REPLICA_RECHECK,   /* read state again under the lock, decide again */
    REPLICA_LEADING,   /* the job runs under the keeper */
    REPLICA_STOPPED,   /* leadership is over: the child is dead, the session is closed */
    REPLICA_COUNT_
} replica_state_t;

typedef enum {
    REPLICA_EV_OK,      /* the state's own step went well */
    REPLICA_EV_FAILED,  /* it did not: session lost, CAS lost, lock lost */
    REPLICA_EV_REFUSED, /* reader, pooler, multi-primary */
    REPLICA_EV_NOTHING, /* decision: fits */
    REPLICA_EV_HOLD,    /* decision: a person */
    REPLICA_EV_NEEDED,  /* decision: work, by us or somebody else */
    REPLICA_EV_BUSY,    /* the lock is somebody else's */
    REPLICA_EV_TIME,    /* the pause is over */
    REPLICA_EV_COUNT_
} replica_event_t;

replica_state_t replica_next(replica_state_t s, replica_event_t ev); /* REPLICA_COUNT_: impossible */
const char *replica_name(replica_state_t s);
const char *replica_event_name(replica_event_t ev);
void replica_print(FILE *out); /* the table as a Mermaid state diagram, for ARCHITECTURE.md */

#endif
