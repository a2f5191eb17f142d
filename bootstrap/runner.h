/* runner.h - the one place of this program where children are made: a program with its output caught, or a few lines of C as
 * another user. Blocks until the child has ended or its time is over (then it is killed). */
#ifndef MOODLECTL_BOOTSTRAP_RUNNER_H
#define MOODLECTL_BOOTSTRAP_RUNNER_H

#include "base/buf.h"
#include "base/err.h"
#include <sys/types.h>

typedef struct runner_user {
    uid_t uid; /* used when we are root */
    gid_t gid;
} runner_user_t;

/* Runs argv[0] with a small fixed environment. ret_out and ret_err get at most 64 KiB each (ret_err may be ret_out).
 * Gives the exit status, 128 + signal, or -1 with *err. */
int runner_program(char *const argv[], const runner_user_t *user, int timeout_ms, buf_t *ret_out,
                   buf_t *ret_err, err_t *err);

/* Runs fn(arg) in a child as `user`. Gives what fn returned (0..125), or -1 with *err. */
int runner_call(int (*fn)(void *arg), void *arg, const runner_user_t *user, int timeout_ms, err_t *err);

#endif
