/* fuzz_lineio - any bytes in reads of any size: every byte comes out once and in order, the lines end where the newlines are, no
 * piece is longer than LINE_MAX_ and nothing is held at the end. */
#include "base/buf.h"
#include "supervisor/lineio.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    buf_t out; /* what came, with a newline behind each last piece */
    unsigned part;
} seen_t;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *arg, const char *bytes, size_t len, unsigned part, bool last)
{
    seen_t *s = arg;
    if (len > LINE_MAX_ || memchr(bytes, '\n', len)) __builtin_trap();
    if (part != s->part + (part ? 1 : 0)) __builtin_trap(); /* 0, or 1, 2, 3, ... */
    if (part == 0 && !last) __builtin_trap();
    s->part = last ? 0 : part;
    buf_add(&s->out, bytes, len);
    if (last) buf_str(&s->out, "\n");
}

/* The input as it is, but for the carriage return that may stand before a newline, and ended by one. */
static void expect(const char *bytes, size_t len, buf_t *ret)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != '\r' || (i + 1 < len && bytes[i + 1] != '\n')) buf_add(ret, bytes + i, 1);
    if (len && bytes[len - 1] != '\n') buf_str(ret, "\n");
}

/* One input: a seed for the sizes of the reads, how often the rest is repeated (lines longer than an input), the rest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    buf_t in = BUF_INIT, want = BUF_INIT;
    seen_t s = {.out = BUF_INIT};
    lineio_t l = {0};
    unsigned seed = data[0];
    for (unsigned n = 0; n <= data[1] && in.len < 4 * LINE_MAX_; n++) buf_add(&in, data + 2, size - 2);
    for (size_t at = 0; at < in.len;) {
        seed = seed * 1103515245 + 12345;
        size_t n = 1 + (seed >> 8) % (data[0] & 1 ? 40 : 9000);
        if (n > in.len - at) n = in.len - at;
        char *read = malloc(n); /* of its own, so that a byte too far is seen */
        memcpy(read, in.data + at, n);
        lineio_feed(&l, read, n, on_line, &s);
        free(read);
        at += n;
    }
    lineio_end(&l, on_line, &s);
    expect(buf_cstr(&in), in.len, &want);
    if (l.held || s.part || s.out.len != want.len || memcmp(buf_cstr(&s.out), buf_cstr(&want), want.len) != 0)
        __builtin_trap();
    buf_free(&in);
    buf_free(&want);
    buf_free(&s.out);
    return 0;
}
