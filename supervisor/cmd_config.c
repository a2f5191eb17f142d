#include "base/fd.h"
#include "supervisor/cmd_drain.h"
#include "supervisor/cmd_table.h"
#include "supervisor/doc.h"
#include <stdio.h>
#include <string.h>

/* What may be shown of a setting: a secret never, an ARN that is not resolved by its name. */
static const char *shown_value(const settings_t *s, set_id_t id)
{
    if (settings_arn(s, id)) return settings_arn(s, id);
    const char *value = settings_str(s, id);
    return SETTINGS[id].flags & SF_SECRET && *value ? "<secret>" : value;
}

static void add_string(buf_t *out, const char *key, const char *value)
{
    buf_printf(out, "\"%s\":\"", key);
    buf_json(out, value, strlen(value));
    buf_str(out, "\"");
}

static void show_json(buf_t *out, const settings_t *s)
{
    buf_str(out, "{\"settings\":[");
    for (int i = 0; i < SET_COUNT_; i++) {
        set_id_t id = (set_id_t)i;
        buf_str(out, i ? ",\n{" : "\n{");
        add_string(out, "name", SETTINGS[i].name);
        buf_str(out, ",");
        add_string(out, "value", shown_value(s, id));
        buf_str(out, ",");
        add_string(out, "origin", settings_origin_name(s, id));
        buf_printf(out, ",\"secret\":%s}", SETTINGS[i].flags & SF_SECRET ? "true" : "false");
    }
    buf_str(out, "],\n\"issues\":[");
    for (size_t i = 0; i < settings_issue_count(s); i++) {
        const set_issue_t *issue = settings_issue(s, i);
        buf_str(out, i ? ",\n{" : "\n{");
        add_string(out, "severity",
                   issue->severity == SI_ERROR     ? "error"
                   : issue->severity == SI_WARNING ? "warning"
                                                   : "notice");
        buf_str(out, ",");
        add_string(out, "id", err_name(issue->id));
        buf_str(out, ",");
        add_string(out, "msg", issue->msg);
        buf_str(out, "}");
    }
    buf_str(out, "],\n\"stop\":");
    cmd_drain_arithmetic_json(out, s);
    buf_str(out, "}\n");
}

static void show_text(buf_t *out, const settings_t *s)
{
    for (int i = 0; i < SET_COUNT_; i++) {
        set_id_t id = (set_id_t)i;
        const char *value = shown_value(s, id);
        if (SETTINGS[i].flags & SF_ENV && !settings_is_set(s, id)) continue;
        cleanup_buf buf_t v = BUF_INIT;
        buf_json(&v, value, strlen(value)); /* one line each, whatever bytes it holds */
        buf_printf(out, "%-34s %-34s %s\n", SETTINGS[i].name, *value ? buf_cstr(&v) : "-",
                   settings_origin_name(s, id));
    }
    cmd_drain_arithmetic(out, s);
}

int cmd_config_show(const cli_args_t *args)
{
    const settings_t *s = args->settings;
    cleanup_buf buf_t out = BUF_INIT;
    if (args->opt[0])
        show_json(&out, s);
    else
        show_text(&out, s);
    fputs(buf_cstr(&out), stdout);
    if (args->opt[0]) return EXIT_OK;
    fflush(stdout);
    for (size_t i = 0; i < settings_issue_count(s); i++) {
        const set_issue_t *issue = settings_issue(s, i);
        fprintf(stderr, "%s: %s: %s\n",
                issue->severity == SI_ERROR     ? "error"
                : issue->severity == SI_WARNING ? "warning"
                                                : "notice",
                err_name(issue->id), issue->msg);
    }
    return EXIT_OK;
}

/* ---- env: every variable, as a file to start from ---- */

static void env_json(buf_t *out)
{
    buf_str(out, "[");
    for (int i = 0; i < SET_COUNT_; i++) {
        const set_row_t *r = &SETTINGS[i];
        buf_str(out, i ? ",\n{" : "\n{");
        add_string(out, "name", r->name);
        buf_str(out, ",");
        add_string(out, "type", set_type_name(r->type));
        buf_str(out, ",");
        add_string(out, "default", r->def);
        buf_str(out, ",");
        add_string(out, "choices", r->hint);
        buf_str(out, ",");
        add_string(out, "help", r->help);
        buf_printf(out, ",\"required\":%s,\"secret\":%s,\"file_and_arn\":%s}",
                   r->flags & SF_REQUIRED ? "true" : "false", r->flags & SF_SECRET ? "true" : "false",
                   r->flags & SF_ENV ? "false" : "true");
    }
    buf_str(out, "]\n");
}

static void env_sample(buf_t *out)
{
    doc_style_t style = {.width = 10000}; /* a comment is one line */
    buf_str(out, "# Every variable that moodlectl reads. Required ones stand without \"#\".\n"
                 "# NAME_FILE (a file with the value) and NAME_ARN (a Secrets Manager secret) work for all "
                 "but the last group.\n");
    for (int i = 0; i < SET_COUNT_; i++) {
        const set_row_t *r = &SETTINGS[i];
        buf_str(out, "\n# ");
        doc_wrap(out, &style, 0, 0, r->help);
        buf_printf(out, "# Type: %s%s%s%s%s\n", set_type_name(r->type), *r->hint ? " " : "", r->hint,
                   r->flags & SF_REQUIRED ? ", required" : "", r->flags & SF_SECRET ? ", secret" : "");
        buf_printf(out, "%s%s=%s\n", r->flags & SF_REQUIRED ? "" : "#", r->name, r->def);
    }
}

int cmd_config_env(const cli_args_t *args)
{
    cleanup_buf buf_t out = BUF_INIT;
    if (args->opt[0])
        env_json(&out);
    else
        env_sample(&out);
    fputs(buf_cstr(&out), stdout);
    return EXIT_OK;
}
