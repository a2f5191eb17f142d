/* links: bootstrap base */
#include "test.h"

#include "base/clock.h"
#include "base/fd.h"
#include "bootstrap/aws_arn.h"
#include "bootstrap/aws_secrets.h"
#include "bootstrap/aws_value.h"
#include "bootstrap/wiped_libraries.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARN     "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/moodle-AbCdEf"
#define VERSION "11111111-2222-3333-4444-555555555555"

static void test_arn_good(void **state)
{
    (void)state;
    static const struct {
        const char *arn, *key, *stage, *version;
    } CASES[] = {
        {ARN, "", "", ""},
        {ARN ":password", "password", "", ""},
        {ARN ":password::", "password", "", ""},
        {ARN "::AWSPREVIOUS:", "", "AWSPREVIOUS", ""},
        {ARN ":a key::" VERSION, "a key", "", VERSION},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        aws_arn_t a;
        assert_int_equal(aws_arn_parse(CASES[i].arn, &a, NULL), 0);
        assert_string_equal(a.id, ARN);
        assert_string_equal(a.name, "prod/moodle-AbCdEf");
        assert_string_equal(a.region, "eu-west-1");
        assert_string_equal(a.json_key, CASES[i].key);
        assert_string_equal(a.stage, CASES[i].stage);
        assert_string_equal(a.version, CASES[i].version);
    }
    assert_int_equal(aws_secret_check_arn(
                         "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:rds!db-1", NULL),
                     0);
}

static void test_arn_bad(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"", "too short"},
        {"secret", "too short"},
        {"arn:aws:secretsmanager:eu-west-1:123456789012:secret", "too short"},
        {"arm:aws:secretsmanager:eu-west-1:123456789012:secret:x", "arn:"},
        {"arn:AWS:secretsmanager:eu-west-1:123456789012:secret:x", "partition"},
        {"arn:aws:s3:eu-west-1:123456789012:secret:x", "secretsmanager"},
        {"arn:aws:ssm:eu-west-1:123456789012:secret:x", "not one parameter"},
        {"arn:aws:ssm:eu-west-1:123:parameter/x", "account"},
        {"arn:aws:secretsmanager:evil.com/:123456789012:secret:x", "region"},
        {"arn:aws:secretsmanager::123456789012:secret:x", "region"},
        {"arn:aws:secretsmanager:eu-west-1:12345678901:secret:x", "account"},
        {"arn:aws:secretsmanager:eu-west-1:123456789012:parameter:x", "resource"},
        {"arn:aws:secretsmanager:eu-west-1:123456789012:secret:", "no name"},
        {"arn:aws:secretsmanager:eu-west-1:123456789012:secret:a b", "character"},
        {ARN ":key:AWSCURRENT:" VERSION, "only one"},
        {ARN ":key::short", "shorter"},
        {ARN ":key:::more", "too many"},
        {ARN ":ke\ny", "control"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        err_t err = {0};
        assert_int_equal(aws_secret_check_arn(CASES[i][0], &err), -1);
        assert_int_equal(err.id, ERR_SEC_ARN);
        if (!strstr(err.msg, CASES[i][1]))
            fail_msg("%s: \"%s\" does not say \"%s\"", CASES[i][0], err.msg, CASES[i][1]);
    }
}

/* ---- the value ---- */

static void value_is(const char *json, const char *key, const char *expected)
{
    secret_t *s = NULL;
    err_t err = {0};
    if (aws_value_take(json, strlen(json), key, &s, &err) < 0) fail_msg("%s: %s", json, err.msg);
    assert_string_equal(secret_bytes(s), expected);
    assert_int_equal(secret_len(s), strlen(expected));
    secret_free(&s);
}

static void test_value_good(void **state)
{
    (void)state;
    static const char JSON[] =
        "{\"SecretString\":\"{\\\"p\\\":\\\"a\\\\\\\"\\u00fc\\\",\\\"port\\\":5432,\\\"t\\\":true,\\\"f\\\":"
        "false,"
        "\\\"r\\\":0.1,\\\"w\\\":5.0,\\\"e\\\":\\\"\\\",\\\"n\\\":-9223372036854775808}\"}";
    value_is("{\"SecretString\":\"plain\",\"CreatedDate\":1.5e9,\"New\":[{}]}", "", "plain");
    value_is("{\"SecretBinary\":\"aGVsbG8=\"}", "", "hello");
    value_is("{\"SecretBinary\":\"aGVsbA==\"}", "", "hell");
    value_is("{\"SecretBinary\":\"aGVsbG8h\"}", "", "hello!");
    value_is("{\"SecretBinary\":\"eyJhIjoxfQ==\"}", "a", "1");
    value_is(JSON, "p", "a\"\xc3\xbc");
    value_is(JSON, "port", "5432");
    value_is(JSON, "t", "true");
    value_is(JSON, "f", "false");
    value_is(JSON, "r", "0.1");
    value_is(JSON, "w", "5");
    value_is(JSON, "e", "");
    value_is(JSON, "n", "-9223372036854775808");
}

