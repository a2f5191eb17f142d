/* links: bootstrap base */
#include "test.h"

#include "bootstrap/aws_cred.h"
#include "bootstrap/aws_reply.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what an answer means ---- */

static aws_action_t judge(long status, const char *type, const char *body, err_t *err)
{
    aws_answer_t a = {.status = status, .retry_after_ms = -1};
    snprintf(a.error_type, sizeof a.error_type, "%s", type);
    buf_str(&a.body, body);
    *err = (err_t){0};
    aws_action_t action = aws_reply_judge(&a, err);
    aws_http_free(&a);
    return action;
}

static void test_judge(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *type, *body;
        err_id_t id;
        aws_action_t action;
    } CASES[] = {
        {200, "", "{}", ERR_NONE, AWS_GOOD},
        {400, "", "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"m\"}", ERR_SEC_NOT_FOUND,
         AWS_LATER},
        {400, "", "{\"__type\":\"com.amazonaws.secretsmanager#AccessDeniedException\"}", ERR_SEC_DENIED,
         AWS_LATER},
        {400, "DecryptionFailure:http://internal/", "", ERR_SEC_DECRYPT, AWS_FINAL},
        {400, "", "{\"__type\":\"a#b#InvalidRequestException:http://x#y\"}", ERR_SEC_REQUEST, AWS_FINAL},
        {400, "", "{\"__type\":\"ThrottlingException\"}", ERR_SEC_THROTTLED, AWS_SLOWER},
        {400, "", "{\"__type\":\"InternalServiceError\"}", ERR_SEC_SERVICE,
         AWS_AGAIN}, /* the code, not the status */
        {500, "", "{\"__type\":\"AccessDeniedException\"}", ERR_SEC_DENIED, AWS_LATER},
        {403, "", "{\"__type\":\"ExpiredTokenException\"}", ERR_SEC_SIGNATURE, AWS_KEYS},
        {403, "", "{\"__type\":\"InvalidSignatureException\"}", ERR_SEC_SIGNATURE, AWS_CLOCK},
        {400, "", "{\"__type\":\"SomethingNew\"}", ERR_SEC_REQUEST, AWS_FINAL},
        {400, "", "{\"__type\":7}", ERR_SEC_REQUEST, AWS_FINAL},
        {302, "", "", ERR_SEC_REQUEST, AWS_FINAL},
        {403, "", "<html>", ERR_SEC_DENIED, AWS_LATER},
        {429, "", "", ERR_SEC_THROTTLED, AWS_SLOWER},
        {503, "", "not json", ERR_SEC_SERVICE, AWS_AGAIN},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        err_t err;
        aws_action_t action = judge(CASES[i].status, CASES[i].type, CASES[i].body, &err);
        if (action != CASES[i].action || err.id != CASES[i].id)
            fail_msg("%s%s: %d %s", CASES[i].type, CASES[i].body, (int)action, err_name(err.id));
    }
}

static void test_words(void **state)
{
    (void)state;
    err_t err;
    judge(400, "", "{\"__type\":\"InvalidRequestException\",\"message\":\"line\\nESC\\u001b[1m\"}", &err);
    assert_non_null(strstr(err.msg, "line?ESC?[1m"));
    char cut[5];
    aws_reply_words("abcdefgh", cut, sizeof cut);
    assert_string_equal(cut, "abcd");
}

static void test_delay(void **state)
{
    (void)state;
    assert_int_equal(aws_reply_delay_ms(AWS_AGAIN, 1, -1, 0), 0);
    assert_int_equal(aws_reply_delay_ms(AWS_AGAIN, 1, -1, UINT32_MAX), 100);
    assert_int_equal(aws_reply_delay_ms(AWS_AGAIN, 4, -1, UINT32_MAX), 800);
    assert_int_equal(aws_reply_delay_ms(AWS_SLOWER, 1, -1, UINT32_MAX), 1000);
    assert_int_equal(aws_reply_delay_ms(AWS_SLOWER, 99, -1, UINT32_MAX), 20000);
    assert_int_equal(aws_reply_delay_ms(AWS_AGAIN, UINT32_MAX, -1, UINT32_MAX / 2 + 1), 10000);
    /* the server may ask for more, but not for more than five seconds more */
    assert_int_equal(aws_reply_delay_ms(AWS_AGAIN, 1, 3000, 0), 3000);
    assert_int_equal(aws_reply_delay_ms(AWS_AGAIN, 1, 60000, 0), 5000);
    assert_int_equal(aws_reply_delay_ms(AWS_SLOWER, 1, 1, UINT32_MAX), 1000);
}

/* ---- credentials ---- */

