/* role.h - how a role process talks to PID 1. One JSON object a line on its stdout; commands come as JSON lines on its
 * stdin, and end of file there means PID 1 has gone: stop. On a terminal the events are printed as text.
 *
 *   {"event":"log","level":"warn","id":"E-DB-AUTH","msg":"..."}        a message of the role itself
 *   {"event":"line","src":"upgrade","level":"info","text":"..."}       a line of the role's own child (install, upgrade, cron)
 *   {"event":"progress","phase":"install","detail":"mod_quiz","done":312,"total":469,"by":"member","elapsed_ms":1}
 *   {"event":"state","state":"...","id":"E-...","reason":"..."}        lead: see supervisor/roles.h for the states
 *   {"event":"rendered","stage":"boot"|"all"}                          prepare
 *   {"event":"cron","holder":true,"running":true,"last_exit":0}        cron; last_exit: once, when a run has ended
 *   {"event":"cron-success","age_ms":1,"by":"member"}                  cron: its last good pass in the cluster
 *   {"event":"adhoc","runner":1,"running":true}                        adhoc; runner 0: none
 *   {"event":"metric","name":"UpgradeDuration","value":1.0,"unit":"Milliseconds"}
 */
#ifndef MOODLECTL_BASE_ROLE_H
#define MOODLECTL_BASE_ROLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define ROLE_LINE_MAX 65536 /* longest event line, newline included */

void role_begin(
    void); /* log sink = role_emit or text; ignores SIGPIPE; PDEATHSIG = SIGKILL when our parent runs us */
void role_emit(json_t *event); /* steals the reference; blocks while the pipe is full */
/* Masks secrets in the members that are meant for people (msg, reason, detail, text); role_emit() and PID 1 both do it. */
void role_redact(json_t *event);
void role_line(const char *src, const char *level, const char *bytes, size_t len);
void role_state(const char *state, const char *error_name, const char *reason);
void role_progress(const char *phase, const char *detail, long done, long total, const char *by,
                   uint64_t elapsed_ms);
void role_metric(const char *name, double value, const char *unit);

/* Waits up to `ms` (0: just looks) for a command on stdin or for a readable `also_fd` (-1: none).
 * 1: a command, in *ret_cmd (the value of "cmd"; free() it); 2: also_fd is ready; 0: time is over; -1: stop (end of file,
 * SIGTERM or SIGINT seen by the handler that role_begin installed). */
int role_wait(int also_fd, uint64_t ms, char **ret_cmd);
int role_stop_requested(void); /* number of SIGTERM/SIGINT so far, or 1 after end of file */

#endif
