/* links: base */
#include "base/fd.h"
#include "base/json_bytes.h"
#include "test.h"
#include <string.h>

static void base64_as_in_the_rfc(void **state)
{
    (void)state;
    static const char *const rfc[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"},
                                         {"\xff\xfe\xfd", "//79"}};
    cleanup_buf buf_t b = BUF_INIT;
    for (size_t i = 0; i < sizeof rfc / sizeof *rfc; i++) { /* RFC 4648 section 10 */
        buf_clear(&b);
        json_bytes_base64(&b, rfc[i][0], strlen(rfc[i][0]));
        assert_string_equal(buf_cstr(&b), rfc[i][1]);
    }
}

/* What is written is read again, whatever it is. */
static void any_bytes_come_back(void **state)
{
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++) all[i] = (char)i;
    for (size_t len = 0; len <= sizeof all; len++)
        for (size_t from = 0; from < sizeof all && from + len <= sizeof all; from += 61) {
            cleanup_buf buf_t b = BUF_INIT;
            json_t *v = json_bytes_new(all + from, len);
            assert_non_null(v);
            assert_int_equal(json_is_string(v), len == 0 || from + len <= 128); /* ASCII */
            json_bytes_read(v, &b);
            assert_int_equal(b.len, len);
            assert_memory_equal(buf_cstr(&b), all + from, len);
            json_decref(v);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(base64_as_in_the_rfc),
                                       cmocka_unit_test(any_bytes_come_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
