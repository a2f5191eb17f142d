#include "supervisor/child_fsm.h"
#include "supervisor/doc.h"
#include "supervisor/lifecycle_fsm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A cell of a Markdown table: the bar ends cells, and angle brackets would be taken for HTML. */
static void cell(buf_t *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_str(out, "\\|");
        else if (*text == '<')
            buf_str(out, "&lt;");
        else
            buf_add(out, text, 1);
    }
}

void doc_commands_md(buf_t *out)
{
    buf_str(out, "| Command | Does |\n|---|---|\n");
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++) {
        if (c->flags & CLI_HIDDEN) continue;
        buf_printf(out, "| `%s", c->name);
        for (int i = 0; i < CLI_OPTS && c->opts[i].name; i++) {
            buf_printf(out, " [%s", c->opts[i].name);
            if (c->opts[i].arg) buf_printf(out, " %s", c->opts[i].arg);
            buf_str(out, "]");
        }
        if (*c->operands) buf_str(out, " ");
        for (const char *p = c->operands; *p; p++) {
            if (*p == '|')
                buf_str(out, "\\|"); /* inside backticks too: the table is cut first */
            else
                buf_add(out, p, 1);
        }
        buf_str(out, "` | ");
        cell(out, c->help);
        buf_str(out, " |\n");
    }
}

void doc_settings_md(buf_t *out)
{
    buf_str(out, "| Setting | Type | Default | Meaning |\n|---|---|---|---|\n");
    for (int i = 0; i < SET_COUNT_; i++) {
        const set_row_t *r = &SETTINGS[i];
        buf_printf(out, "| `%s` | %s", r->name, set_type_name(r->type));
        if (*r->hint) buf_str(out, " ");
        cell(out, r->hint);
        if (r->flags & SF_SECRET) buf_str(out, ", secret");
        buf_printf(out, " | %s%s%s | ", *r->def ? "`" : "",
                   *r->def                  ? r->def
                   : r->flags & SF_REQUIRED ? "**required**"
                                            : "",
                   *r->def ? "`" : "");
        cell(out, r->help);
        buf_str(out, " |\n");
    }
}

void doc_aliases_md(buf_t *out)
{
    buf_str(out, "| Understood name | Setting |\n|---|---|\n");
#define ALIAS(alias, ident) buf_printf(out, "| `%s` | `%s` |\n", alias, SETTINGS[SET_##ident].name);
#include "base/aliases.def"
#undef ALIAS
}

void doc_errors_md(buf_t *out)
{
    buf_str(out, "| Error | Exit status | Cause | Cure |\n|---|---|---|---|\n");
    for (int i = ERR_NONE + 1; i < ERR_COUNT_; i++) {
        err_id_t id = (err_id_t)i;
        buf_printf(out, "| `%s` | %d | ", err_name(id), err_status(id));
        cell(out, err_cause(id));
        buf_str(out, " | ");
        cell(out, err_cure(id));
        buf_str(out, " |\n");
    }
}

void doc_exits_md(buf_t *out)
{
    buf_str(
        out,
        "| Status | Name | From `moodlectl run` | From a command | Start again? |\n|---|---|---|---|---|\n");
    for (const doc_exit_t *e = DOC_EXITS; e->name; e++)
        buf_printf(out, "| %d | %s | %s | %s | %s |\n", e->code, e->name, *e->from_run ? e->from_run : "-",
                   *e->from_command ? e->from_command : "-", e->again);
}

static void indented(buf_t *out, const char *lines)
{
    for (; *lines; lines += strcspn(lines, "\n") + (lines[strcspn(lines, "\n")] == '\n'))
        buf_printf(out, "    %.*s\n", (int)strcspn(lines, "\n"), lines);
}

static void reference_of(buf_t *out, const cli_cmd_t *c)
{
    buf_printf(out, "## moodlectl %s\n\n    ", c->name);
    doc_synopsis(out, c);
    buf_printf(out, "\n\n%s\n", c->help);
    for (const char *p = c->detail; p && *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n'))
        buf_printf(out, "\n%.*s\n", (int)strcspn(p, "\n"), p);
    if (c->examples) buf_str(out, "\nExamples:\n\n");
    if (c->examples) indented(out, c->examples);
    if (c->opts[0].name) buf_str(out, "\nOptions:\n\n");
    for (int i = 0; i < CLI_OPTS && c->opts[i].name; i++)
        buf_printf(out, "* `%s%s%s`: %s\n", c->opts[i].name, c->opts[i].arg ? " " : "",
                   c->opts[i].arg ? c->opts[i].arg : "", c->opts[i].help);
    buf_str(out, "\nExit statuses: 0");
    for (int i = 0; i < CLI_EXITS && c->exits[i]; i++) buf_printf(out, ", %d", c->exits[i]);
    buf_str(out, c->flags & CLI_HEALTH ? ".\n\n" : ", 64.\n\n");
}

void doc_reference_md(buf_t *out)
{
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++)
        if (!(c->flags & CLI_HIDDEN)) reference_of(out, c);
}

static void diagram(buf_t *out, void (*print)(FILE *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f) return;
    print(f);
    fclose(f);
    buf_str(out, "```mermaid\n");
    buf_add(out, text, len);
    buf_str(out, "```\n");
    free(text);
}

void doc_lifecycle_md(buf_t *out) { diagram(out, lifecycle_fsm_print); }
void doc_child_md(buf_t *out) { diagram(out, child_fsm_print); }
