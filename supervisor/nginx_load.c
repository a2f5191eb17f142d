#include "supervisor/nginx_load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char NGINX_LOAD_SOCKET[] = "nginx.sock";
const char NGINX_LOAD_REQUEST[] = "GET / HTTP/1.0\r\n\r\n";

static bool number_of(const char *text, const char *word, long *ret)
{
    const char *at = strstr(text, word);
    char *end = NULL;
    if (!at) return false;
    at += strlen(word);
    *ret = strtol(at, &end, 10);
    return end != at && *ret >= 0;
}

/* The last line is "Reading: 1 Writing: 2 Waiting: 3 "; Waiting are the connections that could be closed at any time
 * (ngx_reusable_connection() in nginx's src/core/ngx_connection.c). */
bool nginx_load_parse(const char *bytes, size_t len, nginx_load_t *ret)
{
    char line[128];
    long reading, writing, waiting;
    const char *at = memmem(bytes, len, "Reading: ", 9);
    if (!at) return false;
    snprintf(line, sizeof line, "%.*s", (int)(len - (size_t)(at - bytes)), at);
    if (!number_of(line, "Reading: ", &reading) || !number_of(line, "Writing: ", &writing) ||
        !number_of(line, "Waiting: ", &waiting))
        return false;
    ret->in_flight = reading + writing > 0 ? reading + writing - 1 : 0;
    ret->keep_alive = waiting;
    return true;
}
