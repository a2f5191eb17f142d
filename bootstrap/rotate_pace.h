/* rotate_pace.h - when role secrets looks next: a slow poll, a backoff while something is not settled, and a bounded answer to
 * suspicions. Pure: the time (clock_ms) is an argument; the caller adds the jitter. */
#ifndef MOODLECTL_BOOTSTRAP_ROTATE_PACE_H
#define MOODLECTL_BOOTSTRAP_ROTATE_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ROTATE_RETRY_MS = 2000, /* first retry; doubles */
    ROTATE_RETRIES = 6,     /* 2 + 4 + ... + 64 s; then at the poll's pace */
    ROTATE_LOOK_MS = 2000,  /* after a suspicion that was wrong; doubles */
    ROTATE_LOOK_MAX_MS = 60000,
};

typedef struct rotate_pace {
    uint64_t interval_ms, look_gap_ms, looked_ms, look_due_ms; /* look_due 0: nobody suspects anything */
    unsigned failures;                                         /* rounds in a row that settled nothing */
} rotate_pace_t;

/* How long until the next round of our own accord, before jitter. */
uint64_t rotate_pace_delay_ms(const rotate_pace_t *p);
void rotate_pace_note(rotate_pace_t *p, bool settled);
/* Somebody was refused a login. The first one is believed at once; after one that was wrong the next has to wait, twice as long each
 * time. Nothing new while a retry is due anyway. */
void rotate_pace_suspect(rotate_pace_t *p, uint64_t now_ms);
bool rotate_pace_look_due(const rotate_pace_t *p, uint64_t now_ms);
void rotate_pace_looked(rotate_pace_t *p, uint64_t now_ms, bool was_right);

#endif
