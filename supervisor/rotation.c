#include "supervisor/rotation.h"
#include "base/clock.h"
#include "supervisor/logfwd.h"
#include "supervisor/redaction.h"
#include <stdio.h>
#include <string.h>

enum { SUSPECT_MS = 500 };

bool rotation_is_wanted(const member_t *m) { return settings_has_sources(m->set); }

static void on_refused(void *arg) { rotation_suspect(arg); }

void rotation_begin(member_t *m)
{
    if (rotation_is_wanted(m)) logfwd_watch(on_refused, m);
}

void rotation_started(member_t *m) { m->rotation.asked = m->rotation.answered = 0; }

void rotation_suspect(member_t *m)
{
    uint64_t now = clock_ms();
    if (m->rotation.suspected_ms && now - m->rotation.suspected_ms < SUSPECT_MS) return;
    if (child_send(&m->children[SV_SECRETS], "{\"cmd\":\"suspect\"}\n")) m->rotation.suspected_ms = now;
}

void rotation_error(member_t *m, const child_t *c, err_id_t id)
{
    if ((id == ERR_DB_AUTH || id == ERR_REDIS_AUTH) && c->slot != SV_SECRETS) rotation_suspect(m);
}

void rotation_on_secrets(member_t *m, const json_t *event)
{
    json_t *values = json_object_get(event, "values");
    if (!json_is_array(values)) return;
    redaction_learn(m->set, clock_ms()); /* a fresh token is no rotation, but a secret */
    json_decref(m->rotation.values);
    m->rotation.values = json_incref(values);
    m->rotation.values_ms = clock_ms();
    m->rotation.answered = json_integer_value(json_object_get(event, "answered"));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static long long number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

void rotation_on_rotated(member_t *m, const json_t *e)
{
    redaction_learn(m->set, clock_ms()); /* before a line with the new value comes */
    const char *from = text(e, "from"), *to = text(e, "to"), *stage = text(e, "stage");
    logfmt_own(LOG_NOTICE_, ERR_NONE, "rotated",
               "%s: %s goes from version %s to %s%s%s (%s); login in %lld ms, in use after %lld ms",
               text(e, "name"), text(e, "setting"), *from ? from : "unknown", *to ? to : "unknown",
               *stage ? ", label " : "", stage, text(e, "why"), number(e, "login_ms"), number(e, "total_ms"));
    logfmt_metric("SecretRotationDuration", (double)number(e, "total_ms"), "Milliseconds");
}

json_int_t rotation_ask(member_t *m, const char *cmd)
{
    char line[64];
    snprintf(line, sizeof line, "{\"cmd\":\"%s\"}\n", cmd);
    return child_send(&m->children[SV_SECRETS], line) ? ++m->rotation.asked : 0;
}

json_t *rotation_json(const member_t *m)
{
    json_t *values = m->rotation.values ? json_deep_copy(m->rotation.values) : json_array(), *v;
    size_t i;
    json_int_t since = (json_int_t)(clock_ms() - m->rotation.values_ms);
    json_array_foreach(values, i, v)
        json_object_set_new(v, "age_ms", json_integer(number(v, "age_ms") + since));
    return json_pack("{s:b,s:b,s:I,s:o}", "ok", 1, "followed", rotation_is_wanted(m), "answered",
                     m->rotation.answered, "values", values);
}
