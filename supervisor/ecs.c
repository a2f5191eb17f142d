#include "supervisor/ecs.h"
#include "base/clock.h"
#include "supervisor/logfmt.h"
#include <stdio.h>
#include <string.h>

bool ecs_is_protected(const member_t *m)
{
    return *settings_str(m->set, SET_ecs_agent) &&
           strcmp(settings_str(m->set, SET_scale_in_protection), "auto") == 0;
}

static const char *wanted(const member_t *m)
{
    if (strcmp(m->state, "leading") == 0) return "work";
    return m->cron.holder || m->cron.runner ? "cron" : "nothing";
}

void ecs_hold(member_t *m)
{
    char line[64];
    const char *want = wanted(m);
    const child_t *role = &m->children[SV_PROTECT];
    if (role->pid <= 0 || (m->ecs.told_hold && strcmp(m->ecs.told_hold, want) == 0)) return;
    snprintf(line, sizeof line, "{\"cmd\":\"%s\"}\n", want);
    if (child_send(&m->children[SV_PROTECT], line)) m->ecs.told_hold = want;
}

void ecs_protect_changed(member_t *m)
{
    if (m->children[SV_PROTECT].state == CS_UP) {
        ecs_hold(m);
        return;
    }
    m->ecs.told_hold = NULL;
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

void ecs_on_identity(member_t *m, const json_t *e)
{
    json_decref(m->ecs.task);
    m->ecs.task = json_deep_copy(e);
    json_object_del(m->ecs.task, "event");
    logfmt_own(LOG_NOTICE_, ERR_NONE, "identity",
               "task %s of %s, cluster %s, zone %s; from here on this member is called %s", text(e, "task"),
               text(e, "definition"), text(e, "cluster"), text(e, "zone"), text(e, "member"));
    if (!*text(e, "member")) return;
    snprintf(m->name, sizeof m->name, "%s", text(e, "member"));
    logfmt_set_member(m->name);
}

void ecs_on_protection(member_t *m, const json_t *e)
{
    json_decref(m->ecs.protection);
    m->ecs.protection = json_deep_copy(e);
    m->ecs.until_ms = clock_ms() + (uint64_t)json_integer_value(json_object_get(e, "minutes")) * 60000;
    json_object_del(m->ecs.protection, "event");
}

json_t *ecs_json(const member_t *m)
{
    if (!m->ecs.task && !m->ecs.protection) return json_null();
    if (m->ecs.protection && clock_ms() >= m->ecs.until_ms) /* between two times of cron's */
        json_object_set_new(m->ecs.protection, "on", json_false());
    return json_pack("{s:O?,s:O?}", "task", m->ecs.task, "protection", m->ecs.protection);
}
