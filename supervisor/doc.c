#include "supervisor/doc.h"
#include "base/fd.h"
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const doc_exit_t DOC_EXITS[] = {
    {EXIT_OK, "OK", "Drained cleanly after a stop request.", "Done; healthy; nothing pending.", "no need"},
    {EXIT_DIFFERENT, "DIFFERENT", "", "Unhealthy, or a check found a difference.", "no need"},
    {EXIT_PENDING_OUTAGE, "PENDING-OUTAGE", "", "An upgrade is pending and needs an outage.", "no need"},
    {EXIT_PENDING_NO_OUTAGE, "PENDING-NO-OUTAGE", "", "An upgrade is pending and needs no outage.",
     "no need"},
    {EXIT_CHILD_FAILED, "CHILD-FAILED", "An essential service kept dying.", "", "yes"},
    {EXIT_PROBE_FAILED, "PROBE-FAILED", "An essential service was alive but did not answer.", "", "yes"},
    {EXIT_DRAIN_DIRTY, "DRAIN-DIRTY", "Stopped at the deadline with work unfinished.", "", "yes"},
    {EXIT_FENCED, "FENCED", "The cluster lock was lost during exclusive work.", "The same.", "yes"},
    {EXIT_OLD_CODE, "OLD-CODE", "The database is newer than this image's code.", "The same.",
     "not before a change"},
    {EXIT_HALF_INSTALLED, "HALF-INSTALLED", "The database holds half an installation; a person must decide.",
     "The same.", "not before a change"},
    {EXIT_USAGE_, "USAGE", "The command line was not understood.", "The same.", "not before a change"},
    {EXIT_DATAERR, "DATAERR", "An input file is malformed: a template, the code's version.", "The same.",
     "not before a change"},
    {EXIT_NOINPUT, "NOINPUT", "A directory or file that must be there is missing.", "The same.",
     "not before a change"},
    {EXIT_UNAVAILABLE, "UNAVAILABLE", "Something outside could not be reached.",
     "The database, Redis or the running instance could not be reached.", "yes"},
    {EXIT_SOFTWARE, "SOFTWARE", "A bug of moodlectl, or a statement that the database refused.", "The same.",
     "yes"},
    {EXIT_OSERR, "OSERR", "The system refused memory, a process or a call.", "The same.", "yes"},
    {EXIT_CANTCREAT, "CANTCREAT", "A rendered file or directory could not be written.", "The same.",
     "not before a change"},
    {EXIT_IOERR, "IOERR", "Reading or writing failed.", "The same.", "yes"},
    {EXIT_TEMPFAIL, "TEMPFAIL", "Not now: someone else is at work, or an attempt failed.", "The same.",
     "yes"},
    {EXIT_NOPERM, "NOPERM", "Credentials, a privilege or a file mode do not allow it.", "The same.",
     "not before a change"},
    {EXIT_CONFIG, "CONFIG", "The settings are wrong.", "The same.", "not before a change"},
    {126, "NOT-EXECUTABLE", "", "The program was found but could not be executed.", "not before a change"},
    {127, "NOT-FOUND", "", "The program or script was not found.", "not before a change"},
    {0, NULL, NULL, NULL, NULL},
};

const doc_exit_t *doc_exit(int code)
{
    for (const doc_exit_t *e = DOC_EXITS; e->name; e++)
        if (e->code == code) return e;
    return NULL;
}

/* ---- lines and columns ---- */

doc_style_t doc_terminal(bool colour)
{
    struct winsize ws = {0};
    int width = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 40)
        width = ws.ws_col < 120 ? ws.ws_col : 120;
    return (doc_style_t){.width = width, .colour = colour};
}

void doc_heading(buf_t *out, const doc_style_t *style, const char *text)
{
    buf_printf(out, style->colour ? "\033[1m%s\033[0m\n" : "%s\n", text);
}

/* One paragraph, the cursor being at `column`; its other lines are indented by `rest`. */
static void wrap_from(buf_t *out, const doc_style_t *style, int column, int rest, const char *text,
                      size_t len)
{
    bool at_start = true;
    while (len > 0) {
        size_t word = 0;
        while (word < len && text[word] != ' ') word++;
        if (!at_start && column + 1 + (int)word > style->width) {
            buf_printf(out, "\n%*s", rest, "");
            column = rest;
            at_start = true;
        }
        buf_printf(out, "%s%.*s", at_start ? "" : " ", (int)word, text);
        column += (int)word + (at_start ? 0 : 1);
        at_start = false;
        while (word < len && text[word] == ' ') word++;
        text += word;
        len -= word;
    }
    buf_str(out, "\n");
}

