/* output.h - everything that is rendered, first in memory: then it is written, or compared with what is there. */
#ifndef MOODLECTL_BOOTSTRAP_OUTPUT_H
#define MOODLECTL_BOOTSTRAP_OUTPUT_H

#include "base/buf.h"
#include "base/fd.h"
#include "bootstrap/site.h"

enum { OUTPUT_COUNT_MAX = 16 };

typedef struct output {
    const char *name; /* inside the run directory */
    buf_t bytes;      /* wiped when freed */
    file_spec_t spec;
    bool has_secrets; /* JSON whose secrets are masked when shown */
    bool once;        /* others change it later: written only when it or its cause (muc.sum) is new */
} output_t;

typedef struct outputs {
    output_t item[OUTPUT_COUNT_MAX];
    size_t count;
} outputs_t;

/* What needs neither secrets nor the code's version: nginx.conf, php-fpm.conf, php.ini, ca.pem. */
int output_render_boot(const site_t *s, outputs_t *ret, err_t *err);
/* The rest: moodle.json, lead.json, config.php, the cache's files, warm.php, fence.php. */
int output_render_all(const site_t *s, outputs_t *ret, err_t *err);
void output_free(outputs_t *o);

/* Each file atomically into `dir`, which is there, under its name with `suffix`. */
#define OUTPUT_NEW ".new" /* that of files which have still to be tested */
int output_write(const outputs_t *o, const char *dir, const char *suffix, err_t *err);
void output_forget(const outputs_t *o, const char *dir); /* removes those with OUTPUT_NEW */
bool output_differs(const outputs_t *o, const char *name,
                    const char *dir); /* true, too, when only one of the two is there */
/* Appends what differs between `dir` and `o`, secrets masked; number of files that differ. */
int output_diff(const outputs_t *o, const char *dir, buf_t *ret);

#endif
