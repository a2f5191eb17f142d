#include "supervisor/roles.h"
#include "base/clock.h"
#include "base/role.h"
#include "supervisor/control.h"
#include "supervisor/ecs.h"
#include "supervisor/lifecycle.h"
#include "supervisor/redaction.h"
#include "supervisor/reload.h"
#include "supervisor/rotation.h"
#include "supervisor/status.h"
#include <stdio.h>
#include <string.h>

typedef void event_fn(member_t *m, child_t *c, const json_t *e);

static const char *text(const json_t *e, const char *key)
{
    const char *s = json_string_value(json_object_get(e, key));
    return s ? s : "";
}

static long number(const json_t *e, const char *key)
{
    return (long)json_integer_value(json_object_get(e, key));
}

static void set_text(char *to, size_t size, const char *from) { snprintf(to, size, "%s", from); }

static void on_log(member_t *m, child_t *c, const json_t *e)
{
    const char *id = text(e, "id"), *msg = text(e, "msg");
    log_level_t level = log_level_find(text(e, "level"), LOG_INFO_);
    logfmt_role(c->row->name, level, id[0] ? id : NULL, msg, strlen(msg));
    rotation_error(m, c, err_find(id));
    if (level < LOG_ERROR_ || !id[0]) return;
    err_set(&c->last_error, err_find(id), "%s", msg); /* told again when the container ends because of it */
}

/* `src` becomes part of a JSON line as it is: only names pass. */
static const char *source_name(const json_t *e, const child_t *c, char *buf, size_t size)
{
    set_text(buf, size, text(e, "src"));
    size_t good = strspn(buf, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    return good && buf[good] == '\0' ? buf : c->row->name;
}

static void on_line(member_t *m, child_t *c, const json_t *e)
{
    (void)m;
    char src[32];
    const char *line = text(e, "text");
    logfwd_script_line(source_name(e, c, src, sizeof src), log_level_find(text(e, "level"), LOG_INFO_), line,
                       strlen(line));
}

static void on_progress(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    progress_t *p = &m->progress;
    set_text(p->phase, sizeof p->phase, text(e, "phase"));
    set_text(p->detail, sizeof p->detail, text(e, "detail"));
    set_text(p->by, sizeof p->by, text(e, "by"));
    p->done = number(e, "done");
    p->total = number(e, "total");
    p->elapsed_ms = (uint64_t)number(e, "elapsed_ms");
    p->known = true;
    status_page_soon(m);
}

typedef struct {
    const char *state;
    lifecycle_event_t event;
} state_row_t;
static const state_row_t STATES[] = {
    {"current", LE_CURRENT}, {"waiting", LE_WAITING}, {"leading", LE_WAITING}, {"hold", LE_HOLDING}};

static void on_state(member_t *m, child_t *c, const json_t *e)
{
    if (c->slot != SV_LEAD) return;
    const char *state = text(e, "state"), *reason = text(e, "reason"), *id = text(e, "id");
    bool changed = strcmp(m->state, state) != 0 || strcmp(m->reason, reason) != 0;
    set_text(m->state, sizeof m->state, state);
    set_text(m->reason, sizeof m->reason, reason);
    m->reason_id = err_find(id);
    rotation_error(m, c, m->reason_id);
    if (strcmp(state, "current") == 0) m->progress.known = false;
    if (changed)
        logfmt_own(strcmp(state, "hold") == 0 ? LOG_ERROR_ : LOG_INFO_, m->reason_id, "state", "%s: %s",
                   state, reason);
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++)
        if (strcmp(STATES[i].state, state) == 0) lifecycle_event(m, STATES[i].event);
    lifecycle_hold_check(m);
    status_page_soon(m);
    ecs_hold(m);
}

static void on_rendered(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    if (text(e, "release")[0] && !m->release[0]) {
        set_text(m->release, sizeof m->release, text(e, "release"));
        logfmt_set_release(m->release);
    }
    redaction_learn(m->set, clock_ms());
    if (strcmp(text(e, "stage"), "boot") != 0) return;
    err_t err = {0};
    m->booted = true;
    status_write(m);
    if (control_open(m, &err) < 0) logfmt_own(LOG_ERROR_, err.id, "control", "%s", err.msg);
    lifecycle_event(m, LE_BOOTED);
}

static void on_reloaded(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    reload_changed(m, json_is_true(json_object_get(e, "nginx")), json_is_true(json_object_get(e, "php")));
}

static void on_cron(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    cron_view_t *v = &m->cron;
    bool was_holder = v->holder;
    v->holder = json_is_true(json_object_get(e, "holder"));
    v->running = json_is_true(json_object_get(e, "running"));
    const json_t *last = json_object_get(e, "last_exit");
    if (json_is_integer(last)) {
        v->last_exit = (int)json_integer_value(last);
        v->has_run = true;
        v->last_end_ms = clock_ms();
    }
    if (v->holder != was_holder)
        logfmt_own(LOG_NOTICE_, ERR_NONE, v->holder ? "cron.holder" : "cron.released", "%s",
                   v->holder ? "this member runs cron for the cluster" : "this member no longer runs cron");
    ecs_hold(m);
}

static void on_adhoc(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    int runner = (int)number(e, "runner");
    if (runner != m->cron.runner)
        logfmt_own(LOG_NOTICE_, ERR_NONE, runner ? "adhoc.runner" : "adhoc.released", "%s",
                   runner ? "this member runs ad-hoc tasks for the cluster"
                          : "this member no longer runs ad-hoc tasks");
    m->cron.runner = runner;
    ecs_hold(m);
}

static void on_cron_success(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    uint64_t now = clock_ms(), age = (uint64_t)number(e, "age_ms");
    m->cron.success_ms = age < now ? now - age : 1;
    set_text(m->cron.success_by, sizeof m->cron.success_by, text(e, "by"));
}

static void on_metric(member_t *m, child_t *c, const json_t *e)
{
    (void)m;
    (void)c;
    const char *name = text(e, "name"), *unit = text(e, "unit");
    if (name[0] &&
        name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")] == '\0')
        logfmt_metric(name, json_number_value(json_object_get(e, "value")), unit[0] ? unit : "None");
}

static void on_secrets(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    rotation_on_secrets(m, e);
}

static void on_identity(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    ecs_on_identity(m, e);
}

static void on_protection(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    ecs_on_protection(m, e);
}

static void on_rotated(member_t *m, child_t *c, const json_t *e)
{
    (void)c;
    rotation_on_rotated(m, e);
}

static const struct {
    const char *event;
    event_fn *fn;
} EVENTS[] = {{"log", on_log},
              {"line", on_line},
              {"progress", on_progress},
              {"state", on_state},
              {"cron", on_cron},
              {"rendered", on_rendered},
              {"reloaded", on_reloaded},
              {"metric", on_metric},
              {"secrets", on_secrets},
              {"identity", on_identity},
              {"protection", on_protection},
              {"rotated", on_rotated},
              {"adhoc", on_adhoc},
              {"cron-success", on_cron_success}};

void roles_event(member_t *m, child_t *c, const char *line, size_t len)
{
    json_t *e = json_loadb(line, len, 0, NULL);
    role_redact(e);
    const char *name = text(e, "event");
    bool known = false;
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++) {
        if (strcmp(EVENTS[i].event, name) != 0) continue;
        EVENTS[i].fn(m, c, e);
        known = true;
    }
    if (!known)
        logfmt_child(c->row->name, LOG_WARN_, line, len, NULL, true); /* some library wrote to stdout */
    json_decref(e);
}
