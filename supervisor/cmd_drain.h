/* cmd_drain.h - the plan of a stop, in words. */
#ifndef MOODLECTL_SUPERVISOR_CMD_DRAIN_H
#define MOODLECTL_SUPERVISOR_CMD_DRAIN_H

#include "base/buf.h"
#include "base/settings.h"

void cmd_drain_arithmetic(buf_t *out,
                          const settings_t *s); /* each part, how it is reckoned and who is told */
void cmd_drain_arithmetic_json(buf_t *out, const settings_t *s); /* one JSON object */

#endif
