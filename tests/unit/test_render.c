/* links: bootstrap base */
#include "test.h"

#include "base/fd.h"
#include "bootstrap/render.h"
#include <string.h>

static const render_value_t VALUES[] = {{.name = "dir", .type = RV_TEXT, .text = "/a b/'c'"},
                                        {.name = "none", .type = RV_TEXT, .text = ""},
                                        {.name = "n", .type = RV_NUMBER, .number = 42},
                                        {.name = "zero", .type = RV_NUMBER},
                                        {.name = "on", .type = RV_FLAG, .number = 1},
                                        {.name = "off", .type = RV_FLAG},
                                        {.name = "nets", .type = RV_LIST, .text = "10.0.0.0/8,::1"},
                                        {.name = "empty", .type = RV_LIST, .text = ""},
                                        {.name = "money", .type = RV_TEXT, .text = "/$x"},
                                        {.name = NULL}};

static void gives(const char *template, const char *expected)
{
    cleanup_buf buf_t out = BUF_INIT;
    err_t err = {0};
    if (render_template("t", template, strlen(template), VALUES, &out, &err) < 0)
        fail_msg("%s: %s", template, err.msg);
    assert_string_equal(buf_cstr(&out), expected);
}

static void breaks(const char *template, const char *words)
{
    cleanup_buf buf_t out = BUF_INIT;
    err_t err = {0};
    assert_int_equal(render_template("dir/t.tmpl", template, strlen(template), VALUES, &out, &err), -1);
    assert_int_equal(err.id, ERR_TEMPLATE);
    if (!strstr(err.msg, words)) fail_msg("%s: %s", template, err.msg);
    assert_non_null(strstr(err.msg, "dir/t.tmpl"));
}

static void test_languages(void **state)
{
    (void)state;
    gives("{{language php}}\n$x = {{dir}};\n", "$x = '/a b/\\'c\\'';\n");
    gives("{{language nginx}}\nroot {{dir}};\n", "root \"/a b/'c'\";\n");
    gives("{{language ini}}\nx = {{dir}}\n", "x = '/a b/'\"'\"'c'\"'\"\n");
    gives("{{language html}}\n<b>{{dir}}</b>", "<b>/a b/&#39;c&#39;</b>");
    gives("{{language php}}\n{{dir:/x'y}} {{n}} {{none}} {{none:/z}}\n", "'/a b/\\'c\\'/x\\'y' 42 '' '/z'\n");
    gives("{{language php}}\n", "");
    gives("{{language php}}\n}} { {\n", "}} { {\n");
}

static void test_conditions(void **state)
{
    (void)state;
    gives("{{language "
          "php}}\n{{?on}}a\n{{?off}}b\n{{!off}}c\n{{!on}}d\n{{?none}}e\n{{?dir}}f\n{{?zero}}g\n{{?n}}h\n",
          "a\nc\nf\nh\n");
    gives("{{language php}}\n{{?on}}{{!off}}{{n}}\n{{?on}}{{?off}}{{n}}\n", "42\n");
    gives("{{language nginx}}\n{{@nets}}from {{nets}} n {{n}};\n{{@empty}}x {{empty}}\n",
          "from \"10.0.0.0/8\" n 42;\nfrom \"::1\" n 42;\n");
    gives("{{language nginx}}\n{{?off}}{{@nets}}from {{nets}};\n", "");
}

static void test_broken(void **state)
{
    (void)state;
    breaks("{{language php}}\nok\n{{nothing}}\n", "line 3: unknown name \"nothing\"");
    breaks("{{language php}}\n{{?nothing}}x\n", "line 2: unknown name \"nothing\"");
    breaks("{{language php}}\n{{off:/x\n", "line 2: {{ without }}");
    breaks("{{language php}}\n{{on}}\n", "line 2: flag or list");
    breaks("{{language php}}\n{{@dir}}x\n", "line 2: not a list");
    breaks("{{language perl}}\n", "line 1: the first line is not");
    breaks("<?php\n", "line 1: the first line is not");
    breaks("", "line 1: the first line is not");
}

static void test_dollar_for_nginx(void **state)
{
    (void)state;
    cleanup_buf buf_t out = BUF_INIT;
    err_t err = {0};
    const char *t = "{{language nginx}}\nroot {{money}};\n";
    assert_int_equal(render_template("t", t, strlen(t), VALUES, &out, &err), -1);
    assert_int_equal(err.id, ERR_SET_INVALID);
    assert_non_null(strstr(err.msg, "line 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_dollar_for_nginx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
