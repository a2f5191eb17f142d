/* links: bootstrap base */
#include "test.h"

#include "base/fd.h"
#include "bootstrap/aws_sigv4.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* ---- the published vectors ---- */

enum { HEADERS_MAX = 16 };
typedef struct request {
    char *copy;
    aws_sign_t sign;
    aws_header_t headers[HEADERS_MAX];
} request_t;

/* A line that begins with a space continues the one before it; add_value() folds what stands between. */
static char *header_end(char *p)
{
    char *end = strchr(p, '\n');
    while (end && (end[1] == ' ' || end[1] == '\t')) end = strchr(end + 1, '\n');
    return end ? end : p + strlen(p);
}

static void request_parse(const char *raw, request_t *r)
{
    memset(r, 0, sizeof *r);
    char *p = r->copy = strdup(raw), *line_end = strchr(p, '\n');
    *line_end = '\0';
    char *target = strchr(p, ' '), *version = strrchr(p, ' ');
    *target++ = '\0';
    *version = '\0';
    char *query = strchr(target, '?');
    if (query) *query++ = '\0';
    r->sign = (aws_sign_t){.method = p, .path = target, .query = query, .headers = r->headers};
    for (p = line_end + 1; *p && *p != '\n';) {
        char *end = header_end(p), *colon = strchr(p, ':');
        bool last = *end == '\0';
        *end = *colon = '\0';
        r->headers[r->sign.header_count++] = (aws_header_t){p, colon + 1};
        p = last ? end : end + 1;
    }
    r->sign.body = *p == '\n' ? p + 1 : "";
    r->sign.body_len = strlen(r->sign.body);
}

static int64_t parse_time(const char *s)
{
    struct tm tm = {0};
    assert_non_null(strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm));
    return (int64_t)timegm(&tm);
}

static bool signature_is(const char *what, const json_t *v, const buf_t *got, const char *mark)
{
    const char *found = strstr(buf_cstr(got), mark);
    if (found && strcmp(found + strlen(mark), text(v, what)) == 0) return true;
    print_error("%s, %s form: %s instead of %s\n", text(v, "name"), what, buf_cstr(got), text(v, what));
    return false;
}

static int check_vector(const json_t *v)
{
    static const char BODY_HASH[] = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    cleanup_buf buf_t header = BUF_INIT, query = BUF_INIT;
    request_t r;
    request_parse(text(v, "request"), &r);
    r.sign.region = text(v, "region");
    r.sign.service = text(v, "service");
    r.sign.raw_path = !json_is_true(json_object_get(v, "normalize"));
    bool omit = json_is_true(json_object_get(v, "omit_token")); /* a service's exception: not signed, sent */
    aws_keys_t keys = {text(v, "id"), text(v, "secret"), omit ? "" : text(v, "token")};
    int64_t when = parse_time(text(v, "timestamp"));
    int expires = (int)json_integer_value(json_object_get(v, "expires"));
    assert_int_equal(aws_sigv4_presign(&r.sign, &keys, when, expires, &query, NULL), 0);
    if (json_is_true(json_object_get(v, "sign_body"))) /* a header of the header form alone */
        r.headers[r.sign.header_count++] = (aws_header_t){"x-amz-content-sha256", BODY_HASH};
    assert_int_equal(aws_sigv4_header(&r.sign, &keys, when, &header, NULL), 0);
    int good = signature_is("header", v, &header, "Signature=") &&
               signature_is("query", v, &query, "X-Amz-Signature=");
    free(r.copy);
    return good;
}

static void test_published_vectors(void **state)
{
    (void)state;
    json_t *file = json_load_file(SOURCE_DIR "/tests/aws/vectors.json", 0, NULL);
    json_t *all = json_object_get(file, "vectors"), *v;
    size_t i, good = 0;
    assert_int_equal(json_array_size(all), 38);
    json_array_foreach(all, i, v) good += (size_t)check_vector(v);
    assert_int_equal(good, json_array_size(all));
    json_decref(file);
}

/* ---- connect tokens of RDS and ElastiCache: presigned addresses whose scheme is cut off ---- */

#define KEYS_EXAMPLE  "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN_EXAMPLE "IQoJb3JpZ2luX2VjEXAMPLE//TOKEN+=="

static void connect_token(aws_keys_t keys, const char *region, const char *service, const char *when,
                          const char *host, const char *query, const char *signature)
{
    cleanup_buf buf_t got = BUF_INIT;
    aws_header_t headers[] = {{"Host", host}};
    aws_sign_t s = {.method = "GET",
                    .path = "/",
                    .query = query,
                    .headers = headers,
                    .header_count = 1,
                    .region = region,
                    .service = service};
    assert_int_equal(aws_sigv4_presign(&s, &keys, parse_time(when), 900, &got, NULL), 0);
    const char *found = strstr(buf_cstr(&got), "&X-Amz-Signature=");
    assert_non_null(found);
    assert_string_equal(found + strlen("&X-Amz-Signature="), signature);
}

