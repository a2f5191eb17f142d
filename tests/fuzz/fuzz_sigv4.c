/* fuzz_sigv4 - path, query, header and body of any bytes: signs, and the canonical forms are canonical. */
#include "base/fd.h"
#include "bootstrap/aws_sigv4.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A canonical query that is made canonical again does not change. */
static void check_query(const char *query)
{
    cleanup_buf buf_t once = BUF_INIT, twice = BUF_INIT;
    aws_sigv4_query(query, &once);
    aws_sigv4_query(buf_cstr(&once), &twice);
    if (strcmp(buf_cstr(&once), buf_cstr(&twice)) != 0) __builtin_trap();
}

static void check_path(const char *path)
{
    cleanup_buf buf_t got = BUF_INIT;
    aws_sigv4_path(path, false, &got);
    if (buf_cstr(&got)[0] != '/' || strstr(buf_cstr(&got), "//") || strstr(buf_cstr(&got), "/../"))
        __builtin_trap();
}

/* One input is a list of texts, a NUL after each: path, query, header value, token, body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { PARTS = 5 };
    char *part[PARTS];
    size_t at = 0;
    for (int i = 0; i < PARTS; i++) {
        size_t len = at < size ? strnlen((const char *)data + at, size - at) : 0;
        part[i] = strndup(at < size ? (const char *)data + at : "", len);
        at += len + 1;
    }
    check_path(part[0]);
    check_query(part[1]);
    aws_header_t headers[] = {{"Host", "h"}, {"X-Any", part[2]}, {"x-any", part[0]}};
    aws_sign_t s = {.method = "POST",
                    .path = part[0],
                    .query = part[1],
                    .headers = headers,
                    .header_count = 3,
                    .body = part[4],
                    .body_len = strlen(part[4]),
                    .region = "r",
                    .service = "s"};
    aws_keys_t keys = {"id", "secret", part[3]};
    cleanup_buf buf_t header = BUF_INIT, query = BUF_INIT;
    if (aws_sigv4_header(&s, &keys, 1735689600, &header, NULL) < 0) __builtin_trap();
    if (aws_sigv4_presign(&s, &keys, 1735689600, 900, &query, NULL) < 0) __builtin_trap();
    const char *found = strstr(buf_cstr(&header), ", Signature=");
    if (!found || strlen(found) != strlen(", Signature=") + 64 || strchr(buf_cstr(&header), '\n'))
        __builtin_trap();
    for (int i = 0; i < PARTS; i++) free(part[i]);
    return 0;
}
