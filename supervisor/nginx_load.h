/* nginx_load.h - what nginx has under way at this moment: asked over its own socket (ngx_http_stub_status_module). */
#ifndef MOODLECTL_SUPERVISOR_NGINX_LOAD_H
#define MOODLECTL_SUPERVISOR_NGINX_LOAD_H

#include "supervisor/ask.h"

typedef struct nginx_load {
    long in_flight;  /* requests being read, worked on or answered; the question itself does not count */
    long keep_alive; /* connections that wait for a request */
} nginx_load_t;

extern const char NGINX_LOAD_SOCKET[];  /* in the run directory */
extern const char NGINX_LOAD_REQUEST[]; /* what to send there */
/* Takes the answer apart. Pure. false: it is none. */
bool nginx_load_parse(const char *bytes, size_t len, nginx_load_t *ret);

#endif
