#include "base/json_bytes.h"

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

static void base64_decode(const char *in, buf_t *out)
{
    unsigned bits = 0;
    int have = 0;
    for (; *in; in++) {
        int v = base64_value(*in);
        if (v < 0) continue;
        bits = bits << 6 | (unsigned)v;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        char byte = (char)(bits >> have & 0xff);
        buf_add(out, &byte, 1);
    }
}

void json_bytes_read(const json_t *value, buf_t *ret)
{
    const char *b64 = json_string_value(json_object_get(value, "b64"));
    if (json_is_string(value)) buf_add(ret, json_string_value(value), json_string_length(value));
    if (b64) base64_decode(b64, ret);
}
