#include "supervisor/status.h"
#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/ecs.h"
#include "supervisor/logfmt.h"
#include "supervisor/reload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_live(const member_t *m) { return m->phase != LP_EXIT; }
static bool is_ready(const member_t *m) { return m->phase == LP_SERVE; }
static bool is_open(const member_t *m)
{
    bool fpm_dead = m->children[SV_FPM].state == CS_FAILED;
    return m->phase == LP_SERVE ||
           ((m->phase == LP_LAME || m->phase == LP_QUIESCE) && m->children[SV_FPM].pid > 0 && !fpm_dead);
}
static bool is_started(const member_t *m) { return m->served || m->phase == LP_HOLD; }

bool status_is_healthy(const member_t *m, const char *what)
{
    if (strcmp(what, "ready") == 0) return is_ready(m);
    if (strcmp(what, "startup") == 0) return is_started(m);
    return is_live(m);
}

static const char *path_of(const member_t *m, const char *name, char *buf, size_t size)
{
    return services_run_path(m->services, name, buf, size);
}

static void set_flag(member_t *m, flag_t flag, bool on)
{
    static const char *const NAME[FLAG_COUNT_] = {[FLAG_READY] = "state/ready",
                                                  [FLAG_STARTED] = "state/started",
                                                  [FLAG_DRAIN] = "state/drain",
                                                  [FLAG_OPEN] = "state/open"};
    char path[256];
    if (m->flags[flag] == (on ? FLAG_ON : FLAG_OFF)) return;
    path_of(m, NAME[flag], path, sizeof path);
    int fd = on ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0444) : -1;
    bool done = on ? fd >= 0 : unlink(path) == 0 || errno == ENOENT;
    if (!done) logfmt_own(LOG_ERROR_, ERR_DIR_RUN, "state", "%s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    m->flags[flag] = !done ? FLAG_UNKNOWN : on ? FLAG_ON : FLAG_OFF;
}

static void put_file(const member_t *m, const char *name, const char *bytes, size_t len)
{
    char path[256];
    err_t err = {0};
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0444, .no_sync = true};
    if (fd_replace_file(path_of(m, name, path, sizeof path), bytes, len, &spec, &err) < 0)
        logfmt_own(LOG_ERROR_, err.id, "state", "%s", err.msg);
}

static void put_health(const member_t *m, const char *what)
{
    char name[32];
    json_t *o = json_pack("{s:b,s:s,s:s*,s:s*}", what, status_is_healthy(m, what), "phase",
                          lifecycle_phase_name(m->phase), "id",
                          m->reason_id && !is_ready(m) ? err_name(m->reason_id) : NULL, "reason",
                          m->reason[0] && !is_ready(m) ? m->reason : NULL);
    char *body = o ? json_dumps(o, JSON_COMPACT) : NULL;
    snprintf(name, sizeof name, "www/%s.json", what);
    if (body) put_file(m, name, body, strlen(body));
    free(body);
    json_decref(o);
}

static void add_html(buf_t *b, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            buf_str(b, "&lt;");
            break;
        case '>':
            buf_str(b, "&gt;");
            break;
        case '&':
            buf_str(b, "&amp;");
            break;
        case '"':
            buf_str(b, "&quot;");
            break;
        default:
            buf_add(b, text, 1);
        }
    }
}

/* What a visitor may know: that it is being worked on and how far it is; no host names, no reasons of the inside. */
void status_holding_page(const member_t *m, buf_t *b)
{
    const progress_t *p = &m->progress;
    bool held = m->phase == LP_HOLD;
    buf_str(b, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width\">"
               "<meta http-equiv=\"refresh\" content=\"5\"><title>One moment</title><style>body{font:1.1em "
               "system-ui,sans-serif;"
               "max-width:34em;margin:15vh auto;padding:0 "
               "1em;color:#222}progress{width:100%}</style></head><body><h1>");
    buf_str(b, held ? "This site is not available at the moment" : "This site will be back in a moment");
    buf_str(b, "</h1>");
    if (p->known && !held) {
        buf_str(b,
                strcmp(p->phase, "install") == 0 ? "<p>It is being installed: " : "<p>It is being updated: ");
        add_html(b, p->detail);
        buf_str(b, "</p>");
        if (p->total > 0)
            buf_printf(b, "<progress max=\"%ld\" value=\"%ld\"></progress><p>Step %ld of %ld, ", p->total,
                       p->done, p->done, p->total);
        if (p->total > 0)
            buf_printf(b, "%llu seconds so far.</p>", (unsigned long long)(p->elapsed_ms / 1000));
    }
    buf_str(b, held ? "<p>Its administrators have been told.</p>"
                    : "<p>This page loads itself again every five seconds.</p>");
    buf_str(b, "</body></html>\n");
}

