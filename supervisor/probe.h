/* probe.h - is a service that has just started ready? Asks again every few milliseconds until it is, and then never more. */
#ifndef MOODLECTL_SUPERVISOR_PROBE_H
#define MOODLECTL_SUPERVISOR_PROBE_H

#include <stdbool.h>
#include <uv.h>

typedef struct probe probe_t;
typedef void probe_fn(void *arg); /* it is ready */

probe_t *probe_fastcgi(uv_loop_t *loop, const char *socket_path, const char *uri, probe_fn *fn, void *arg);
probe_t *probe_tcp(uv_loop_t *loop, const char *host_port, probe_fn *fn,
                   void *arg); /* 0.0.0.0 and [::] are asked on loopback */
void probe_stop(probe_t **p);  /* NULL-safe; fn is not called any more */

#endif
