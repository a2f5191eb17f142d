/* fuzz_logfwd - any bytes from any kind of child: what goes to the log are whole lines, each one JSON object below the limit with our
 * own fields at its top and nobody else's, and the secret that is known is in none. */
#include "base/redact.h"
#include "supervisor/logfwd.h"
#include <jansson.h>
#include <stdint.h>
#include <string.h>

static const char SECRET[] = "h8/\"Kx\\42";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *line, size_t len)
{
    static const char *const OURS[] = {"ts",   "level", "src",  "member", "msg",
                                       "data", "part",  "last", "repeats"};
    json_t *o = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    size_t known = 0;
    if (!json_is_object(o) || len + 1 > LOGFMT_LINE_MAX) __builtin_trap();
    for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++) known += json_object_get(o, OURS[i]) != NULL;
    if (known != json_object_size(o) || strcmp(json_string_value(json_object_get(o, "member")), "fuzz") != 0)
        __builtin_trap();
    if (strncmp(json_string_value(json_object_get(o, "src")), "child", 5) != 0 &&
        strcmp(json_string_value(json_object_get(o, "src")), "nginx.access") != 0)
        __builtin_trap();
    const json_t *msg = json_object_get(o, "msg");
    if (msg && memmem(json_string_value(msg), json_string_length(msg), SECRET, sizeof SECRET - 1))
        __builtin_trap();
    json_decref(o);
}

/* One input: the kind of the child, how often the rest is repeated (long lines), the rest; a 0xff stands for the secret. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const stream_kind_t KINDS[] = {STREAM_LINES, STREAM_NGINX, STREAM_PHP};
    buf_t in = BUF_INIT, out = BUF_INIT;
    if (size < 3) return 0;
    redact_add(SECRET, sizeof SECRET - 1, 1);
    logfmt_init(true, LOG_DEBUG_, "fuzz");
    unsigned more = data[1] < 0xf0 ? 0 : (data[1] - 0xefU) * 16;
    for (unsigned n = 0; n <= more && in.len < 40000; n++)
        for (size_t i = 2; i < size; i++)
            buf_add(&in, data[i] == 0xff ? (const char *)SECRET : (const char *)data + i,
                    data[i] == 0xff ? sizeof SECRET - 1 : 1);
    outq_divert(&out);
    stream_try(KINDS[data[0] % 3], "child", in.data, in.len);
    outq_divert(NULL);
    for (const char *p = buf_cstr(&out), *end = p + out.len, *nl; p < end; p = nl + 1) {
        nl = memchr(p, '\n', (size_t)(end - p));
        if (!nl) __builtin_trap();
        check_line(p, (size_t)(nl - p));
    }
    buf_free(&in);
    buf_free(&out);
    return 0;
}
