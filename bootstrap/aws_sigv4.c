#include "bootstrap/aws_sigv4.h"
#include "base/fd.h"
#include "base/secret.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
enum { HASH = 32, DAY = 8 };

/* ---- encoding ---- */

static bool is_unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void add_encoded(buf_t *out, const char *bytes, size_t len, bool keep_slash)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (is_unreserved(c) || (keep_slash && c == '/'))
            buf_add(out, &bytes[i], 1);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static void add_decoded(buf_t *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len && bytes[i] == '%' ? hex_digit(bytes[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(bytes[i + 2]) : -1;
        if (low >= 0) {
            buf_add(out, &(char){(char)(high * 16 + low)}, 1);
            i += 2;
        } else {
            buf_add(out, &bytes[i], 1);
        }
    }
}

static void add_hex(buf_t *out, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) buf_printf(out, "%02x", bytes[i]);
}

static int add_hash(buf_t *out, const char *bytes, size_t len)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(bytes ? bytes : "", len, hash, NULL, EVP_sha256(), NULL) != 1) return -1;
    add_hex(out, hash, HASH);
    return 0;
}

/* ---- canonical parts ---- */

/* "." and ".." resolved, several slashes made one, a slash at the end kept */
static void add_resolved(buf_t *out, const char *path)
{
    size_t start = out->len;
    buf_str(out, "/");
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        bool up = len == 2 && p[0] == '.' && p[1] == '.';
        if (up && !out->failed && out->len > start + 1) {
            out->len--; /* the slash at the end, then the name before it */
            while (out->len > start + 1 && out->data[out->len - 1] != '/') out->len--;
            out->data[out->len] = '\0';
        } else if (len > 0 && !up && !(len == 1 && p[0] == '.')) {
            buf_add(out, p, len);
            if (p[len] == '/') buf_str(out, "/");
        }
        p += len + (p[len] == '/');
    }
    /* "/a/b/.." is "/a" (aws-c-auth source/aws_signing.c, botocore/utils.py), not "/a/" as RFC 3986 has it */
    bool slash = *path && path[strlen(path) - 1] == '/';
    if (!out->failed && !slash && out->len > start + 1 && out->data[out->len - 1] == '/')
        out->data[--out->len] = '\0';
}

void aws_sigv4_path(const char *path, bool raw, buf_t *ret)
{
    if (raw) {
        add_encoded(ret, *path ? path : "/", *path ? strlen(path) : 1, true);
        return;
    }
    cleanup_buf buf_t resolved = BUF_INIT;
    add_resolved(&resolved, path);
    add_encoded(ret, buf_cstr(&resolved), resolved.len, true);
    ret->failed |= resolved.failed;
}

typedef struct pair {
    buf_t key, value;
} pair_t;

static int pair_compare(const void *a, const void *b)
{
    const pair_t *x = a, *y = b;
    int c = strcmp(buf_cstr(&x->key), buf_cstr(&y->key));
    return c ? c : strcmp(buf_cstr(&x->value), buf_cstr(&y->value));
}

/* decoded, then encoded in the one way that is canonical */
static void add_again(buf_t *out, const char *bytes, size_t len)
{
    cleanup_buf buf_t plain = BUF_INIT;
    add_decoded(&plain, bytes, len);
    add_encoded(out, buf_cstr(&plain), plain.len, false);
    out->failed |= plain.failed;
}

static size_t split_query(const char *query, pair_t *pairs)
{
    size_t n = 0;
    for (const char *p = query; *p;) {
        size_t len = strcspn(p, "&"), key = strcspn(p, "=&");
        if (len > 0) {
            add_again(&pairs[n].key, p, key);
            if (key < len) add_again(&pairs[n].value, p + key + 1, len - key - 1);
            n++;
        }
        p += len + (p[len] == '&');
    }
    return n;
}

void aws_sigv4_query(const char *query, buf_t *ret)
{
    size_t most = 1;
    for (const char *p = query; *p; p++) most += *p == '&';
    pair_t *pairs = calloc(most, sizeof *pairs);
    if (!pairs) {
        ret->failed = true;
        return;
    }
    size_t n = split_query(query, pairs);
    qsort(pairs, n, sizeof *pairs, pair_compare);
    for (size_t i = 0; i < n; i++) {
        buf_printf(ret, "%s%s=%s", i ? "&" : "", buf_cstr(&pairs[i].key), buf_cstr(&pairs[i].value));
        ret->failed |= pairs[i].key.failed || pairs[i].value.failed;
        buf_free(&pairs[i].key);
        buf_free(&pairs[i].value);
    }
    free(pairs);
}

