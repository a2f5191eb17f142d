/* links: supervisor base */
#include "base/buf.h"
#include "supervisor/lineio.h"
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    buf_t text; /* the lines, joined by newlines: parts are put together again */
    unsigned lines, parts;
    size_t longest;
} seen_t;

static void on_line(void *arg, const char *bytes, size_t len, unsigned part, bool last)
{
    seen_t *s = arg;
    buf_add(&s->text, bytes, len);
    if (len > s->longest) s->longest = len;
    if (part) s->parts++;
    if (!last) return;
    buf_str(&s->text, "\n");
    s->lines++;
}

static void test_lines_across_reads(void **state)
{
    (void)state;
    lineio_t l = {0};
    seen_t s = {0};
    lineio_feed(&l, "one\ntw", 6, on_line, &s);
    assert_int_equal(s.lines, 1);
    lineio_feed(&l, "o\n\nlast", 7, on_line, &s);
    assert_int_equal(s.lines, 3);
    lineio_end(&l, on_line, &s);
    assert_string_equal(s.text.data, "one\ntwo\n\nlast\n");
    assert_null(l.held);
    buf_free(&s.text);
}

static void test_nul_bytes_are_bytes(void **state)
{
    (void)state;
    lineio_t l = {0};
    seen_t s = {0};
    lineio_feed(&l, "a\0b\nc\0", 6, on_line, &s);
    lineio_feed(&l, "d\n", 2, on_line, &s);
    assert_int_equal(s.text.len, 8);
    assert_memory_equal(s.text.data, "a\0b\nc\0d\n", 8);
    buf_free(&s.text);
}

static void test_a_long_line_comes_in_parts(void **state)
{
    (void)state;
    lineio_t l = {0};
    seen_t s = {0};
    size_t len = 3 * LINE_MAX_ + 100;
    char *line = malloc(len + 1);
    memset(line, 'x', len);
    line[len] = '\n';
    lineio_feed(&l, line, 5000, on_line, &s);
    lineio_feed(&l, line + 5000, len + 1 - 5000, on_line, &s);
    assert_int_equal(s.lines, 1);
    assert_int_equal(s.parts, 4);
    assert_int_equal(s.longest, LINE_MAX_);
    assert_int_equal(s.text.len, len + 1);
    free(line);
    buf_free(&s.text);
    lineio_free(&l);
}

/* Whatever the cuts between reads, the same bytes come out. */
static void test_any_cut_gives_the_same(void **state)
{
    (void)state;
    size_t len = 60000;
    char *in = malloc(len);
    srandom(7);
    for (size_t i = 0; i < len; i++) in[i] = i > 20000 && i < 45000 ? 'y' : (random() % 40 ? 'z' : '\n');
    in[len - 1] = '\n';
    for (int round = 0; round < 50; round++) {
        lineio_t l = {0};
        seen_t s = {0};
        for (size_t at = 0; at < len;) {
            size_t n = 1 + (size_t)random() % 9000;
            if (n > len - at) n = len - at;
            lineio_feed(&l, in + at, n, on_line, &s);
            at += n;
        }
        assert_int_equal(s.text.len, len);
        assert_memory_equal(s.text.data, in, len);
        assert_null(l.held);
        buf_free(&s.text);
    }
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_across_reads),
        cmocka_unit_test(test_nul_bytes_are_bytes),
        cmocka_unit_test(test_a_long_line_comes_in_parts),
        cmocka_unit_test(test_any_cut_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
