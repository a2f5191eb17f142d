#include "supervisor/cli.h"
#include "base/fd.h"
#include "base/nearest.h"
#include "supervisor/doc.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many of argv's words the name has when argv begins with it, else 0. */
static int name_matches(const char *name, int argc, char *const *argv)
{
    const char *space = strchr(name, ' ');
    size_t first = space ? (size_t)(space - name) : strlen(name);
    if (argc < 1 || strlen(argv[0]) != first || strncmp(name, argv[0], first) != 0) return 0;
    if (!space) return 1;
    return argc >= 2 && strcmp(space + 1, argv[1]) == 0 ? 2 : 0;
}

const cli_cmd_t *cli_find(int argc, char *const *argv, int *ret_words)
{
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++) {
        int n = name_matches(c->name, argc, argv);
        if (n == 0) continue;
        *ret_words = n;
        return c;
    }
    return NULL;
}

bool cli_is_noun(const char *word)
{
    size_t len = strlen(word);
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++)
        if (strncmp(c->name, word, len) == 0 && c->name[len] == ' ') return true;
    return false;
}

/* Distance from what was typed to a command name: of its first word, and of its second when there is one of each. */
static size_t name_distance(const char *name, int argc, char *const *argv)
{
    char noun[NEAREST_MAX];
    const char *space = strchr(name, ' ');
    snprintf(noun, sizeof noun, "%.*s", (int)(space ? (size_t)(space - name) : strlen(name)), name);
    size_t d = nearest_distance(argv[0], noun);
    if (!nearest_is_near(argv[0], d)) return SIZE_MAX;
    if (!space || argc < 2) return d;
    size_t verb = nearest_distance(argv[1], space + 1);
    return nearest_is_near(argv[1], verb) ? d + verb : SIZE_MAX;
}

const char *cli_nearest(int argc, char *const *argv)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name && argc > 0; c++) {
        size_t d = c->flags & CLI_HIDDEN ? SIZE_MAX : name_distance(c->name, argc, argv);
        if (d >= least) continue;
        least = d;
        best = c->name;
    }
    return best;
}

/* ---- options ---- */

static int option_find(const cli_cmd_t *cmd, const char *word, size_t len)
{
    for (int i = 0; i < CLI_OPTS && cmd->opts[i].name; i++)
        if (strlen(cmd->opts[i].name) == len && strncmp(cmd->opts[i].name, word, len) == 0) return i;
    return -1;
}

static int option_unknown(const cli_cmd_t *cmd, const char *word, err_t *err)
{
    for (int i = 0; i < CLI_OPTS && cmd->opts[i].name; i++)
        if (nearest_is_near(word, nearest_distance(word, cmd->opts[i].name)))
            return err_set(err, ERR_USAGE, "%s has no option \"%s\"; did you mean %s?", cmd->name, word,
                           cmd->opts[i].name);
    return err_set(err, ERR_USAGE, "%s has no option \"%s\"", cmd->name, word);
}

/* Takes the option at argv[*at]; moves *at past its value when that is a word of its own. */
static int option_take(const cli_cmd_t *cmd, int argc, char *const *argv, int *at, cli_args_t *args,
                       err_t *err)
{
    static char given[] = "";
    char *word = argv[*at], *eq = strchr(word, '=');
    int i = option_find(cmd, word, eq ? (size_t)(eq - word) : strlen(word));
    if (i < 0) return option_unknown(cmd, word, err);
    if (!cmd->opts[i].arg) {
        if (eq) return err_set(err, ERR_USAGE, "%s takes no value", cmd->opts[i].name);
        args->opt[i] = given;
        return 0;
    }
    if (!eq && *at + 1 >= argc)
        return err_set(err, ERR_USAGE, "%s needs a value: %s", cmd->opts[i].name, cmd->opts[i].arg);
    args->opt[i] = eq ? eq + 1 : argv[++*at];
    return 0;
}

int cli_parse(const cli_cmd_t *cmd, int argc, char *const *argv, char **words, cli_args_t *ret_args,
              err_t *err)
{
    cli_args_t args = {.words = words};
    bool options = !(cmd->flags & CLI_RAW);
    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            if (option_take(cmd, argc, argv, &i, &args, err) < 0) return -1;
        } else {
            words[args.count++] = argv[i];
        }
    }
    words[args.count] = NULL;
    if (args.count < cmd->least) return err_set(err, ERR_USAGE, "%s needs %s", cmd->name, cmd->operands);
    if (args.count > cmd->most)
        return err_set(err, ERR_USAGE, "%s: \"%s\" is too much", cmd->name, words[cmd->most]);
    *ret_args = args;
    return 0;
}

