/* cli.h - the command line: one table of commands (cmd_table.c) makes the parser, the help and the documents.
 * Everything here belongs to short commands; PID 1 itself never comes here. Commands may block. */
#ifndef MOODLECTL_SUPERVISOR_CLI_H
#define MOODLECTL_SUPERVISOR_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/settings.h"
#include <stdbool.h>
#include <stddef.h>

enum {
    CLI_RAW = 1,    /* all words after the command's name are its own, options too */
    CLI_HIDDEN = 2, /* not in the help */
    CLI_HEALTH =
        4, /* exit status 0 or 1 and nothing else: container health checks give 2 and up other meanings */
};
enum { CLI_OPTS = 4, CLI_EXITS = 10 };

typedef struct {
    const char *name; /* "--json" */
    const char *arg;  /* "DIR", or NULL for a flag */
    const char *help;
} cli_opt_t;

typedef struct {
    char *opt[CLI_OPTS]; /* by position in the table: NULL not given, "" a flag, else the value */
    char *const *words;  /* what is no option; NULL after the last */
    int count;
    const settings_t *settings;
    bool colour; /* standard output is a terminal that wants colour */
} cli_args_t;

typedef struct {
    const char *name;     /* one or two words: "status", "upgrade run" */
    const char *operands; /* what follows it in the synopsis, options apart */
    const char *help;     /* one line */
    const char *detail;   /* paragraphs, separated by one newline */
    const char *examples; /* one a line */
    cli_opt_t opts[CLI_OPTS];
    int exits[CLI_EXITS]; /* statuses besides 0 and 64, ends at the first 0 */
    int least, most;      /* number of words */
    unsigned flags;
    int (*run)(const cli_args_t *args); /* gives the exit status */
} cli_cmd_t;

extern const cli_cmd_t CLI_COMMANDS[]; /* ends with a NULL name */

/* The command that argv begins with, and how many words its name has; NULL when there is none. */
const cli_cmd_t *cli_find(int argc, char *const *argv, int *ret_words);
bool cli_is_noun(const char *word); /* first word of a two-word command? */
/* What was probably meant by the first words of argv: a whole command name, or NULL. */
const char *cli_nearest(int argc, char *const *argv);
/* Sorts argv (without the command's name) into options and words. `words` has room for argc + 1 pointers. */
int cli_parse(const cli_cmd_t *cmd, int argc, char *const *argv, char **words, cli_args_t *ret_args,
              err_t *err);

/* Two lines on standard error: what happened, and the cure. Gives the exit status. */
int cli_fail(const err_t *err);
/* The same for a command line that was not understood; `hint` is the second line. */
int cli_usage(const char *what, const char *hint);

/* Runs one command; argv[0] is the program. Gives the exit status. */
int cli_main(int argc, char *const *argv, char *const *envp);

#endif
