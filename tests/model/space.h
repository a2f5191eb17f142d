/* space.h - the engine of the model checker: all states that a model can reach, breadth first, so that the first violation found has
 * a shortest trace. It knows nothing about the protocol. Memory: about 56 bytes a state (3 members), 8 more an edge for liveness. */
#ifndef MOODLECTL_TESTS_MODEL_SPACE_H
#define MOODLECTL_TESTS_MODEL_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPACE_WORDS = 5 };
typedef struct {
    uint64_t w[SPACE_WORDS];
} space_state_t; /* unused words are 0 */

/* What a step is: `what` is the model's own number, `who` the member it is about. */
typedef struct {
    uint8_t what, who;
    bool luck; /* a fault or its end: liveness must not count on it */
} space_step_t;

typedef struct space space_t;
typedef void space_emit_t(space_t *s, const space_state_t *next, space_step_t step);

typedef struct {
    const void *self;
    int words; /* of a state that are used */
    void (*first)(const void *self, space_state_t *ret);
    /* Calls `emit` for each successor, not in canonical form. */
    void (*next)(const void *self, const space_state_t *s, space_emit_t *emit, space_t *arg);
    void (*canon)(const void *self,
                  space_state_t *s); /* one representative of states that differ in names only */
    bool (*bad)(const void *self, const space_state_t *s);
    bool (*goal)(const void *self, const space_state_t *s);    /* NULL: liveness is not asked */
    bool (*healthy)(const void *self, const space_state_t *s); /* from here the goal must be reachable */
} space_model_t;

typedef enum { SPACE_HOLDS, SPACE_VIOLATED, SPACE_UNDECIDED } space_verdict_t;
typedef struct {
    space_verdict_t verdict, live;
    size_t states, stuck; /* stuck: healthy states from which the goal cannot be reached */
    uint32_t witness;     /* the violating, or a stuck state */
} space_result_t;

space_t *space_explore(const space_model_t *m, size_t limit, space_result_t *ret);
/* The shortest way to state `to`, with the members' names kept the same from step to step. */
void space_trace(space_t *s, uint32_t to,
                 void (*show)(const void *self, const space_state_t *after, space_step_t step));
void space_free(space_t *s);

#endif
