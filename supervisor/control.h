/* control.h - the local control socket: one JSON object a line each way, mode 0600, the peer's uid checked (unix(7),
 * SO_PEERCRED). Never blocks: a client that does not read its answer loses it. */
#ifndef MOODLECTL_SUPERVISOR_CONTROL_H
#define MOODLECTL_SUPERVISOR_CONTROL_H

#include "supervisor/member.h"

int control_open(member_t *m, err_t *err); /* once the run directory is there */
void control_close(void);
json_t *control_answer(member_t *m, const json_t *request); /* new reference */
/* A request as it came; the answer without its newline, for free(). NULL: out of memory. */
char *control_reply(member_t *m, const char *line, size_t len);

#endif