static void test_value_bad(void **state)
{
    (void)state;
    static const char *const CASES[][3] = {
        {"", "", "not JSON"},
        {"hush-hush", "", "not JSON"},
        {"{\"SecretString\":\"hush-hu", "", "not JSON"},
        {"[]", "", "neither"},
        {"{\"SecretString\":{\"a\":\"hush-hush\"}}", "", "neither"},
        {"{\"SecretBinary\":\"hush-hush\"}", "", "base64"},
        {"{\"SecretBinary\":\"!!!!\"}", "", "base64"},
        {"{\"SecretBinary\":\"AAAA\"}", "", "NUL"},
        {"{\"SecretString\":\"hush-hush\"}", "key", "not a JSON object"},
        {"{\"SecretString\":\"[\\\"hush-hush\\\"]\"}", "key", "not a JSON object"},
        {"{\"SecretString\":\"{\\\"a\\\":\\\"hush-hush\\\"}\"}", "key", "no key \"key\""},
        {"{\"SecretString\":\"{\\\"a\\\":{\\\"b\\\":\\\"hush-hush\\\"}}\"}", "a", "no text"},
        {"{\"SecretString\":\"{\\\"a\\\":null}\"}", "a", "no text"},
        {"{\"SecretString\":\"{\\\"a\\\":\\\"hush\\\\u0000hush\\\"}\"}", "a", "NUL"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        secret_t *s = NULL;
        err_t err = {0};
        assert_int_equal(aws_value_take(CASES[i][0], strlen(CASES[i][0]), CASES[i][1], &s, &err), -1);
        assert_int_equal(err.id, ERR_SEC_FORMAT);
        assert_null(s);
        assert_null(strstr(err.msg, "hush"));
        if (!strstr(err.msg, CASES[i][2])) fail_msg("%s: \"%s\"", CASES[i][0], err.msg);
    }
}

/* ---- tests/aws/run.py: `--fetch ARN MS [DROW]`, settings from the environment, what came of it as one JSON line ----
 * DROW: a word of the secret, backwards; how often it stands in this process's memory, before the value is freed and after. */

/* Reads by read(2): some mappings are no memory of ours. */
static size_t count_backwards(int fd, const char *from, const char *to, const char *drow)
{
    size_t n = strlen(drow), found = 0;
    char *bytes = mmap(NULL, (size_t)(to - from), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ssize_t len = pread(fd, bytes, (size_t)(to - from), (off_t)(uintptr_t)from);
    for (ssize_t i = (ssize_t)n - 1; i < len; i++) {
        size_t k = 0;
        while (k < n && bytes[i - (ssize_t)k] == drow[k]) k++;
        found += k == n;
    }
    munmap(bytes, (size_t)(to - from));
    return found;
}

static size_t left_in_memory(const char *drow)
{
    char line[600];
    size_t found = 0;
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_true(fd >= 0 && maps);
    while (fgets(line, sizeof line, maps)) {
        char *end = NULL, *mode = NULL;
        uintptr_t from = strtoul(line, &end, 16), to = strtoul(end + 1, &mode, 16); /* "from-to rw-p ..." */
        if (mode[2] == 'w') found += count_backwards(fd, (const char *)from, (const char *)to, drow);
    }
    fclose(maps);
    close(fd);
    return found;
}

static int fetch(const char *arn, const char *ms, const char *drow)
{
    wiped_libraries_init();
    settings_t *set = settings_load(environ);
    secret_t *value = NULL;
    err_t err = {0};
    uint64_t begin = clock_ms(), deadline = begin + strtoul(ms, NULL, 10);
    int rc = aws_secret_fetch(set, arn, deadline, &value, &err);
    size_t held = drow ? left_in_memory(drow) : 0;
    json_int_t took_ms = (json_int_t)(clock_ms() - begin);
    json_t *o =
        json_pack("{s:b,s:s,s:s,s:s%,s:I}", "ok", rc == 0, "id", rc ? err_name(err.id) : "", "msg", err.msg,
                  "value", secret_bytes(value), drow ? (size_t)0 : secret_len(value), "ms", took_ms);
    secret_free(&value);
    settings_free(&set);
    if (drow) {
        json_object_set_new(o, "held", json_integer((json_int_t)held));
        json_object_set_new(o, "left", json_integer((json_int_t)left_in_memory(drow)));
    }
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "--fetch") == 0)
        return fetch(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
    print_message("what needs a server is tested by tests/aws/run.py, which runs this program\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arn_good),
        cmocka_unit_test(test_arn_bad),
        cmocka_unit_test(test_value_good),
        cmocka_unit_test(test_value_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