static void put_page(member_t *m)
{
    cleanup_buf buf_t b = BUF_INIT;
    status_holding_page(m, &b);
    m->page_written_ms = clock_ms();
    if (!b.failed) put_file(m, "www/holding.html", b.data, b.len);
}

void status_page_soon(member_t *m)
{
    if (!m->booted || is_open(m) || clock_ms() - m->page_written_ms < 1000) return;
    put_page(m);
    put_health(m, "ready");
}

void status_close(member_t *m)
{
    if (!m->booted) return;
    if (!is_ready(m)) set_flag(m, FLAG_READY, false);
    if (!is_open(m)) set_flag(m, FLAG_OPEN, false);
}

void status_write(member_t *m)
{
    if (!m->booted) return;
    status_close(m);
    put_page(m);
    put_health(m, "live");
    put_health(m, "ready");
    put_health(m, "startup");
    set_flag(m, FLAG_READY, is_ready(m));
    set_flag(m, FLAG_STARTED, is_started(m));
    set_flag(m, FLAG_DRAIN, lifecycle_is_stopping(m->phase) || reload_is_polite(m));
    set_flag(m, FLAG_OPEN, is_open(m));
}

static json_t *children_json(const member_t *m)
{
    json_t *list = json_array();
    uint64_t now = clock_ms();
    for (int id = 0; id < SV_COUNT_; id++) {
        const child_t *c = &m->children[id];
        if ((id == SV_ADHOC || id == SV_PROTECT) && !c->starts) continue; /* nobody asked for it */
        json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:I,s:I}", "name", c->row->name, "state",
                                              child_state_name(c->state), "pid", (json_int_t)c->pid, "starts",
                                              (json_int_t)c->starts, "since_ms",
                                              (json_int_t)(c->changed_ms ? now - c->changed_ms : 0)));
    }
    return list;
}

static json_t *progress_json(const progress_t *p)
{
    if (!p->known) return json_null();
    return json_pack("{s:s,s:s,s:I,s:I,s:s,s:I}", "phase", p->phase, "detail", p->detail, "done",
                     (json_int_t)p->done, "total", (json_int_t)p->total, "by", p->by, "elapsed_ms",
                     (json_int_t)p->elapsed_ms);
}

static json_t *cron_json(const member_t *m)
{
    const cron_view_t *v = &m->cron;
    json_t *o = json_pack("{s:b,s:b,s:b}", "enabled", settings_bool(m->set, SET_cron), "holder", v->holder,
                          "running", v->running);
    if (o && v->has_run) {
        json_object_set_new(o, "last_exit", json_integer(v->last_exit));
        json_object_set_new(o, "last_end_age_ms", json_integer((json_int_t)(clock_ms() - v->last_end_ms)));
    }
    if (o && v->success_ms)
        json_object_set_new(
            o, "success",
            json_pack("{s:s,s:I}", "by", v->success_by, "age_ms", (json_int_t)(clock_ms() - v->success_ms)));
    if (o) json_object_set_new(o, "adhoc_runner", v->runner ? json_integer(v->runner) : json_null());
    return o;
}

json_t *status_json(const member_t *m)
{
    uint64_t now = clock_ms();
    json_t *o = json_pack("{s:b,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:b,s:b,s:s,s:s*,s:s}", "ok", 1, "member",
                          m->name, "version", MOODLECTL_VERSION, "release", m->release, "phase",
                          lifecycle_phase_name(m->phase), "phase_ms", (json_int_t)(now - m->phase_since_ms),
                          "uptime_ms", (json_int_t)(now - m->started_ms), "pid", (json_int_t)getpid(), "live",
                          is_live(m), "ready", is_ready(m), "state", m->state, "id",
                          m->reason_id ? err_name(m->reason_id) : NULL, "reason", m->reason);
    if (!o) return NULL;
    json_object_set_new(o, "progress", progress_json(&m->progress));
    json_object_set_new(o, "cron", cron_json(m));
    json_object_set_new(o, "ecs", ecs_json(m));
    json_object_set_new(o, "children", children_json(m));
    json_object_set_new(o, "reload", reload_json(m));
    json_object_set_new(o, "lines_dropped", json_integer((json_int_t)outq_dropped()));
    return o;
}
