/* links: bootstrap base */
#include "test.h"

#include "bootstrap/aws_endpoint.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define SECRET    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/moodle-AbCdEf"
#define PARAMETER "arn:aws:ssm:eu-west-1:123456789012:parameter/x"

static int endpoint(aws_target_t *ret, err_t *err, const char *arn, char *const envp[])
{
    settings_t *s = settings_load(envp);
    aws_arn_t a;
    assert_int_equal(aws_arn_parse(arn, &a, NULL), 0);
    int rc = aws_endpoint(s, &a, ret, err);
    settings_free(&s);
    return rc;
}
#define ENDPOINT(ret, err, arn, ...) endpoint(ret, err, arn, (char *const[]){__VA_ARGS__, NULL})

/* Each host that botocore's rules give: partitions, FIPS, dual-stack. */
static void as_botocore(void **state)
{
    (void)state;
    static char *const fips[] = {"AWS_USE_FIPS_ENDPOINT=false", "AWS_USE_FIPS_ENDPOINT=true"};
    static char *const dual[] = {"AWS_USE_DUALSTACK_ENDPOINT=false", "AWS_USE_DUALSTACK_ENDPOINT=true"};
    json_t *file = json_load_file(SOURCE_DIR "/tests/aws/endpoints.json", 0, NULL), *row;
    size_t i;
    assert_true(json_array_size(json_object_get(file, "rows")) >= 18);
    json_array_foreach(json_object_get(file, "rows"), i, row)
    {
        const char *service = json_string_value(json_array_get(row, 0));
        const char *region = json_string_value(json_array_get(row, 1));
        char arn[200], url[300];
        bool is_parameter = strcmp(service, "ssm") == 0;
        snprintf(arn, sizeof arn, "arn:aws:%s:%s:123456789012:%s", service, region,
                 is_parameter ? "parameter/x" : "secret:x-AbCdEf");
        for (size_t k = 0; k < 4; k++) {
            aws_target_t t;
            assert_int_equal(ENDPOINT(&t, NULL, arn, fips[k / 2], dual[k % 2]), 0);
            snprintf(url, sizeof url, "https://%s/", json_string_value(json_array_get(row, 2 + k)));
            assert_string_equal(t.url, url);
            assert_string_equal(t.region, region);
        }
    }
    json_decref(file);
}

static void region_of_the_arn(void **state)
{
    (void)state;
    aws_target_t t;
    assert_int_equal(ENDPOINT(&t, NULL, SECRET, "AWS_DEFAULT_REGION=cn-north-1", "AWS_REGION=us-east-2"), 0);
    assert_string_equal(t.region, "eu-west-1"); /* where the secret is, not where the task is */
    assert_string_equal(t.parts.host_header, "secretsmanager.eu-west-1.amazonaws.com");
}

static void overrides(void **state)
{
    (void)state;
    aws_target_t t;
    assert_int_equal(ENDPOINT(&t, NULL, SECRET, "AWS_ENDPOINT_URL=http://127.0.0.1:4566"), 0);
    assert_string_equal(t.url, "http://127.0.0.1:4566/");
    assert_string_equal(t.parts.host_header, "127.0.0.1:4566");
    assert_string_equal(t.region, "eu-west-1");
    assert_int_equal(ENDPOINT(&t, NULL, SECRET, "AWS_ENDPOINT_URL=http://a",
                              "AWS_ENDPOINT_URL_SECRETS_MANAGER=https://[::1]:443/base"),
                     0);
    assert_string_equal(t.url, "https://[::1]/base/");
    assert_string_equal(t.parts.host, "::1");
    assert_int_equal(ENDPOINT(&t, NULL, PARAMETER, "AWS_ENDPOINT_URL_SSM=http://b",
                              "AWS_ENDPOINT_URL_SECRETS_MANAGER=http://a"),
                     0);
    assert_string_equal(t.url, "http://b/");
    assert_int_equal(
        ENDPOINT(&t, NULL, SECRET, "AWS_ENDPOINT_URL=http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"),
        0);
    assert_string_equal(t.url, "https://secretsmanager.eu-west-1.amazonaws.com/");
}

static void refused(void **state)
{
    (void)state;
    static char *const CASES[][3] = {
        {"AWS_ENDPOINT_URL=ftp://x", "A=b", "AWS_ENDPOINT_URL"},
        {"AWS_ENDPOINT_URL=http://user:word@x", "A=b", "user or password"},
        {"AWS_ENDPOINT_URL=http://x/?a", "A=b", "query"},
        {"AWS_ENDPOINT_URL_SECRETS_MANAGER=http://", "A=b", "AWS_ENDPOINT_URL_SECRETS_MANAGER"},
        {"AWS_ENDPOINT_URL=http://x", "AWS_USE_FIPS_ENDPOINT=true", "and so is AWS_USE_FIPS_ENDPOINT"},
        {"AWS_ENDPOINT_URL=http://x", "AWS_USE_DUALSTACK_ENDPOINT=true", "AWS_USE_DUALSTACK_ENDPOINT"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        aws_target_t t;
        err_t err = {0};
        assert_int_equal(ENDPOINT(&t, &err, SECRET, CASES[i][0], CASES[i][1]), -1);
        assert_int_equal(err.id, i < 4 ? ERR_SET_INVALID : ERR_SET_CONFLICT);
        if (!strstr(err.msg, CASES[i][2])) fail_msg("%s: \"%s\"", CASES[i][0], err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_botocore),
        cmocka_unit_test(region_of_the_arn),
        cmocka_unit_test(overrides),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
