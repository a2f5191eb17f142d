/* ask.h - one question to a server on a unix socket and its one answer, without blocking and with a deadline.
 * Below fcgi.h and nginx_load.h. */
#ifndef MOODLECTL_SUPERVISOR_ASK_H
#define MOODLECTL_SUPERVISOR_ASK_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { ASK_REQUEST_MAX = 512, ASK_ANSWER_MAX = 1 << 20 };

typedef struct ask ask_t;
typedef bool ask_whole_fn(const unsigned char *bytes, size_t len); /* is the answer there? */
/* `bytes`: the answer, about ASK_ANSWER_MAX at most; NULL when it failed with err. The question is already closed. */
typedef void ask_fn(void *arg, const unsigned char *bytes, size_t len, const err_t *err);

/* Calls fn exactly once, later, unless cancelled. `whole` NULL: the answer ends with the connection. `who` names the server in
 * errors and must live as long. NULL: out of memory. */
ask_t *ask_unix(uv_loop_t *loop, const char *path, const char *who, const void *request, size_t len,
                ask_whole_fn *whole, uint64_t ms, ask_fn *fn, void *arg);
void ask_cancel(ask_t **a); /* NULL-safe; fn is not called any more */

#endif