void doc_wrap(buf_t *out, const doc_style_t *style, int first, int rest, const char *text)
{
    for (int indent = first; *text; indent = rest) {
        size_t len = strcspn(text, "\n");
        buf_printf(out, "%*s", indent, "");
        wrap_from(out, style, indent, rest, text, len);
        text += len + (text[len] == '\n');
    }
}

/* "  name   text text": the text in its own column, under the name when that is too long. */
static void two_columns(buf_t *out, const doc_style_t *style, int column, const char *name, const char *text)
{
    int len = (int)strlen(name);
    if (len + 4 > column)
        buf_printf(out, "  %s\n%*s", name, column, "");
    else
        buf_printf(out, "  %-*s", column - 2, name);
    wrap_from(out, style, column, column, text, strlen(text));
}

/* ---- commands ---- */

void doc_overview(buf_t *out, const doc_style_t *style)
{
    buf_str(out, "moodlectl runs Moodle in a container, and is the hand its operators use.\n\n");
    doc_heading(out, style, "Usage");
    buf_str(out, "  moodlectl COMMAND [options] [words]\n\n");
    doc_heading(out, style, "Commands");
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++)
        if (!(c->flags & CLI_HIDDEN)) two_columns(out, style, 22, c->name, c->help);
    buf_str(out, "\n");
    doc_heading(out, style, "Topics of \"moodlectl help\"");
    for (const doc_topic_t *t = DOC_TOPICS; t->name; t++)
        if (t->text) two_columns(out, style, 22, t->name, t->help);
    buf_str(out, "\n\"moodlectl help COMMAND\" says more, with examples and exit statuses.\n");
}

void doc_synopsis(buf_t *out, const cli_cmd_t *cmd)
{
    buf_printf(out, "moodlectl %s", cmd->name);
    for (int i = 0; i < CLI_OPTS && cmd->opts[i].name; i++)
        buf_printf(out, " [%s%s%s]", cmd->opts[i].name, cmd->opts[i].arg ? " " : "",
                   cmd->opts[i].arg ? cmd->opts[i].arg : "");
    if (*cmd->operands) buf_printf(out, " %s", cmd->operands);
}

static void exit_row(buf_t *out, const doc_style_t *style, int code)
{
    const doc_exit_t *e = doc_exit(code);
    char number[16];
    snprintf(number, sizeof number, "%d", code);
    if (e)
        two_columns(out, style, 8, number,
                    strcmp(e->from_command, "The same.") == 0 || !*e->from_command ? e->from_run
                                                                                   : e->from_command);
}

static void exits_of(buf_t *out, const cli_cmd_t *cmd, const doc_style_t *style)
{
    buf_str(out, "\n");
    doc_heading(out, style, "Exit statuses");
    exit_row(out, style, EXIT_OK);
    for (int i = 0; i < CLI_EXITS && cmd->exits[i]; i++) exit_row(out, style, cmd->exits[i]);
    if (!(cmd->flags & CLI_HEALTH)) exit_row(out, style, EXIT_USAGE_);
}

void doc_command(buf_t *out, const cli_cmd_t *cmd, const doc_style_t *style)
{
    cleanup_buf buf_t line = BUF_INIT;
    doc_synopsis(&line, cmd);
    doc_heading(out, style, buf_cstr(&line));
    buf_str(out, "\n");
    doc_wrap(out, style, 2, 2, cmd->help);
    if (cmd->detail) doc_wrap(out, style, 2, 2, cmd->detail);
    if (cmd->examples) {
        buf_str(out, "\n");
        doc_heading(out, style, "Examples");
        doc_style_t whole = {.width = 10000};
        doc_wrap(out, &whole, 2, 2, cmd->examples);
    }
    if (cmd->opts[0].name) {
        buf_str(out, "\n");
        doc_heading(out, style, "Options");
    }
    for (int i = 0; i < CLI_OPTS && cmd->opts[i].name; i++) {
        buf_clear(&line);
        buf_printf(&line, "%s%s%s", cmd->opts[i].name, cmd->opts[i].arg ? " " : "",
                   cmd->opts[i].arg ? cmd->opts[i].arg : "");
        two_columns(out, style, 22, buf_cstr(&line), cmd->opts[i].help);
    }
    exits_of(out, cmd, style);
}

