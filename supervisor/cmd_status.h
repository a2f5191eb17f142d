/* cmd_status.h - the answer to `status` as text for people. Pure. */
#ifndef MOODLECTL_SUPERVISOR_CMD_STATUS_H
#define MOODLECTL_SUPERVISOR_CMD_STATUS_H

#include "base/buf.h"
#include <jansson.h>
#include <stdbool.h>

/* What the answer does not hold is left out; nothing in it can steer the terminal. */
void cmd_status_text(const json_t *status, bool colour, buf_t *out);

#endif
