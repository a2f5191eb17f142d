/* keeper_child.h - the keeper process itself and the program below it; what happens after the forks. */
#ifndef MOODLECTL_COORD_KEEPER_CHILD_H
#define MOODLECTL_COORD_KEEPER_CHILD_H

#include "coord/keeper.h"

enum { KEEPER_CONTROL, KEEPER_RESULT, KEEPER_OUT, KEEPER_ERR, KEEPER_IN, KEEPER_PIPES };
enum { KEEPER_SAY_TERM = 'T', KEEPER_SAY_KILL = 'K' };

_Noreturn void keeper_main(const keeper_spec_t *spec, int pipes[KEEPER_PIPES][2], _Atomic uint64_t *deadline,
                           _Atomic int *group, pid_t role);

#endif
