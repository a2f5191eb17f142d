/* keeper.h - runs one program so that it never outlives the lease. The keeper is a process between a role and the program:
 * it kills the program's whole process group, and everything that reparented to it, when the published deadline passes by
 * its own clock (a hung or stopped role cannot), when the role dies (its end of a pipe closes), or when it is told to.
 * The program also has a parent-death signal, for the case that the keeper itself is killed.
 * keeper_start blocks for a fork only; nothing else blocks. */
#ifndef MOODLECTL_COORD_KEEPER_H
#define MOODLECTL_COORD_KEEPER_H

#include "base/err.h"
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum { KEEPER_EXITED, KEEPER_DEADLINE, KEEPER_TOLD, KEEPER_ORPHANED } keeper_why_t;
typedef struct keeper_result {
    keeper_why_t
        why; /* why the program ended: by itself (or by our SIGTERM), at the deadline, killed on request, role gone */
    int status; /* of waitpid */
} keeper_result_t;

typedef struct keeper_spec {
    char *const *argv; /* argv[0]: path */
    char *const *envp; /* the whole environment */
    const char *dir;   /* working directory; NULL: / */
    uid_t uid;
    gid_t gid;          /* applied when we are root */
    const char *input;  /* for its standard input; NULL: /dev/null. At most 60 KiB */
    uint64_t margin_ms; /* do not start when less is left until the deadline */
    int hold_fd;        /* stays open in the keeper while the program lives (the lease's socket); -1: none */
} keeper_spec_t;

typedef struct keeper {
    pid_t pid;
    int control;  /* we write; its end of file tells the keeper that the role is dead */
    int result;   /* we read one keeper_result_t; end of file without it: the keeper was killed */
    int out, err; /* the program's output */
    _Atomic uint64_t *deadline; /* shared memory, CLOCK_BOOTTIME ms; 0: none. The role moves it */
    _Atomic int *group;         /* shared memory: process group of the program, 0 before it runs */
} keeper_t;

/* The shared deadline must be set before (keeper_prepare maps it, with `deadline_ms`). */
int keeper_prepare(keeper_t *k, uint64_t deadline_ms, err_t *err);
int keeper_start(keeper_t *k, const keeper_spec_t *spec, err_t *err);
void keeper_term(keeper_t *k); /* SIGTERM to the program's group */
void keeper_kill(keeper_t *k); /* SIGKILL */
/* When `result` is readable. Reaps the keeper. If the keeper was killed, all that the program left is killed here: this process
 * is its subreaper, and must have no other children. */
keeper_result_t keeper_finish(keeper_t *k);
void keeper_free(keeper_t *k); /* closes; kills what still runs */

#endif
