/* drain_tally.h - what became of the requests of a stop, from nginx's access lines. Pure. */
#ifndef MOODLECTL_SUPERVISOR_DRAIN_TALLY_H
#define MOODLECTL_SUPERVISOR_DRAIN_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct drain_tally {
    unsigned long completed; /* answered to the last byte */
    unsigned long errors;    /* of these, with a status of 500 or more */
    unsigned long aborted;   /* ended before their end by the client */
    unsigned long cut;       /* ended before their end by us */
    uint64_t longest_ms;     /* the longest of all of these */
} drain_tally_t;

/* One line of templates/nginx.conf.tmpl's log format. `time_is_up`: nginx was told to end what it has. */
void drain_tally_line(drain_tally_t *t, const char *json, size_t len, bool time_is_up);

#endif
