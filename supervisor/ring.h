/* ring.h - a bounded queue of lines, oldest first. Pure. Memory grows on demand up to the limit and is given back when empty. */
#ifndef MOODLECTL_SUPERVISOR_RING_H
#define MOODLECTL_SUPERVISOR_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_TAGS = 24 }; /* whose line it is: 0 to 23 */

typedef struct ring {
    char *data;
    size_t cap, head, used; /* bytes; head: offset of the oldest record */
    size_t limit;
    uint64_t dropped[RING_TAGS]; /* lines lost since ring_take_dropped */
} ring_t;

void ring_init(ring_t *r, size_t limit);
/* Appends a line with its sequence number and its owner; drops the oldest lines when the limit is reached. */
void ring_push(ring_t *r, uint64_t seq, unsigned tag, const char *bytes, size_t len);
bool ring_is_empty(const ring_t *r);
uint64_t ring_next_seq(const ring_t *r); /* of the oldest line; UINT64_MAX when empty */
size_t ring_pop(ring_t *r, char *to,
                size_t room); /* moves the oldest line out; 0: none, or it does not fit */
uint64_t ring_take_dropped(ring_t *r, unsigned tag); /* reads and resets the counter */
void ring_free(ring_t *r);

#endif
