/* job_line.h - bytes of a script's output to lines, `line` events and progress. No limit on what comes in: a line longer
 * than JOB_LINE_MAX is told in pieces. */
#ifndef MOODLECTL_COORD_JOB_LINE_H
#define MOODLECTL_COORD_JOB_LINE_H

#include "base/buf.h"
#include "coord/job.h"

enum { JOB_LINE_MAX = 8000, JOB_PROGRESS_MS = 250 };

typedef struct job_lines {
    const char *src, *level;
    job_progress_t *progress;
    bool quiet;
    buf_t part; /* of a line whose end has not come */
    char last[200];
} job_lines_t;

void job_lines_init(job_lines_t *l, const char *src, const char *level, job_progress_t *progress, bool quiet);
void job_lines_feed(job_lines_t *l, const char *bytes, size_t len);
void job_lines_end(job_lines_t *l); /* the rest without a newline */
void job_lines_free(job_lines_t *l);
/* One line of Moodle's installer or upgrader ("-->mod_quiz"): true when it names the next step. Pure. */
bool job_progress_step(job_progress_t *p, const char *line);

#endif
