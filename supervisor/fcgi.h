/* fcgi.h - asks PHP-FPM, over its unix socket and without blocking, for one small page: its ping or its status.
 * FastCGI specification 1.0, sections 3 and 5; ping.path in PHP's www.conf. */
#ifndef MOODLECTL_SUPERVISOR_FCGI_H
#define MOODLECTL_SUPERVISOR_FCGI_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

typedef struct fcgi_get fcgi_get_t;
/* `body`: what came after the headers, or NULL when it failed with err. The request is already closed. */
typedef void fcgi_fn(void *arg, const char *body, size_t len, const err_t *err);

/* One request with a deadline; `uri` may have a query. Calls fn exactly once, later, unless cancelled. NULL: out of memory. */
fcgi_get_t *fcgi_get(uv_loop_t *loop, const char *socket_path, const char *uri, uint64_t ms, fcgi_fn *fn,
                     void *arg);
void fcgi_cancel(fcgi_get_t **g); /* NULL-safe; fn is not called any more */

/* Pure parts. */
size_t fcgi_request(const char *uri, unsigned char *buf,
                    size_t size); /* bytes of the whole request; 0: does not fit */
/* Copies the STDOUT contents of the records in `in` to `out` (bounded); *ret_end: the END_REQUEST record was there. */
size_t fcgi_parse(const unsigned char *in, size_t len, char *out, size_t size, int *ret_end);

#endif
