/* job_line.h - bytes of a script's output to lines, `line` events and progress. No limit on what comes in: a line longer
 * than JOB_LINE_MAX is told in pieces. */
#ifndef MOODLECTL_COORD_JOB_LINE_H
#define MOODLECTL_COORD_JOB_LINE_H

#include "base/buf.h"
#include "coord/job.h"

#define JOB_LINE_CRON_PASS "Cron run completed correctly" /* lib/classes/cron.php, after each pass */

enum { JOB_LINE_MAX = 8000, JOB_PROGRESS_MS = 250 };

typedef struct job_lines {
    const char *src, *level;
    job_progress_t *progress;
    bool quiet;
    bool out_of_memory;                        /* PHP said that its memory_limit is used up */
    uint64_t bytes_ms;                         /* when the last byte came; clock_ms */
    void (*line)(void *arg, const char *line); /* each line, cut to a few hundred bytes; may be NULL */
    void *arg;
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
