/* problems.h - what the checks found: all of it, not the first. Pure. The main file logs them. */
#ifndef MOODLECTL_BOOTSTRAP_PROBLEMS_H
#define MOODLECTL_BOOTSTRAP_PROBLEMS_H

#include "base/err.h"
#include <stddef.h>

enum { PROBLEMS_MAX = 32 };

typedef struct problems {
    err_t item[PROBLEMS_MAX]; /* the last place collects what does not fit, by being overwritten */
    size_t count;
} problems_t;

__attribute__((format(printf, 3, 4))) void problems_add(problems_t *p, err_id_t id, const char *fmt, ...);
void problems_take(problems_t *p, err_t *err); /* moves an error in; ERR_NONE: nothing */

#endif
