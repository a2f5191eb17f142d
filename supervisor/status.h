/* status.h - what the outside sees: the state files that nginx looks at, the health bodies, the holding page, `status`. */
#ifndef MOODLECTL_SUPERVISOR_STATUS_H
#define MOODLECTL_SUPERVISOR_STATUS_H

#include "base/buf.h"
#include "supervisor/member.h"

/* What no longer holds is taken away, in one or two system calls: /-/ready turns, nginx hands no request to PHP any more. */
void status_close(member_t *m);
void status_write(member_t *m); /* state files, health bodies and page, now; tmpfs, so it does not block */
void status_page_soon(member_t *m);     /* the page and ready.json, at most once a second */
json_t *status_json(const member_t *m); /* new reference */
bool status_is_healthy(const member_t *m, const char *what); /* "live", "ready", "startup" */
void status_holding_page(const member_t *m, buf_t *ret);     /* pure */

#endif
