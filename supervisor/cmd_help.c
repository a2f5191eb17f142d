#include "base/fd.h"
#include "base/nearest.h"
#include "supervisor/cmd_table.h"
#include "supervisor/doc.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* ---- explain ---- */

static err_id_t error_named(const char *word)
{
    char name[64];
    err_id_t id = err_find(word);
    if (id || strncasecmp(word, "E-", 2) == 0) return id;
    snprintf(name, sizeof name, "E-%s", word);
    return err_find(name);
}

static int no_such_error(const char *word)
{
    cleanup_buf buf_t what = BUF_INIT, hint = BUF_INIT;
    size_t least = NEAREST_MAX;
    err_id_t best = ERR_NONE;
    for (int i = ERR_NONE + 1; i < ERR_COUNT_; i++) {
        size_t d = nearest_distance(word, err_name((err_id_t)i));
        if (d >= least || !nearest_is_near(word, d)) continue;
        least = d;
        best = (err_id_t)i;
    }
    buf_printf(&what, "there is no error \"%s\"", word);
    if (best)
        buf_printf(&hint, "Did you mean %s?", err_name(best));
    else
        buf_str(&hint, "\"moodlectl help errors\" lists them.");
    return cli_usage(buf_cstr(&what), buf_cstr(&hint));
}

int cmd_explain(const cli_args_t *args)
{
    err_id_t id = error_named(args->words[0]);
    if (id == ERR_NONE) return no_such_error(args->words[0]);
    doc_style_t style = doc_terminal(args->colour);
    const doc_exit_t *e = doc_exit(err_status(id));
    cleanup_buf buf_t out = BUF_INIT;
    doc_heading(&out, &style, err_name(id));
    doc_wrap(&out, &style, 2, 2, err_cause(id));
    doc_wrap(&out, &style, 2, 2, err_cure(id));
    buf_printf(&out, "  Exit status %d, %s. %s\n", err_status(id), e ? e->name : "?",
               err_is_retryable(id) ? "moodlectl tries again by itself where it can."
                                    : "Trying again without a change does not help.");
    fputs(buf_cstr(&out), stdout);
    return EXIT_OK;
}

/* ---- version ---- */

/* Moodle's release, when files have been rendered and may be read by us; else NULL. */
static json_t *code_rendered(const settings_t *s)
{
    cleanup_buf buf_t path = BUF_INIT, text = BUF_INIT;
    buf_printf(&path, "%s/lead.json", settings_str(s, SET_run_dir));
    if (path.failed || fd_read_file(path.data, 1 << 20, &text, NULL) < 0) return NULL;
    json_t *lead = json_loadb(buf_cstr(&text), text.len, 0, NULL);
    json_t *code = json_incref(json_object_get(lead, "code"));
    json_decref(lead);
    return code;
}

int cmd_version(const cli_args_t *args)
{
    json_t *code = code_rendered(args->settings);
    const char *moodle = json_string_value(json_object_get(code, "release"));
    if (args->opt[0]) {
        json_t *o = json_pack("{s:s,s:s,s:s,s:s*}", "moodlectl", MOODLECTL_VERSION, "libuv",
                              uv_version_string(), "jansson", jansson_version_str(), "moodle", moodle);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    } else {
        printf("moodlectl %s (libuv %s, jansson %s)\n", MOODLECTL_VERSION, uv_version_string(),
               jansson_version_str());
        if (moodle) printf("Moodle %s\n", moodle);
    }
    json_decref(code);
    return EXIT_OK;
}

/* ---- help ---- */

static void help_noun(buf_t *out, const char *noun, const doc_style_t *style)
{
    size_t len = strlen(noun);
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++) {
        if (strncmp(c->name, noun, len) != 0 || c->name[len] != ' ') continue;
        doc_command(out, c, style);
        buf_str(out, "\n");
    }
}

int cmd_help(const cli_args_t *args)
{
    doc_style_t style = doc_terminal(args->colour);
    cleanup_buf buf_t out = BUF_INIT;
    int words = 0;
    const cli_cmd_t *cmd = args->count ? cli_find(args->count, args->words, &words) : NULL;
    const doc_topic_t *topic = args->count == 1 ? doc_topic(args->words[0]) : NULL;
    if (args->count == 0) {
        doc_overview(&out, &style);
    } else if (cmd && words == args->count) {
        doc_command(&out, cmd, &style);
    } else if (args->count == 1 && cli_is_noun(args->words[0])) {
        help_noun(&out, args->words[0], &style);
    } else if (topic && topic->text) {
        topic->text(&out, &style);
    } else {
        const char *near = cli_nearest(args->count, args->words);
        buf_printf(&out,
                   near ? "Did you mean \"moodlectl help %s\"?"
                        : "\"moodlectl help\" lists commands and topics.",
                   near);
        return cli_usage("there is no such help", buf_cstr(&out));
    }
    fputs(buf_cstr(&out), stdout);
    return EXIT_OK;
}

/* For tests/check/docs.sh, which keeps the generated parts of the documents true. */
int cmd_doc(const cli_args_t *args)
{
    const doc_topic_t *topic = doc_topic(args->words[0]);
    if (!topic) return cli_usage("there is no such topic", "\"moodlectl help\" lists them.");
    cleanup_buf buf_t out = BUF_INIT;
    topic->markdown(&out);
    fputs(buf_cstr(&out), stdout);
    return EXIT_OK;
}