void doc_verbs(buf_t *out, const char *noun)
{
    size_t len = strlen(noun);
    const char *comma = "";
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++) {
        if (strncmp(c->name, noun, len) != 0 || c->name[len] != ' ') continue;
        buf_printf(out, "%s%s", comma, c->name);
        comma = ", ";
    }
}

/* ---- topics ---- */

static void exits_text(buf_t *out, const doc_style_t *style)
{
    for (const doc_exit_t *e = DOC_EXITS; e->name; e++) {
        buf_printf(out, "%3d  %s (start again: %s)\n", e->code, e->name, e->again);
        if (*e->from_run) buf_printf(out, "     from run: ");
        if (*e->from_run) wrap_from(out, style, 15, 15, e->from_run, strlen(e->from_run));
        if (*e->from_command) buf_printf(out, "     from a command: ");
        if (*e->from_command) wrap_from(out, style, 21, 21, e->from_command, strlen(e->from_command));
    }
    doc_wrap(out, style, 0, 0,
             "128 and up: killed by signal number (status - 128). \"moodlectl moodle\" gives the script's "
             "own status.");
}

static void settings_text(buf_t *out, const doc_style_t *style)
{
    doc_wrap(out, style, 0, 0,
             "Every setting whose name does not begin with AWS_ or ECS_ can also be given as NAME_FILE (a "
             "file that "
             "holds the value) and NAME_ARN (a Secrets Manager secret), but only in one form.");
    for (int i = 0; i < SET_COUNT_; i++) {
        const set_row_t *r = &SETTINGS[i];
        cleanup_buf buf_t about = BUF_INIT;
        buf_printf(&about, "%s%s%s%s%s%s", set_type_name(r->type), *r->hint ? " " : "", r->hint,
                   r->flags & SF_REQUIRED ? ", required" : "", r->flags & SF_SECRET ? ", secret" : "",
                   *r->def ? ", default " : "");
        buf_str(&about, r->def);
        buf_printf(out, "\n%s (%s)\n", r->name, buf_cstr(&about));
        doc_wrap(out, style, 4, 4, r->help);
    }
}

static void errors_text(buf_t *out, const doc_style_t *style)
{
    for (int i = ERR_NONE + 1; i < ERR_COUNT_; i++) {
        err_id_t id = (err_id_t)i;
        buf_printf(out, "%s (exit status %d)\n", err_name(id), err_status(id));
        doc_wrap(out, style, 4, 4, err_cause(id));
        doc_wrap(out, style, 4, 4, err_cure(id));
    }
}

static void commands_text(buf_t *out, const doc_style_t *style)
{
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++) {
        if (c->flags & CLI_HIDDEN) continue;
        doc_command(out, c, style);
        buf_str(out, "\n");
    }
}

static void aliases_text(buf_t *out, const doc_style_t *style)
{
    (void)style;
#define ALIAS(alias, ident) buf_printf(out, "%-28s %s\n", alias, SETTINGS[SET_##ident].name);
#include "base/aliases.def"
#undef ALIAS
}

const doc_topic_t DOC_TOPICS[] = {
    {"commands", "All commands at length.", commands_text, doc_commands_md},
    {"settings", "All settings, with type and default.", settings_text, doc_settings_md},
    {"aliases", "Names of other images that are understood.", aliases_text, doc_aliases_md},
    {"errors", "All error ids, with cause and cure.", errors_text, doc_errors_md},
    {"exit-codes", "All exit statuses.", exits_text, doc_exits_md},
    {"reference", NULL, NULL, doc_reference_md},
    {"lifecycle", NULL, NULL, doc_lifecycle_md},
    {"child", NULL, NULL, doc_child_md},
    {NULL, NULL, NULL, NULL},
};

const doc_topic_t *doc_topic(const char *name)
{
    for (const doc_topic_t *t = DOC_TOPICS; t->name; t++)
        if (strcmp(t->name, name) == 0) return t;
    return NULL;
}