typedef struct entry {
    const char *name, *value;
    size_t order; /* qsort is not stable, and values of one name keep their order */
} entry_t;

static int entry_compare(const void *a, const void *b)
{
    const entry_t *x = a, *y = b;
    int c = strcasecmp(x->name, y->name);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static void add_lower(buf_t *out, const char *name)
{
    for (; *name; name++) buf_add(out, &(char){(char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name)}, 1);
}

/* trimmed, each run of white space (line folds too) one space */
static void add_value(buf_t *out, const char *value)
{
    static const char SPACE[] = " \t\r\n";
    for (const char *p = value + strspn(value, SPACE); *p;) {
        size_t len = strcspn(p, SPACE);
        buf_add(out, p, len);
        p += len;
        p += strspn(p, SPACE);
        if (*p) buf_str(out, " ");
    }
}

static void add_headers(entry_t *entries, size_t n, buf_t *ret_lines, buf_t *ret_names)
{
    qsort(entries, n, sizeof *entries, entry_compare);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcasecmp(entries[i].name, entries[i - 1].name) == 0) {
            buf_str(ret_lines, ",");
        } else {
            if (i > 0) buf_str(ret_lines, "\n");
            if (i > 0) buf_str(ret_names, ";");
            add_lower(ret_lines, entries[i].name);
            add_lower(ret_names, entries[i].name);
            buf_str(ret_lines, ":");
        }
        add_value(ret_lines, entries[i].value);
    }
    if (n > 0) buf_str(ret_lines, "\n");
}

/* ---- signing ---- */

void aws_sigv4_date(int64_t when_s, char ret_date[AWS_DATE_SIZE])
{
    struct tm tm;
    time_t t = (time_t)when_s;
    if (!gmtime_r(&t, &tm) || strftime(ret_date, AWS_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0) *ret_date = '\0';
}

static bool hmac(const unsigned char *key, size_t key_len, const char *bytes, size_t len,
                 unsigned char ret[HASH])
{
    return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)bytes, len, ret, NULL) != NULL;
}

/* the chain date, region, service, "aws4_request", and with the last key the text itself */
static int add_signature(const aws_sign_t *s, const char *secret, const char *date, const buf_t *text,
                         buf_t *ret)
{
    cleanup_buf buf_t first = BUF_INIT;
    unsigned char a[HASH], b[HASH];
    buf_printf(&first, "AWS4%s", secret);
    bool ok = !first.failed && !text->failed &&
              hmac((const unsigned char *)buf_cstr(&first), first.len, date, DAY, a) &&
              hmac(a, HASH, s->region, strlen(s->region), b) &&
              hmac(b, HASH, s->service, strlen(s->service), a) && hmac(a, HASH, "aws4_request", 12, b) &&
              hmac(b, HASH, buf_cstr(text), text->len, a);
    if (ok) add_hex(ret, a, HASH);
    secret_wipe(a, sizeof a);
    secret_wipe(b, sizeof b);
    return ok ? 0 : -1;
}

static void add_scope(const aws_sign_t *s, const char *date, buf_t *out)
{
    buf_printf(out, "%.*s/%s/%s/aws4_request", DAY, date, s->region, s->service);
}

/* Canonical request, string to sign, signature. `query` is canonical already. */
static int sign(const aws_sign_t *s, const aws_keys_t *keys, const char *date, const char *query,
                const char *lines, const char *names, buf_t *ret_signature)
{
    cleanup_buf buf_t request = BUF_INIT, text = BUF_INIT;
    buf_printf(&request, "%s\n", s->method);
    aws_sigv4_path(s->path, s->raw_path, &request);
    buf_printf(&request, "\n%s\n%s\n%s\n", query, lines, names);
    int bad = add_hash(&request, s->body, s->body_len);
    buf_printf(&text, ALGORITHM "\n%s\n", date);
    add_scope(s, date, &text);
    buf_str(&text, "\n");
    bad |= add_hash(&text, buf_cstr(&request), request.len);
    if (bad || request.failed) return -1;
    return add_signature(s, keys->secret, date, &text, ret_signature);
}

