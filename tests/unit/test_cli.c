/* links: supervisor base */
#include "supervisor/cli.h"
#include "supervisor/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 8 };

/* "a b c" as an argument vector; the text is cut in place. */
typedef struct {
    char text[200];
    char *argv[MAX_WORDS + 1];
    int argc;
} line_t;

static line_t *line(line_t *l, const char *text)
{
    *l = (line_t){0};
    strncpy(l->text, text, sizeof l->text - 1);
    for (char *save = NULL, *w = strtok_r(l->text, " ", &save); w; w = strtok_r(NULL, " ", &save))
        l->argv[l->argc++] = w;
    return l;
}

static const cli_cmd_t *found(const char *text, int *ret_words)
{
    line_t l;
    line(&l, text);
    return cli_find(l.argc, l.argv, ret_words);
}

static void finds_names(void **state)
{
    (void)state;
    int n = 0;
    assert_string_equal(found("status", &n)->name, "status");
    assert_int_equal(n, 1);
    assert_string_equal(found("upgrade run now", &n)->name, "upgrade run");
    assert_int_equal(n, 2);
    assert_null(found("upgrade", &n));
    assert_null(found("upgraderun", &n));
    assert_null(found("stat", &n));
    assert_null(found("statuses", &n));
    assert_true(cli_is_noun("upgrade"));
    assert_false(cli_is_noun("upgrad"));
    assert_false(cli_is_noun("status"));
}

static const char *near(const char *text)
{
    line_t l;
    line(&l, text);
    return cli_nearest(l.argc, l.argv);
}

static void proposes_the_nearest(void **state)
{
    (void)state;
    assert_string_equal(near("stauts"), "status");
    assert_string_equal(near("maintainance on"), "maintenance on");
    assert_string_equal(near("upgrade rnu"), "upgrade run");
    assert_string_equal(near("cron run-naw"), "cron run-now");
    assert_null(near("frobnicate"));
    assert_null(near("upgrade frobnicate"));
    assert_null(near("dco")); /* hidden commands stay hidden */
}

static int parsed(const char *command, const char *text, cli_args_t *ret_args, err_t *err)
{
    static line_t l;
    static char *words[MAX_WORDS + 1];
    int n = 0;
    const cli_cmd_t *cmd = found(command, &n);
    line(&l, text);
    *err = (err_t){0};
    return cli_parse(cmd, l.argc, l.argv, words, ret_args, err);
}

static void parses_options(void **state)
{
    (void)state;
    cli_args_t a;
    err_t err;
    assert_int_equal(parsed("status", "--json", &a, &err), 0);
    assert_string_equal(a.opt[0], "");
    assert_int_equal(parsed("status", "", &a, &err), 0);
    assert_null(a.opt[0]);
    assert_int_equal(parsed("render", "--out /tmp/x", &a, &err), 0);
    assert_string_equal(a.opt[2], "/tmp/x");
    assert_int_equal(parsed("render", "--out=/tmp/x", &a, &err), 0);
    assert_string_equal(a.opt[2], "/tmp/x");
    assert_int_equal(parsed("explain", "-- E-BUG", &a, &err), 0);
    assert_string_equal(a.words[0], "E-BUG");
}

static void raw_commands_keep_their_words(void **state)
{
    (void)state;
    cli_args_t a;
    err_t err;
    assert_int_equal(parsed("moodle", "cron --keep-alive=0 -- x", &a, &err), 0);
    assert_int_equal(a.count, 4);
    assert_string_equal(a.words[1], "--keep-alive=0");
    assert_string_equal(a.words[2], "--");
    assert_null(a.words[4]);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *command, *text, *says;
    } ROWS[] = {
        {"status", "--jsno", "did you mean --json"},
        {"status", "--frobnicate", "no option"},
        {"status", "extra", "too much"},
        {"status", "--json=1", "takes no value"},
        {"render", "--out", "needs a value"},
        {"explain", "", "needs ID"},
        {"explain", "a b", "too much"},
        {"moodle", "", "needs SCRIPT"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        cli_args_t a;
        err_t err;
        assert_int_equal(parsed(ROWS[i].command, ROWS[i].text, &a, &err), -1);
        assert_int_equal(err.id, ERR_USAGE);
        assert_non_null(strstr(err.msg, ROWS[i].says));
    }
}

/* The table itself: every row can be found, is documented, and names only statuses that the documents explain. */
static void table_is_complete(void **state)
{
    (void)state;
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++) {
        int n = 0;
        assert_ptr_equal(found(c->name, &n), c);
        assert_non_null(c->operands);
        assert_true(c->help && strlen(c->help) <= 58);
        assert_true(c->least <= c->most);
        assert_true(c->run || strcmp(c->name, "run") == 0);
        if (!(c->flags & CLI_HIDDEN)) assert_non_null(c->examples);
        for (int i = 0; i < CLI_EXITS && c->exits[i]; i++) assert_non_null(doc_exit(c->exits[i]));
    }
}

static void every_error_status_is_documented(void **state)
{
    (void)state;
    for (int i = ERR_NONE + 1; i < ERR_COUNT_; i++) {
        const doc_exit_t *e = doc_exit(err_status((err_id_t)i));
        assert_non_null(e);
        assert_true(*e->from_run || *e->from_command);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_names),
        cmocka_unit_test(proposes_the_nearest),
        cmocka_unit_test(parses_options),
        cmocka_unit_test(raw_commands_keep_their_words),
        cmocka_unit_test(refuses),
        cmocka_unit_test(table_is_complete),
        cmocka_unit_test(every_error_status_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
