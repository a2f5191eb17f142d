/* door.h - lets no new TCP connection in to sockets on which another process listens, a moment before it closes them. What the kernel has
 * taken by then is still accepted; without this, a connection that comes between the last accept(2) and the close is reset. */
#ifndef MOODLECTL_SUPERVISOR_DOOR_H
#define MOODLECTL_SUPERVISOR_DOOR_H

#include <stdbool.h>
#include <sys/types.h>

enum { DOOR_MS = 50 }; /* what is half open needs one more round trip, and nginx a turn to accept it */

/* Borrows the process's sockets (pidfd_getfd(2): needs to be allowed to trace it; some container runtimes forbid that). false: no door was
 * shut, and nothing has changed. Does not block. */
bool door_shut(pid_t pid);

#endif
