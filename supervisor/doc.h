/* doc.h - help and documents, generated from the tables: commands, settings, errors, exit statuses. Pure: fills buffers. */
#ifndef MOODLECTL_SUPERVISOR_DOC_H
#define MOODLECTL_SUPERVISOR_DOC_H

#include "base/buf.h"
#include "supervisor/cli.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    int width; /* columns */
    bool colour;
} doc_style_t;
doc_style_t doc_terminal(bool colour); /* the width of the terminal on standard output, 80 when it is none */

typedef struct {
    int code;
    const char *name;
    const char *from_run;     /* what it means when PID 1 ends with it; "" when it never does */
    const char *from_command; /* the same for any other command */
    const char *again;        /* does it help to start again? */
} doc_exit_t;
extern const doc_exit_t DOC_EXITS[];  /* ends with a NULL name */
const doc_exit_t *doc_exit(int code); /* NULL when undocumented */

typedef struct {
    const char *name, *help;
    void (*text)(buf_t *out, const doc_style_t *style); /* NULL: for documents only */
    void (*markdown)(buf_t *out);
} doc_topic_t;
extern const doc_topic_t DOC_TOPICS[]; /* ends with a NULL name */
const doc_topic_t *doc_topic(const char *name);

void doc_heading(buf_t *out, const doc_style_t *style, const char *text);
/* Words broken at the width; `first` and `rest` columns of indent for the first and the other lines. */
void doc_wrap(buf_t *out, const doc_style_t *style, int first, int rest, const char *text);

void doc_overview(buf_t *out, const doc_style_t *style);
void doc_command(buf_t *out, const cli_cmd_t *cmd, const doc_style_t *style);
void doc_synopsis(buf_t *out, const cli_cmd_t *cmd);
void doc_verbs(buf_t *out, const char *noun); /* "upgrade plan, upgrade run" */

void doc_commands_md(buf_t *out);
void doc_reference_md(buf_t *out); /* all of every command */
void doc_settings_md(buf_t *out);
void doc_aliases_md(buf_t *out);
void doc_errors_md(buf_t *out);
void doc_exits_md(buf_t *out);
void doc_lifecycle_md(buf_t *out); /* the state machines as Mermaid diagrams */
void doc_child_md(buf_t *out);

#endif