/* ---- saying no ---- */

int cli_fail(const err_t *err)
{
    fprintf(stderr, "moodlectl: %s: %s\n", err_name(err->id), err->msg);
    fprintf(stderr, "%s\n", err_cure(err->id));
    return err_status(err->id);
}

int cli_usage(const char *what, const char *hint)
{
    fprintf(stderr, "moodlectl: %s\n%s\n", what, hint);
    return EXIT_USAGE_;
}

static int unknown_command(int argc, char *const *argv)
{
    cleanup_buf buf_t what = BUF_INIT, hint = BUF_INIT;
    const char *near = cli_nearest(argc, argv);
    if (cli_is_noun(argv[0]) && (argc < 2 || !near)) {
        buf_printf(&what, argc < 2 ? "%s needs one word more" : "%s has no \"%s\"", argv[0],
                   argc < 2 ? "" : argv[1]);
        buf_printf(&hint, "There is: ");
        doc_verbs(&hint, argv[0]);
        buf_str(&hint, ".");
    } else {
        buf_printf(&what, "there is no command \"%s%s%s\"", argv[0],
                   near && argc > 1 && strchr(near, ' ') ? " " : "",
                   near && argc > 1 && strchr(near, ' ') ? argv[1] : "");
        if (near)
            buf_printf(&hint, "Did you mean \"moodlectl %s\"?", near);
        else
            buf_str(&hint, "\"moodlectl help\" lists them.");
    }
    return cli_usage(buf_cstr(&what), buf_cstr(&hint));
}

/* ---- running one ---- */

static bool asks_for_help(const cli_cmd_t *cmd, int argc, char *const *argv)
{
    int last = cmd->flags & CLI_RAW && argc > 1 ? 1 : argc; /* "moodle cron --help" is the script's */
    for (int i = 0; i < last; i++) {
        if (strcmp(argv[i], "--") == 0) return false;
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) return true;
    }
    return false;
}

static bool wants_colour(const settings_t *s)
{
    return isatty(STDOUT_FILENO) && !*settings_str(s, SET_no_color);
}

static int run_command(const cli_cmd_t *cmd, int argc, char *const *argv, const settings_t *s)
{
    err_t err = {0};
    cli_args_t args = {0};
    if (asks_for_help(cmd, argc, argv)) {
        doc_style_t style = doc_terminal(wants_colour(s));
        cleanup_buf buf_t out = BUF_INIT;
        doc_command(&out, cmd, &style);
        fputs(buf_cstr(&out), stdout);
        return EXIT_OK;
    }
    if (!cmd->run) return cli_usage("run cannot run inside run", "See \"moodlectl help run\".");
    char **words = calloc((size_t)argc + 1, sizeof *words);
    if (!words) return EXIT_OSERR;
    int status;
    if (cli_parse(cmd, argc, argv, words, &args, &err) < 0) {
        cleanup_buf buf_t hint = BUF_INIT;
        buf_printf(&hint, "See \"moodlectl help %s\".", cmd->name);
        status = cli_usage(err.msg, buf_cstr(&hint));
    } else {
        args.settings = s;
        args.colour = wants_colour(s);
        status = cmd->run(&args);
    }
    free(words);
    return status;
}

static int dispatch(int argc, char *const *argv, const settings_t *s)
{
    static char help[] = "help", version[] = "version";
    char *const help_argv[] = {help, NULL}, *const version_argv[] = {version, NULL};
    if (argc < 1 || strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0) {
        argc = 1;
        argv = help_argv;
    } else if (strcmp(argv[0], "-V") == 0 || strcmp(argv[0], "--version") == 0) {
        argc = 1;
        argv = version_argv;
    }
    int words = 0;
    const cli_cmd_t *cmd = cli_find(argc, argv, &words);
    if (!cmd) return unknown_command(argc, argv);
    int status = run_command(cmd, argc - words, argv + words, s);
    if (fflush(stdout) != 0 && status == EXIT_OK) status = EXIT_IOERR; /* a full disk behind ">" */
    return cmd->flags & CLI_HEALTH && status != EXIT_OK ? EXIT_DIFFERENT : status;
}

int cli_main(int argc, char *const *argv, char *const *envp)
{
    settings_t *s = settings_load(envp);
    if (!s) return EXIT_OSERR;
    int status = dispatch(argc - 1, argv + 1, s);
    settings_free(&s);
    return status;
}
