#include "base/clock.h"
#include "base/log.h"
#include "base/role.h"
#include "coord/lead.h"
#include "coord/tree_count.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TELL_AGAIN_MS = 60000 };

void lead_tell(lead_t *m, const char *state, err_id_t id, const char *fmt, ...)
{
    char reason[560], all[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    snprintf(all, sizeof all, "%s|%s|%s", state, id ? err_name(id) : "", reason);
    uint64_t now = clock_ms();
    bool again = strcmp(state, "waiting") == 0 && now >= m->told_ms + TELL_AGAIN_MS;
    if (strcmp(all, m->told) == 0 && !again) return;
    snprintf(m->told, sizeof m->told, "%s", all);
    m->told_ms = now;
    role_state(state, id ? err_name(id) : NULL, reason);
}

/* "312/469 mod_quiz", as the leader's heartbeats carry it */
static void detail_split(const char *detail, long *done, long *total, const char **rest)
{
    char *end;
    *done = *total = 0;
    *rest = detail;
    long d = strtol(detail, &end, 10);
    if (end == detail || *end != '/') return;
    const char *t = end + 1;
    long n = strtol(t, &end, 10);
    if (end == t) return;
    *done = d;
    *total = n;
    *rest = *end == ' ' ? end + 1 : end;
}

/* Core's tables are one step of Moodle's installer, and its longest. MySQL shows each table at once. PostgreSQL makes them in one
 * transaction (lib/dml/pgsql_native_moodle_database.php, change_database_structure), of which only the locks tell. */
static const char *core_step(lead_t *m, const char *words, char buf[120], long *done, long *total)
{
    if (*done > 1) return words;
    if (!*words) words = "System"; /* the leader's next heartbeat will say so */
    if (!m->core_tables) m->core_tables = tree_count_tables(m->conf.code_dir);
    long tables = m->in.schema.tables;
    if (tables > m->core_tables) tables = m->core_tables;
    if (*total) *done += tables;
    int64_t made = tables ? 0 : lease_work_made(&m->lease);
    if (tables)
        snprintf(buf, 120, "%.40s: %ld of %ld tables", words, tables, m->core_tables);
    else if (made)
        snprintf(buf, 120, "%.40s: %" PRId64 " tables, indexes and sequences", words, made);
    else
        return words;
    return buf;
}

void lead_tell_row(lead_t *m)
{
    const lease_row_t *r = &m->row;
    char member[100], core[120];
    bool works = r->exists && strcmp(r->phase, "running") == 0;
    snprintf(member, sizeof member, "%.*s", (int)strcspn(r->holder, "#"), r->holder);
    if (!works) {
        lead_tell(m, "waiting", m->out.id ? m->out.id : ERR_LOCK_BUSY, "%s", m->out.why);
        return;
    }
    const char *act = strcmp(r->action, "install") == 0 ? "install" : "upgrade", *rest;
    long done, total;
    detail_split(r->detail, &done, &total, &rest);
    if (strcmp(act, "install") == 0) rest = core_step(m, rest, core, &done, &total);
    lead_tell(m, "waiting", ERR_LOCK_BUSY, "%s: %s by member %s", m->out.why, act, member);
    role_progress(act, rest, done, total, member, (uint64_t)(r->elapsed_ms > 0 ? r->elapsed_ms : 0));
}

bool lead_pause(lead_t *m, uint64_t ms)
{
    char *cmd = NULL;
    uint64_t until = clock_ms() + ms, now;
    while ((now = clock_ms()) < until) {
        int r = role_wait(-1, until - now, &cmd);
        if (r < 0) return false;
        if (r != 1) continue;
        if (strcmp(cmd, "upgrade") == 0) {
            m->forced = true;
            log_notice("told to upgrade");
            until = 0; /* look at once */
        } else {
            log_warn("unknown command \"%s\"", cmd);
        }
        free(cmd);
    }
    return role_stop_requested() == 0;
}
