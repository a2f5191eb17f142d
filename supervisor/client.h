/* client.h - one question to the running instance over its control socket. Blocks, within a time limit: commands only. */
#ifndef MOODLECTL_SUPERVISOR_CLIENT_H
#define MOODLECTL_SUPERVISOR_CLIENT_H

#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

enum { CLIENT_TIMEOUT_MS = 5000 };

/* Sends `request` (steals the reference) as one line and reads one line back. An answer with "ok":false becomes an error
 * with the answer's id. The caller owns *ret_reply. ERR_NOT_RUNNING: nobody answers; ERR_CONTROL: not allowed. */
int client_call(const char *run_dir, json_t *request, uint64_t timeout_ms, json_t **ret_reply, err_t *err);

#endif
