/* fuzz_render - any template and any value: no crash, and what is quoted for PHP can be read back. */
#include "bootstrap/quote.h"
#include "bootstrap/render.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The reader of a single-quoted PHP string (Zend/zend_language_scanner.l): \\ and \' are one character, all else is itself. */
static void php_check(const char *value, size_t len)
{
    buf_t quoted = BUF_INIT, back = BUF_INIT;
    quote_php(&quoted, value, len);
    for (size_t i = 1; i + 1 < quoted.len; i++) {
        char c = quoted.data[i];
        if (c == '\'') __builtin_trap(); /* the literal would end here */
        if (c == '\\' && (quoted.data[i + 1] == '\\' || quoted.data[i + 1] == '\'')) c = quoted.data[++i];
        if (i + 1 >= quoted.len) __builtin_trap();
        buf_add(&back, &c, 1);
    }
    if (back.len != len || memcmp(buf_cstr(&back), value, len) != 0) __builtin_trap();
    buf_free(&quoted);
    buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t split = strnlen(text, size), rest = size > split ? size - split - 1 : 0;
    char *value = malloc(split + 1);
    buf_t out = BUF_INIT;
    err_t err = {0};
    memcpy(value, text, split);
    value[split] = '\0';
    const render_value_t values[] = {{.name = "a", .type = RV_TEXT, .text = value},
                                     {.name = "l", .type = RV_LIST, .text = value},
                                     {.name = "n", .type = RV_NUMBER, .number = (int64_t)split},
                                     {.name = "f", .type = RV_FLAG, .number = (int64_t)split & 1},
                                     {.name = NULL}};
    php_check(value, split);
    if (rest) render_template("f", text + split + 1, rest, values, &out, &err);
    buf_free(&out);
    free(value);
    return 0;
}