/* The headers of `s`, and the date and token if given. -1: no memory. */
static int canonical_headers(const aws_sign_t *s, const char *date, const char *token, buf_t *ret_lines,
                             buf_t *ret_names)
{
    entry_t *entries = calloc(s->header_count + 2, sizeof *entries);
    if (!entries) return -1;
    size_t n = 0;
    for (; n < s->header_count; n++) entries[n] = (entry_t){s->headers[n].name, s->headers[n].value, n};
    if (date) {
        entries[n] = (entry_t){"x-amz-date", date, n};
        n++;
    }
    if (token && *token) {
        entries[n] = (entry_t){"x-amz-security-token", token, n};
        n++;
    }
    add_headers(entries, n, ret_lines, ret_names);
    free(entries);
    return ret_lines->failed || ret_names->failed ? -1 : 0;
}

int aws_sigv4_header(const aws_sign_t *s, const aws_keys_t *keys, int64_t when_s, buf_t *ret_authorization,
                     err_t *err)
{
    cleanup_buf buf_t lines = BUF_INIT, names = BUF_INIT, query = BUF_INIT, signature = BUF_INIT;
    char date[AWS_DATE_SIZE];
    aws_sigv4_date(when_s, date);
    aws_sigv4_query(s->query ? s->query : "", &query);
    if (query.failed || canonical_headers(s, date, keys->token, &lines, &names) < 0 ||
        sign(s, keys, date, buf_cstr(&query), buf_cstr(&lines), buf_cstr(&names), &signature) < 0)
        return err_set(err, ERR_MEMORY, "cannot sign a request");
    buf_printf(ret_authorization, ALGORITHM " Credential=%s/", keys->id);
    add_scope(s, date, ret_authorization);
    buf_printf(ret_authorization, ", SignedHeaders=%s, Signature=%s", buf_cstr(&names), buf_cstr(&signature));
    return ret_authorization->failed ? err_set(err, ERR_MEMORY, "cannot sign a request") : 0;
}

static void add_parameter(buf_t *out, const char *name, const char *value)
{
    buf_printf(out, "&%s=", name);
    add_encoded(out, value, strlen(value), false);
}

int aws_sigv4_presign(const aws_sign_t *s, const aws_keys_t *keys, int64_t when_s, int expires_s,
                      buf_t *ret_query, err_t *err)
{
    cleanup_buf buf_t lines = BUF_INIT, names = BUF_INIT, raw = BUF_INIT, credential = BUF_INIT,
                      query = BUF_INIT, signature = BUF_INIT;
    char date[AWS_DATE_SIZE];
    aws_sigv4_date(when_s, date);
    if (canonical_headers(s, NULL, NULL, &lines, &names) < 0)
        return err_set(err, ERR_MEMORY, "cannot sign a request");
    buf_printf(&credential, "%s/", keys->id);
    add_scope(s, date, &credential);
    buf_str(&raw, s->query ? s->query : "");
    add_parameter(&raw, "X-Amz-Algorithm", ALGORITHM);
    add_parameter(&raw, "X-Amz-Credential", buf_cstr(&credential));
    add_parameter(&raw, "X-Amz-Date", date);
    buf_printf(&raw, "&X-Amz-Expires=%d", expires_s);
    if (keys->token && *keys->token) add_parameter(&raw, "X-Amz-Security-Token", keys->token);
    add_parameter(&raw, "X-Amz-SignedHeaders", buf_cstr(&names));
    aws_sigv4_query(buf_cstr(&raw), &query);
    if (raw.failed || query.failed || credential.failed ||
        sign(s, keys, date, buf_cstr(&query), buf_cstr(&lines), buf_cstr(&names), &signature) < 0)
        return err_set(err, ERR_MEMORY, "cannot sign a request");
    buf_printf(ret_query, "%s&X-Amz-Signature=%s", buf_cstr(&query), buf_cstr(&signature));
    return ret_query->failed ? err_set(err, ERR_MEMORY, "cannot sign a request") : 0;
}
