#include "bootstrap/rotate_source.h"
#include "base/clock.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The words of the load about this setting */
static void take_issue(rotate_source_t *s, set_id_t id)
{
    const char *name = SETTINGS[id].name;
    for (size_t i = 0; i < settings_issue_count(s->set); i++) {
        const set_issue_t *issue = settings_issue(s->set, i);
        if (issue->severity != SI_ERROR || !strstr(issue->msg, name)) continue;
        err_set(&s->of[id].err, issue->id, "%s", issue->msg);
        return;
    }
    err_set(&s->of[id].err, ERR_SET_FILE, "%s cannot be read", settings_source(s->set, id));
}

static void take_file(rotate_source_t *s, set_id_t id)
{
    struct stat st;
    if (settings_origin(s->set, id) != SO_FILE)
        take_issue(s, id);
    else if (stat(settings_source(s->set, id), &st) == 0)
        clock_rfc3339((uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000,
                      s->of[id].version);
}

void rotate_source_load(char *const *envp, const char *stage, uint64_t deadline_ms, rotate_source_t *ret)
{
    ret->set = settings_load(envp);
    secrets_fetch(ret->set, stage, deadline_ms, ret->of);
    for (int i = 0; i < SET_COUNT_; i++)
        if (settings_origin(ret->set, (set_id_t)i) != SO_ARN && *settings_source(ret->set, (set_id_t)i))
            take_file(ret, (set_id_t)i);
    static const set_id_t parts[] = {SET_db_user, SET_db_password};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (rotate_source_is_part(ret->set, parts[i])) ret->of[parts[i]] = ret->of[SET_db_secret];
}

bool rotate_source_is_part(const settings_t *set, set_id_t id)
{
    bool may_be = id == SET_db_user || (id == SET_db_password && !settings_uses_iam(set));
    return may_be && *settings_source(set, SET_db_secret) && !settings_is_set(set, id);
}

void rotate_source_free(rotate_source_t *s) { settings_free(&s->set); }