static void test_cred_parse(void **state)
{
    (void)state;
    static const char GOOD[] =
        "{\"RoleArn\":\"r\",\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"k/+=\",\"Token\":\"t==\","
        "\"Expiration\":\"2025-01-01T00:00:00Z\",\"AccountId\":\"1\",\"New\":{}}";
    aws_cred_t c;
    assert_int_equal(aws_cred_parse(GOOD, strlen(GOOD), &c, NULL), 0);
    assert_string_equal(c.id, "ASIA1");
    assert_string_equal(secret_bytes(c.key), "k/+=");
    assert_string_equal(secret_bytes(c.token), "t==");
    assert_int_equal(c.expires_s, 1735689600);
    assert_false(c.is_static);
    aws_cred_free(&c);
    static const char SHORT[] =
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"k\",\"Expiration\":\"soon\",\"Token\":null}";
    assert_int_equal(aws_cred_parse(SHORT, strlen(SHORT), &c, NULL), 0);
    assert_string_equal(secret_bytes(c.token), "");
    assert_int_equal(c.expires_s, 0);
    aws_cred_free(&c);
}

static void test_cred_parse_bad(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "",
        "hush",
        "[]",
        "{}",
        "{\"AccessKeyId\":\"A\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"\"}",
        "{\"AccessKeyId\":1,\"SecretAccessKey\":\"hush\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush",
        "{\"AccessKeyId\":\"A\\r\\nX: y\",\"SecretAccessKey\":\"hush\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\",\"Token\":\"a\\nb\"}",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        aws_cred_t c;
        err_t err = {0};
        assert_int_equal(aws_cred_parse(CASES[i], strlen(CASES[i]), &c, &err), -1);
        assert_int_equal(err.id, ERR_SEC_CREDENTIALS);
        assert_null(c.id);
        assert_null(strstr(err.msg, "hush"));
    }
}

static void test_cred_url(void **state)
{
    (void)state;
    static const char *const GOOD[] = {
        "http://169.254.170.2/v2/credentials/x",
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1",
        "http://[fd00:0ec2:0:0::0023]:80/",
        "http://localhost:1234/a?b=c",
        "http://127.9.8.7:1/",
        "http://[::1]/",
        "https://anything.example/",
        "https://10.0.0.1/",
    };
    static const char *const BAD[] = {
        "http://example.com/",       "http://169.254.170.22/",
        "http://169.254.169.254/",   "http://10.0.0.1/",
        "http://128.0.0.1/",         "http://localhost.example/",
        "http://127.0.0.1.example/", "http://127.0.0.1@example.com/",
        "http://[fd00:ec2::24]/",    "http://[::ffff:1.2.3.4]/",
        "ftp://127.0.0.1/",          "file:///etc/passwd",
        "/v2/credentials",           "",
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        err_t err = {0};
        if (aws_cred_check_url(GOOD[i], &err) < 0) fail_msg("%s: %s", GOOD[i], err.msg);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        err_t err = {0};
        if (aws_cred_check_url(BAD[i], &err) == 0) fail_msg("%s is allowed", BAD[i]);
        assert_int_equal(err.id, ERR_SEC_CREDENTIALS);
    }
}

static int get(aws_cred_t *ret, err_t *err, char *const envp[])
{
    settings_t *s = settings_load(envp);
    int rc = aws_cred_get(s, 0, ret, err);
    settings_free(&s);
    return rc;
}
#define GET(ret, err, ...) get(ret, err, (char *const[]){__VA_ARGS__, NULL})

static void test_cred_environment(void **state)
{
    (void)state;
    aws_cred_t c;
    assert_int_equal(GET(&c, NULL, "AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=k", "AWS_SESSION_TOKEN=t"),
                     0);
    assert_string_equal(c.id, "A");
    assert_string_equal(secret_bytes(c.key), "k");
    assert_string_equal(secret_bytes(c.token), "t");
    assert_true(c.is_static);
    aws_cred_free(&c);
}

static void test_cred_environment_bad(void **state)
{
    (void)state;
    static char *const CASES[][2] = {
        {"AWS_EC2_METADATA_DISABLED=true", "no task role"},
        {"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY is not"},
        {"AWS_SECRET_ACCESS_KEY=hush", "AWS_ACCESS_KEY_ID is not"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=@example.com/", "slash"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.com/", "use https"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        aws_cred_t c;
        err_t err = {0};
        assert_int_equal(GET(&c, &err, CASES[i][0]), -1);
        assert_int_equal(err.id, ERR_SEC_CREDENTIALS);
        assert_null(strstr(err.msg, "hush"));
        if (!strstr(err.msg, CASES[i][1])) fail_msg("%s: %s", CASES[i][0], err.msg);
    }
    aws_cred_t c;
    err_t err = {0};
    assert_int_equal(GET(&c, &err, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9/",
                         "AWS_CONTAINER_AUTHORIZATION_TOKEN=a\r\nb: c"),
                     -1);
    assert_non_null(strstr(err.msg, "line end"));
    err_clear(&err);
    assert_int_equal(GET(&c, &err, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9/",
                         "AWS_CONTAINER_AUTHORIZATION_TOKEN=good",
                         "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/nonexistent/token"),
                     -1);
    assert_non_null(strstr(err.msg, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_cred_parse),
        cmocka_unit_test(test_cred_parse_bad),
        cmocka_unit_test(test_cred_url),
        cmocka_unit_test(test_cred_environment),
        cmocka_unit_test(test_cred_environment_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
