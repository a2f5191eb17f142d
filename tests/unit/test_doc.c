/* links: supervisor base */
#include "supervisor/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const doc_style_t PLAIN = {.width = 40};

static void wraps_at_the_width(void **state)
{
    (void)state;
    buf_t out = BUF_INIT;
    const doc_style_t narrow = {.width = 12};
    doc_wrap(&out, &narrow, 2, 4, "one two three four\nnext averyveryverylongword");
    assert_string_equal(buf_cstr(&out),
                        "  one two\n    three\n    four\n    next\n    averyveryverylongword\n");
    buf_clear(&out);
    doc_wrap(&out, &narrow, 2, 2, "");
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    for (; *text; text += strcspn(text, "\n") + 1)
        if (strcspn(text, "\n") > longest) longest = strcspn(text, "\n");
    return longest;
}

static void overview_fits_a_screen(void **state)
{
    (void)state;
    buf_t out = BUF_INIT;
    const doc_style_t style = {.width = 80};
    doc_overview(&out, &style);
    size_t lines = 0;
    for (const char *p = buf_cstr(&out); *p; p++) lines += *p == '\n';
    assert_true(lines <= 40);
    assert_true(longest_line(buf_cstr(&out)) <= 80);
    for (const cli_cmd_t *c = CLI_COMMANDS; c->name; c++) {
        if (c->flags & CLI_HIDDEN)
            assert_null(strstr(buf_cstr(&out), c->help));
        else
            assert_non_null(strstr(buf_cstr(&out), c->name));
    }
    assert_null(strchr(buf_cstr(&out), '\033'));
    buf_free(&out);
}

static void command_help_names_its_parts(void **state)
{
    (void)state;
    int n = 0;
    char *argv[] = {(char[]){"render"}, NULL};
    buf_t out = BUF_INIT;
    doc_command(&out, cli_find(1, argv, &n), &PLAIN);
    assert_non_null(strstr(buf_cstr(&out), "moodlectl render [--diff] [--check] [--out DIR]"));
    assert_non_null(strstr(buf_cstr(&out), "  1     Unhealthy, or a check found"));
    assert_non_null(strstr(buf_cstr(&out), "  64    The command line was not"));
    buf_free(&out);
}

static void colour_only_when_asked(void **state)
{
    (void)state;
    const doc_style_t style = {.width = 80, .colour = true};
    buf_t out = BUF_INIT;
    doc_heading(&out, &style, "x");
    assert_string_equal(buf_cstr(&out), "\033[1mx\033[0m\n");
    buf_clear(&out);
    doc_heading(&out, &PLAIN, "x");
    assert_string_equal(buf_cstr(&out), "x\n");
    buf_free(&out);
}

/* Every row of every Markdown table has as many cells as its head. */
static void markdown_tables_are_whole(void **state)
{
    (void)state;
    for (const doc_topic_t *t = DOC_TOPICS; t->name; t++) {
        buf_t out = BUF_INIT;
        t->markdown(&out);
        assert_false(out.failed);
        if (!t->text) { /* a diagram, or the reference */
            assert_true(
                strncmp(buf_cstr(&out), "```mermaid\nstateDiagram", 23) == 0 ||
                strstr(buf_cstr(&out), "## moodlectl upgrade plan\n\n    moodlectl upgrade plan [--json]\n"));
            buf_free(&out);
            continue;
        }
        int want = 0;
        for (const char *p = buf_cstr(&out); *p; p += strcspn(p, "\n") + 1) {
            int cells = 0;
            for (const char *q = p; *q && *q != '\n'; q++) cells += *q == '|' && (q == p || q[-1] != '\\');
            if (!want) want = cells;
            assert_int_equal(cells, want);
        }
        assert_true(want > 2);
        buf_free(&out);
    }
}

static void topics_hold_their_tables(void **state)
{
    (void)state;
    buf_t out = BUF_INIT;
    doc_topic("settings")->text(&out, &PLAIN);
    for (int i = 0; i < SET_COUNT_; i++) assert_non_null(strstr(buf_cstr(&out), SETTINGS[i].name));
    buf_clear(&out);
    doc_topic("errors")->text(&out, &PLAIN);
    for (int i = ERR_NONE + 1; i < ERR_COUNT_; i++)
        assert_non_null(strstr(buf_cstr(&out), err_name((err_id_t)i)));
    buf_free(&out);
    assert_null(doc_topic("nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_at_the_width),           cmocka_unit_test(overview_fits_a_screen),
        cmocka_unit_test(command_help_names_its_parts), cmocka_unit_test(colour_only_when_asked),
        cmocka_unit_test(markdown_tables_are_whole),    cmocka_unit_test(topics_hold_their_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
