/* strays.h - processes that are our children by adoption: their parents died. Reads /proc, which does not block. */
#ifndef MOODLECTL_SUPERVISOR_STRAYS_H
#define MOODLECTL_SUPERVISOR_STRAYS_H

#include <signal.h>
#include <stdbool.h>

/* Signals every living process whose parent we are; the caller makes sure that none is a service. Returns how many.
 * A process of another parent (ECS Exec's shells, health checks) is never touched. */
unsigned strays_signal(int sig, bool name_them);

#endif
