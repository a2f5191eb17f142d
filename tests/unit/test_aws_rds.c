/* links: bootstrap base */
#include "bootstrap/aws_rds.h"
#include "tests/unit/test.h"
#include <string.h>

static void token_is(const aws_keys_t *keys, const char *region, const char *host, int port, const char *user,
                     int64_t when_s, const char *signature)
{
    buf_t token = BUF_INIT;
    err_t err = {0};
    assert_int_equal(aws_rds_token(keys, region, host, port, user, when_s, &token, &err), 0);
    assert_int_equal(strncmp(token.data, host, strlen(host)), 0); /* no scheme before it */
    const char *last = strstr(token.data, "&X-Amz-Signature=");
    assert_non_null(last);
    assert_string_equal(last + 17, signature);
    assert_non_null(strstr(token.data, "X-Amz-Expires=900"));
    buf_free(&token);
}

/* https://github.com/boto/botocore tests/unit/test_signers.py, TestGenerateDBAuthToken */
static void token_of_botocore(void **state)
{
    (void)state;
    aws_keys_t keys = {"akid", "skid", NULL};
    token_is(&keys, "us-east-1", "prod-instance.us-east-1.rds.amazonaws.com", 3306, "someusername",
             1478540373, "d1138cdbc0ca63eec012ec0fc6c2267e03642168f5884a7795320d4c18374c61");
}

/* Two independent implementations agree on this one. */
static void token_with_temporary_keys(void **state)
{
    (void)state;
    aws_keys_t keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                       "IQoJb3JpZ2luX2VjEXAMPLE//TOKEN+=="};
    token_is(&keys, "eu-west-1", "mydb.cluster-abc.eu-west-1.rds.amazonaws.com", 5432, "moodle_app",
             1735689600, "98be8f2a9a9b48f3f909ab6ea32bf829c4f96f41efd61e389a06af4066ea6153");
}

static void region_is(char *region_variable, char *host_variable, const char *want)
{
    char region[64];
    err_t err = {0};
    char *env[] = {host_variable, region_variable, NULL};
    settings_t *set = settings_load(env);
    if (want) {
        assert_int_equal(aws_rds_region(set, region, sizeof region, &err), 0);
        assert_string_equal(region, want);
    } else {
        assert_int_equal(aws_rds_region(set, region, sizeof region, &err), -1);
        assert_int_equal(err.id, ERR_SET_MISSING);
    }
    settings_free(&set);
}

static void region(void **state)
{
    (void)state;
    char none[] = "X=", own[] = "AWS_REGION=eu-west-1", other[] = "AWS_DEFAULT_REGION=eu-west-2",
         rds[] = "MOODLE_DATABASE_HOST=db.abc.eu-central-1.rds.amazonaws.com",
         local[] = "MOODLE_DATABASE_HOST=db.internal",
         arn[] = "MOODLE_PASSWORD_ARN=arn:aws:secretsmanager:sa-east-1:123456789012:secret:x-AbCdEf";
    region_is(own, rds, "eu-west-1");
    region_is(other, local, "eu-west-2");
    region_is(none, rds, "eu-central-1");
    region_is(arn, local, "sa-east-1");
    region_is(none, local, NULL);
}

static bool has_conflict(char *const *env)
{
    settings_t *set = settings_load(env);
    bool found = false;
    settings_check(set);
    for (size_t i = 0; i < settings_issue_count(set); i++) {
        found |= settings_issue(set, i)->id == ERR_SET_CONFLICT;
        assert_null(strstr(settings_issue(set, i)->msg, "MOODLE_DATABASE_PASSWORD is not set"));
    }
    settings_free(&set);
    return found;
}

static void needs_tls_and_no_password(void **state)
{
    (void)state;
    char iam[] = "MOODLE_DATABASE_AUTH=iam", tls[] = "MOODLE_DATABASE_TLS=require",
         password[] = "MOODLE_DATABASE_PASSWORD=x";
    assert_false(has_conflict((char *[]){iam, tls, NULL}));
    assert_true(has_conflict((char *[]){iam, NULL}));
    assert_true(has_conflict((char *[]){iam, tls, password, NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_of_botocore),
        cmocka_unit_test(token_with_temporary_keys),
        cmocka_unit_test(region),
        cmocka_unit_test(needs_tls_and_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
