#include "base/clock.h"
#include "base/role.h"
#include "bootstrap/rotate_internal.h"
#include <stdio.h>
#include <string.h>

static const char *const WHY[] = {[ROTATE_POLL] = "poll",
                                  [ROTATE_SUSPECT] = "refused",
                                  [ROTATE_REFRESH] = "refresh",
                                  [ROTATE_CHECK] = "check"};

#define EACH_VALUE(row, i) for (int i = 0; i < (row)->count; i++)

void rotate_report_begin(rotate_t *r, const settings_t *set)
{
    for (int g = 0; g < RG_COUNT_; g++) EACH_VALUE(&ROTATE_GROUPS[g], i)
        {
            set_id_t id = ROTATE_GROUPS[g].value[i].id;
            rotate_value_t *v = &r->value[id];
            snprintf(v->source, sizeof v->source, "%s",
                     settings_source(set, rotate_source_is_part(set, id) ? SET_db_secret : id));
            if (id == SET_db_password && settings_uses_iam(set))
                snprintf(v->source, sizeof v->source, "RDS IAM token");
            v->is_followed = *v->source != '\0';
            v->good_ms = clock_ms(); /* prepare has just read it */
        }
}

bool rotate_report_has_group(const rotate_t *r, rotate_group_t group, const rotate_source_t *from, err_t *err)
{
    bool any = false;
    EACH_VALUE(&ROTATE_GROUPS[group], i)
    {
        set_id_t id = ROTATE_GROUPS[group].value[i].id;
        any |= r->value[id].is_followed;
        if (!r->value[id].is_followed || !from->of[id].err.id) continue;
        if (err) *err = from->of[id].err;
        return false;
    }
    return any;
}

void rotate_report_seen(rotate_t *r, rotate_group_t group)
{
    EACH_VALUE(&ROTATE_GROUPS[group], i)
    {
        rotate_value_t *v = &r->value[ROTATE_GROUPS[group].value[i].id];
        v->good_ms = clock_ms();
        err_clear(&v->err);
    }
}

/* ---- trouble ---- */

static void tell(rotate_t *r, rotate_group_t group, const err_t *err, const char *what)
{
    rotate_trouble_t *t = &r->trouble[group];
    uint64_t age_ms = clock_ms() - t->since_ms;
    log_level_t level = age_ms >= r->alarm_ms ? LOG_ERROR_ : LOG_WARN_;
    if (t->err.id != err->id || level > t->told) {
        log_write(level, err->id, "%s: %s; %s, for %llu s now", ROTATE_GROUPS[group].name, err->msg, what,
                  (unsigned long long)(age_ms / 1000));
        t->told = level;
    }
    t->err = *err;
}

void rotate_report_outage(rotate_t *r, rotate_group_t group, const rotate_source_t *from, const err_t *err)
{
    uint64_t since = clock_ms();
    EACH_VALUE(&ROTATE_GROUPS[group], i)
    {
        set_id_t id = ROTATE_GROUPS[group].value[i].id;
        rotate_value_t *v = &r->value[id];
        if (!v->is_followed) continue;
        v->err = from->of[id].err;
        if (!v->err.id) v->good_ms = clock_ms();
        if (v->good_ms < since) since = v->good_ms;
    }
    if (!r->trouble[group].err.id) r->trouble[group].since_ms = since;
    tell(r, group, err, "the last good value stays");
}

void rotate_report_trouble(rotate_t *r, rotate_group_t group, const err_t *err)
{
    if (!r->trouble[group].err.id) r->trouble[group].since_ms = clock_ms();
    tell(r, group, err, "it is tried again");
}

void rotate_report_settled(rotate_t *r, rotate_group_t group)
{
    rotate_trouble_t *t = &r->trouble[group];
    if (t->err.id)
        log_notice("%s: well again after %llu s", ROTATE_GROUPS[group].name,
                   (unsigned long long)((clock_ms() - t->since_ms) / 1000));
    *t = (rotate_trouble_t){0};
}

/* ---- versions ---- */

void rotate_report_versions(rotate_t *r, rotate_group_t group, const rotate_source_t *from)
{
    EACH_VALUE(&ROTATE_GROUPS[group], i)
    {
        set_id_t id = ROTATE_GROUPS[group].value[i].id;
        snprintf(r->value[id].version, sizeof r->value[id].version, "%s", from->of[id].version);
    }
}

/* The followed value that speaks for its group: the password, when it is followed. */
static set_id_t speaker(const rotate_t *r, rotate_group_t group)
{
    const rotate_row_t *row = &ROTATE_GROUPS[group];
    int last = row->count - 1;
    while (last > 0 && !r->value[row->value[last].id].is_followed) last--;
    return row->value[last].id;
}

void rotate_report_rotated(rotate_t *r, rotate_group_t group, const rotate_source_t *from,
                           const rotate_turn_t *turn)
{
    set_id_t id = speaker(r, group);
    if (r->uses_iam && group == RG_DATABASE) {
        log_debug("database: a fresh token is in use");
        rotate_report_versions(r, group, from);
        return;
    }
    role_emit(json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "event", "rotated", "name",
                        ROTATE_GROUPS[group].name, "setting", SETTINGS[id].name, "from", r->value[id].version,
                        "to", from->of[id].version, "stage", turn->stage ? turn->stage : "", "why",
                        WHY[turn->why], "login_ms", (json_int_t)turn->login_ms, "total_ms",
                        (json_int_t)(clock_ms() - turn->began_ms)));
    rotate_report_versions(r, group, from);
}

/* ---- after each round ---- */

static json_t *value_json(const rotate_t *r, rotate_group_t group, set_id_t id)
{
    const rotate_value_t *v = &r->value[id];
    const err_t *err = v->err.id ? &v->err : &r->trouble[group].err;
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s}", "setting", SETTINGS[id].name, "group",
                     ROTATE_GROUPS[group].name, "source", v->source, "version", v->version, "age_ms",
                     (json_int_t)(clock_ms() - v->good_ms), "id", err->id ? err_name(err->id) : "", "error",
                     err->msg);
}

void rotate_report_round(const rotate_t *r)
{
    json_t *values = json_array();
    uint64_t oldest = clock_ms(), now = oldest;
    for (int g = 0; g < RG_COUNT_; g++) EACH_VALUE(&ROTATE_GROUPS[g], i)
        {
            set_id_t id = ROTATE_GROUPS[g].value[i].id;
            if (!r->value[id].is_followed) continue;
            if (r->value[id].good_ms < oldest) oldest = r->value[id].good_ms;
            json_array_append_new(values, value_json(r, (rotate_group_t)g, id));
        }
    if (json_array_size(values)) role_metric("SecretAge", (double)(now - oldest) / 1000, "Seconds");
    role_emit(json_pack("{s:s,s:I,s:o}", "event", "secrets", "answered", (json_int_t)r->answered, "values",
                        values));
}
