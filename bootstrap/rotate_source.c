#include "bootstrap/rotate_source.h"
#include "base/clock.h"
#include "bootstrap/aws_secrets.h"
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

static int fetch(rotate_source_t *s, set_id_t id, const char *stage, uint64_t deadline_ms, err_t *err)
{
    secret_t *value = NULL;
    int rc = aws_secret_fetch_version(s->set, settings_arn(s->set, id), stage, deadline_ms, &value,
                                      s->of[id].version, err);
    if (rc == 0) rc = settings_resolve(s->set, id, secret_bytes(value), err);
    secret_free(&value);
    return rc;
}

void rotate_source_load(char *const *envp, const char *stage, uint64_t deadline_ms, rotate_source_t *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->set = settings_load(envp);
    for (int i = 0; i < SET_COUNT_; i++) {
        set_id_t id = (set_id_t)i;
        if (settings_arn(ret->set, id))
            fetch(ret, id, stage, deadline_ms, &ret->of[id].err);
        else if (*settings_source(ret->set, id))
            take_file(ret, id);
    }
}

void rotate_source_free(rotate_source_t *s) { settings_free(&s->set); }
