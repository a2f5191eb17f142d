#include "bootstrap/aws_value.h"
#include "base/fd.h"
#include <jansson.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int decode(const char *text, size_t len, buf_t *ret, err_t *err)
{
    if (len % 4 != 0 || len > INT_MAX) return err_set(err, ERR_SEC_FORMAT, "SecretBinary is not base64");
    unsigned char *bytes = malloc(len / 4 * 3 + 1);
    if (!bytes) return err_set(err, ERR_MEMORY, "no memory for a secret");
    int n = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len);
    for (size_t i = len; n > 0 && i > 0 && i > len - 2 && text[i - 1] == '='; i--)
        n--; /* it counts the padding */
    if (n >= 0) buf_add(ret, bytes, (size_t)n);
    secret_wipe(bytes, len / 4 * 3 + 1);
    free(bytes);
    return n < 0 ? err_set(err, ERR_SEC_FORMAT, "SecretBinary is not base64") : 0;
}

/* The shortest digits that mean the same number */
static void add_real(double value, buf_t *out)
{
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    buf_str(out, text);
}

static int add_text(const json_t *v, const char *key, buf_t *out, err_t *err)
{
    if (!v) return err_set(err, ERR_SEC_FORMAT, "the secret has no key \"%.100s\"", key);
    switch (json_typeof(v)) {
    case JSON_STRING:
        buf_add(out, json_string_value(v), json_string_length(v));
        return 0;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return 0;
    case JSON_REAL:
        add_real(json_real_value(v), out);
        return 0;
    case JSON_TRUE:
        buf_str(out, "true");
        return 0;
    case JSON_FALSE:
        buf_str(out, "false");
        return 0;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_NULL:
        break;
    }
    return err_set(err, ERR_SEC_FORMAT, "the secret's key \"%.100s\" holds no text, number or boolean", key);
}

static int take_key(const buf_t *whole, const char *key, buf_t *ret, err_t *err)
{
    json_t *o = json_loadb(buf_cstr(whole), whole->len, JSON_ALLOW_NUL, NULL);
    int rc = -1;
    if (!json_is_object(o))
        err_set(err, ERR_SEC_FORMAT, "the secret is not a JSON object, but the key \"%.100s\" is asked for",
                key);
    else
        rc = add_text(json_object_get(o, key), key, ret, err);
    json_decref(o);
    return rc;
}

static int take_whole(const char *json, size_t len, buf_t *ret, err_t *err)
{
    json_t *o = json_loadb(json, len, JSON_ALLOW_NUL, NULL); /* its error text would quote the secret */
    const json_t *text = json_object_get(o, "SecretString"), *binary = json_object_get(o, "SecretBinary");
    int rc = 0;
    if (!o)
        rc = err_set(err, ERR_SEC_FORMAT, "the answer is not JSON");
    else if (json_is_string(text))
        buf_add(ret, json_string_value(text), json_string_length(text));
    else if (json_is_string(binary))
        rc = decode(json_string_value(binary), json_string_length(binary), ret, err);
    else
        rc = err_set(err, ERR_SEC_FORMAT, "the answer has neither SecretString nor SecretBinary");
    json_decref(o);
    return rc;
}

void aws_value_version(const char *json, size_t len, char ret[AWS_VERSION_SIZE])
{
    json_t *o = json_loadb(json, len, JSON_ALLOW_NUL, NULL);
    const char *id = json_string_value(json_object_get(o, "VersionId"));
    snprintf(ret, AWS_VERSION_SIZE, "%s", id ? id : "");
    json_decref(o);
}

int aws_value_take(const char *json, size_t len, const char *json_key, secret_t **ret, err_t *err)
{
    cleanup_buf buf_t whole = BUF_INIT, one = BUF_INIT;
    *ret = NULL;
    if (take_whole(json, len, &whole, err) < 0) return -1;
    if (*json_key && take_key(&whole, json_key, &one, err) < 0) return -1;
    const buf_t *value = *json_key ? &one : &whole;
    if (value->len > 0 && memchr(value->data, '\0', value->len))
        return err_set(err, ERR_SEC_FORMAT, "the secret holds a NUL byte, which no setting can");
    if (!whole.failed && !one.failed) *ret = secret_new(buf_cstr(value), value->len);
    return *ret ? 0 : err_set(err, ERR_MEMORY, "no memory for a secret");
}

int aws_value_parameter(const char *json, size_t len, secret_t **ret, char ret_version[AWS_VERSION_SIZE],
                        err_t *err)
{
    json_t *o = json_loadb(json, len, JSON_ALLOW_NUL, NULL); /* its error text would quote the value */
    const json_t *one = json_array_get(json_object_get(o, "Parameters"), 0),
                 *value = json_object_get(one, "Value");
    const char *text = json_string_value(value);
    int rc = -1;
    *ret = NULL;
    if (!o)
        err_set(err, ERR_SEC_FORMAT, "the answer is not JSON");
    else if (!text && json_array_size(json_object_get(o, "InvalidParameters")) > 0)
        err_set(err, ERR_SEC_NOT_FOUND, "the parameter, or the version asked for, does not exist");
    else if (!text || strlen(text) != json_string_length(value))
        err_set(err, ERR_SEC_FORMAT, "the answer has no value that a setting can hold");
    else if (!(*ret = secret_new(text, json_string_length(value))))
        err_set(err, ERR_MEMORY, "no memory for a secret");
    else
        rc = 0;
    snprintf(ret_version, AWS_VERSION_SIZE, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(one, "Version")));
    json_decref(o);
    return rc;
}
