/* services.h - what a member runs: one constant row a service, and the command line, environment and user of each.
 * The one file of PID 1 that knows their names. */
#ifndef MOODLECTL_SUPERVISOR_SERVICES_H
#define MOODLECTL_SUPERVISOR_SERVICES_H

#include "base/settings.h"
#include "supervisor/child.h"
#include "supervisor/lifecycle_fsm.h"

extern const child_row_t SERVICES[SV_COUNT_];

typedef struct services services_t;
/* Finds programs and user; what is missing is reported by role prepare, with all other mistakes. `environment`: a descriptor of
 * base/environment.h, for prepare; taken over. NULL: out of memory. The settings must outlive it. */
services_t *services_new(const settings_t *set, int environment);
void services_free(services_t **s);
void services_prepare_again(services_t *s); /* from now on prepare replaces files that are in use */
void services_spec(const services_t *s, service_id_t id, spawn_spec_t *ret_spec);
const char *services_run_path(const services_t *s, const char *name, char *buf,
                              size_t size);      /* file in the run directory */
void services_role_path(char *buf, size_t size); /* the role program, which lies beside this one */

#endif
