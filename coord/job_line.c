#include "coord/job_line.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/redact.h"
#include "base/role.h"
#include <stdio.h>
#include <string.h>

void job_lines_init(job_lines_t *l, const char *src, const char *level, job_progress_t *progress, bool quiet)
{
    *l = (job_lines_t){.src = src, .level = level, .progress = progress, .quiet = quiet};
}

/* lib/upgradelib.php, print_upgrade_part_start(): "-->$plugin" for each part in the command line */
bool job_progress_step(job_progress_t *p, const char *line)
{
    if (strncmp(line, "-->", 3) != 0 || !line[3]) return false;
    snprintf(p->detail, sizeof p->detail, "%s", line + 3);
    p->done += p->done == 1 ? 1 + p->core : 1;
    if (p->total < p->done) p->total = p->done;
    return true;
}

static void tell_progress(job_progress_t *p)
{
    uint64_t now = clock_ms();
    if (!p->phase || (p->told_ms && now < p->told_ms + JOB_PROGRESS_MS)) return;
    p->told_ms = now;
    role_progress(p->phase, p->detail, p->done, p->total, p->by, now - p->started_ms);
}

/* What cron.php says once a second while it waits for tasks (lib/classes/cron.php): three lines, all night; and what
 * adhoc_task.php says while it waits. */
static bool is_idle_talk(const char *src, const char *line)
{
    static const char *const talk[] = {"Ran 0 adhoc tasks found at ", JOB_LINE_CRON_PASS,
                                       "Cron completed at ", "Waiting for more adhoc tasks to be queued"};
    bool tasks = strcmp(src, "cron") == 0 || strcmp(src, "adhoc") == 0;
    for (size_t i = 0; tasks && i < sizeof talk / sizeof *talk; i++)
        if (strncmp(line, talk[i], strlen(talk[i])) == 0) return true;
    return false;
}

/* What is kept of a line ends in the log, in the cluster's history and on the holding page. `whole`: it ends here; else it was
 * too long, and the beginning of a secret at its end waits for the rest. */
static void line_done(job_lines_t *l, bool whole)
{
    cleanup_buf buf_t clean = BUF_INIT;
    const char *s = buf_cstr(&l->part);
    size_t n = whole ? l->part.len : redact_cut(s, l->part.len), used = n;
    if (n == 0) used = l->part.len; /* all of it is the beginning of one: not to be shown at all */
    if (redact_copy(s, n, &clean)) {
        s = clean.data;
        n = clean.len;
    }
    while (n && (s[n - 1] == '\r' || s[n - 1] == ' ')) n--;
    if (n) {
        snprintf(l->last, sizeof l->last, "%.*s", (int)(n < sizeof l->last ? n : sizeof l->last - 1), s);
        if (!l->quiet) role_line(l->src, is_idle_talk(l->src, l->last) ? "debug" : l->level, s, n);
        /* PHP's words, main/zend_alloc.c */
        if (strstr(l->last, "Allowed memory size of ")) l->out_of_memory = true;
        if (l->line) l->line(l->arg, l->last);
        if (l->progress && job_progress_step(l->progress, l->last)) tell_progress(l->progress);
    }
    if (used < l->part.len) memmove(l->part.data, l->part.data + used, l->part.len - used);
    l->part.len -= used;
}

void job_lines_feed(job_lines_t *l, const char *bytes, size_t len)
{
    l->bytes_ms = clock_ms();
    while (len) {
        const char *nl = memchr(bytes, '\n', len);
        size_t n = nl ? (size_t)(nl - bytes) : len;
        if (l->part.len + n > JOB_LINE_MAX) n = JOB_LINE_MAX - l->part.len;
        buf_add(&l->part, bytes, n);
        bytes += n;
        len -= n;
        if (l->part.failed) l->part = BUF_INIT; /* out of memory: this line is lost, the next may fit */
        bool at_end = len && *bytes == '\n';
        if (at_end || l->part.len >= JOB_LINE_MAX) line_done(l, at_end);
        if (at_end) {
            bytes++;
            len--;
        }
    }
}

void job_lines_end(job_lines_t *l) { line_done(l, true); }
void job_lines_free(job_lines_t *l) { buf_free(&l->part); }
