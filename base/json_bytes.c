#include "base/json_bytes.h"
#include "base/secret.h"

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

void json_bytes_base64(buf_t *out, const char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = (const unsigned char *)bytes;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        unsigned bits = (unsigned)s[i] << 16 | (n > 1 ? (unsigned)s[i + 1] << 8 : 0) | (n > 2 ? s[i + 2] : 0);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], n > 1 ? digits[bits >> 6 & 63] : '=',
                        n > 2 ? digits[bits & 63] : '='};
        buf_add(out, four, 4);
    }
}

json_t *json_bytes_new(const char *bytes, size_t len)
{
    json_t *s = json_stringn(bytes, len);
    if (s) return s;
    buf_t b = BUF_INIT;
    json_bytes_base64(&b, bytes, len);
    if (!b.failed) s = json_pack("{s:s}", "b64", buf_cstr(&b));
    if (b.data) secret_wipe(b.data, b.len); /* it may be a password */
    buf_free(&b);
    return s;
}

void json_bytes_read(const json_t *value, buf_t *ret)
{
    const char *b64 = json_string_value(json_object_get(value, "b64"));
    if (json_is_string(value)) buf_add(ret, json_string_value(value), json_string_length(value));
    if (b64) base64_decode(b64, ret);
}