static void test_connect_tokens(void **state)
{
    (void)state;
    /* botocore tests/unit/test_signers.py, test_generate_db_auth_token */
    connect_token((aws_keys_t){"akid", "skid", NULL}, "us-east-1", "rds-db", "2016-11-07T17:39:33Z",
                  "prod-instance.us-east-1.rds.amazonaws.com:3306", "Action=connect&DBUser=someusername",
                  "d1138cdbc0ca63eec012ec0fc6c2267e03642168f5884a7795320d4c18374c61");
    connect_token((aws_keys_t){KEYS_EXAMPLE, TOKEN_EXAMPLE}, "eu-west-1", "rds-db", "2025-01-01T00:00:00Z",
                  "mydb.cluster-abc.eu-west-1.rds.amazonaws.com:5432", "Action=connect&DBUser=moodle_app",
                  "98be8f2a9a9b48f3f909ab6ea32bf829c4f96f41efd61e389a06af4066ea6153");
    connect_token((aws_keys_t){KEYS_EXAMPLE, TOKEN_EXAMPLE}, "eu-west-1", "elasticache",
                  "2025-01-01T00:00:00Z", "moodle-cache", "Action=connect&User=moodle",
                  "bc856d18ebf481741909a1fd6435e56fba414a1e6bf5512d63a08c650299f526");
    connect_token((aws_keys_t){KEYS_EXAMPLE, NULL}, "eu-west-1", "elasticache", "2025-01-01T00:00:00Z",
                  "moodle-cache", "Action=connect&ResourceType=ServerlessCache&User=moodle",
                  "1505f2a0a2655d7648bea5cc2af41ba1ff131f16c0bbd2933daf674769bf635b");
}

/* ---- canonical parts ---- */

static void test_path(void **state)
{
    (void)state;
    static const char *const CASES[][3] = {
        /* as sent, resolved, raw */
        {"", "/", "/"},
        {"/", "/", "/"},
        {"/a//b/", "/a/b/", "/a//b/"},
        {"/a/./b/../c", "/a/c", "/a/./b/../c"},
        {"/../..", "/", "/../.."},
        {"/a/..", "/", "/a/.."},
        {"/a/b/..", "/a", "/a/b/.."},
        {"/a/.", "/a", "/a/."},
        {"/a/b/../", "/a/", "/a/b/../"},
        {"/a%20b c~*", "/a%2520b%20c~%2A", "/a%2520b%20c~%2A"},
        {"/...", "/...", "/..."},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        cleanup_buf buf_t resolved = BUF_INIT, raw = BUF_INIT;
        aws_sigv4_path(CASES[i][0], false, &resolved);
        aws_sigv4_path(CASES[i][0], true, &raw);
        assert_string_equal(buf_cstr(&resolved), CASES[i][1]);
        assert_string_equal(buf_cstr(&raw), CASES[i][2]);
    }
}

static void test_query(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"", ""},
        {"b=2&a=1", "a=1&b=2"},
        {"a", "a="},
        {"a=b=c", "a=b%3Dc"},
        {"&&a=1&", "a=1"},
        {"a=%2f%7e+", "a=%2F~%2B"},
        {"a=%zz%", "a=%25zz%25"},
        {"a=2&a=10&a=1", "a=1&a=10&a=2"},
        {"a-=1&a=2", "a=2&a-=1"}, /* by name, although "a-=" < "a=" as text */
        {"a=%00", "a=%00"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        cleanup_buf buf_t got = BUF_INIT;
        aws_sigv4_query(CASES[i][0], &got);
        assert_string_equal(buf_cstr(&got), CASES[i][1]);
    }
}

/* ---- tests/aws/run.py: requests as JSON lines on stdin, both signatures as JSON lines on stdout ---- */

static int sign_line(const json_t *o)
{
    cleanup_buf buf_t header = BUF_INIT, query = BUF_INIT;
    aws_header_t headers[HEADERS_MAX];
    json_t *list = json_object_get(o, "headers"), *h;
    size_t i, n = 0;
    json_array_foreach(list, i, h) if (n < HEADERS_MAX) headers[n++] =
        (aws_header_t){json_string_value(json_array_get(h, 0)), json_string_value(json_array_get(h, 1))};
    aws_sign_t s = {.method = text(o, "method"),
                    .path = text(o, "path"),
                    .query = text(o, "query"),
                    .headers = headers,
                    .header_count = n,
                    .body = text(o, "body"),
                    .body_len = strlen(text(o, "body")),
                    .region = text(o, "region"),
                    .service = text(o, "service")};
    aws_keys_t keys = {text(o, "id"), text(o, "secret"), text(o, "token")};
    int64_t when = json_integer_value(json_object_get(o, "when"));
    int expires = (int)json_integer_value(json_object_get(o, "expires"));
    if (aws_sigv4_header(&s, &keys, when, &header, NULL) < 0 ||
        aws_sigv4_presign(&s, &keys, when, expires, &query, NULL) < 0)
        return -1;
    json_t *answer = json_pack("{s:s,s:s}", "header", buf_cstr(&header), "query", buf_cstr(&query));
    json_dumpf(answer, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(answer);
    return 0;
}

static int batch(void)
{
    char *line = NULL;
    size_t cap = 0;
    int rc = 0;
    while (rc == 0 && getline(&line, &cap, stdin) > 0) {
        json_t *o = json_loads(line, 0, NULL);
        rc = o ? sign_line(o) : -1;
        json_decref(o);
    }
    free(line);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--batch") == 0) return batch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_connect_tokens),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
