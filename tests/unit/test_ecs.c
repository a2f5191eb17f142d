/* links: bootstrap base */
#include "test.h"

#include "bootstrap/ecs_pace.h"
#include "bootstrap/ecs_protect.h"
#include "bootstrap/ecs_task.h"
#include <string.h>

/* ---- the task ---- */

static void a_task(void **state)
{
    (void)state;
    static const char JSON[] = "{\"Cluster\":\"arn:aws:ecs:eu-west-1:123456789012:cluster/"
                               "moodle\",\"TaskARN\":\"arn:aws:ecs:eu-west-1:123456789012:"
                               "task/moodle/"
                               "cd189a93\",\"Family\":\"moodle\",\"Revision\":\"7\",\"ServiceName\":\"web\","
                               "\"AvailabilityZone\":\"eu-west-1b\","
                               "\"Limits\":{\"CPU\":0.5,\"Memory\":2048},\"New\":[1]}";
    ecs_task_t t;
    assert_int_equal(ecs_task_parse(JSON, strlen(JSON), &t, NULL), 0);
    assert_string_equal(t.id, "cd189a93");
    assert_string_equal(t.cluster, "moodle");
    assert_string_equal(t.service, "web");
    assert_string_equal(t.definition, "moodle:7");
    assert_string_equal(t.zone, "eu-west-1b");
    assert_true(t.memory_bytes == (uint64_t)2048 << 20 && t.cpus > 0.49 && t.cpus < 0.51);
}

static void a_task_with_little(void **state)
{
    (void)state;
    static const char JSON[] = "{\"Cluster\":\"short\",\"TaskARN\":\"arn:aws:ecs:eu-west-1:1:task/"
                               "old-form\",\"Limits\":{\"Memory\":-3}}";
    ecs_task_t t;
    assert_int_equal(ecs_task_parse(JSON, strlen(JSON), &t, NULL), 0);
    assert_string_equal(t.id, "old-form");
    assert_string_equal(t.cluster, "short");
    assert_string_equal(t.definition, "");
    assert_true(t.memory_bytes == 0);
}

static void no_task(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "", "{", "[]", "{}", "{\"TaskARN\":7}", "\"x\"", "{\"TaskARN\":\"a/\"}"};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        ecs_task_t t;
        err_t err = {0};
        assert_int_equal(ecs_task_parse(CASES[i], strlen(CASES[i]), &t, &err), -1);
        assert_int_equal(err.id, ERR_ECS_METADATA);
    }
}

/* ---- what the agent answers ---- */

static void answers(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *json;
        int rc;
        const char *words;
    } CASES[] = {
        {200, "{\"protection\":{\"ProtectionEnabled\":true,\"TaskArn\":\"a\"}}", 0, ""},
        {200, "{\"failure\":{\"Arn\":\"a\",\"Reason\":\"DEPLOYMENT_BLOCKED\",\"Detail\":null}}", -1,
         "failure DEPLOYMENT_BLOCKED"},
        {200, "{\"failure\":{\"Reason\":\"TASK_NOT_VALID\",\"Detail\":\"no service\"}}", -2,
         "TASK_NOT_VALID: no service"},
        {400, "{\"requestID\":\"1\",\"error\":{\"Code\":\"ThrottlingException\",\"Message\":\"slow\"}}", -1,
         "ThrottlingException: slow"},
        {504, "{\"error\":{\"Code\":\"RequestCanceled\",\"Message\":\"x\"}}", -1, "RequestCanceled"},
        {200, "{\"protection\":{\"ProtectionEnabled\":false,\"TaskArn\":\"a\"}}", -1, "protection is off"},
        {200, "{}", -1, "HTTP status 200"},
        {200, "<html>", -1, "HTTP status 200"},
        {500, "{\"protection\":{}}", -1, "HTTP status 500"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        err_t err = {0};
        assert_int_equal(ecs_protect_parse(CASES[i].status, CASES[i].json, strlen(CASES[i].json), true, &err),
                         CASES[i].rc);
        assert_int_equal(err.id, CASES[i].rc ? ERR_ECS_PROTECTION : ERR_NONE);
        if (!strstr(err.msg, CASES[i].words)) fail_msg("%s: \"%s\"", CASES[i].json, err.msg);
    }
}

/* ---- when it is asked ---- */

enum { MINUTE = 60000 };

static void waits(const ecs_pace_t *p, uint64_t now, int64_t wait)
{
    ecs_step_t s = ecs_pace_next(p, now);
    assert_false(s.ask);
    assert_int_equal(s.wait_ms, wait);
}

static void asks(const ecs_pace_t *p, uint64_t now, int minutes)
{
    ecs_step_t s = ecs_pace_next(p, now);
    assert_true(s.ask);
    assert_int_equal(s.on, minutes > 0);
    assert_int_equal(s.minutes, minutes);
}

static void work_has_no_gap(void **state)
{
    (void)state;
    ecs_pace_t p = {0};
    waits(&p, 1000, ECS_NEVER);
    ecs_pace_want(&p, ECS_HOLD_WORK);
    asks(&p, 1000, ECS_WORK_MIN);
    ecs_pace_good(&p, 1000);
    waits(&p, 1000, 15 * MINUTE);
    asks(&p, 1000 + 15 * MINUTE, ECS_WORK_MIN); /* 15 minutes before it would end */
    ecs_pace_want(&p, ECS_HOLD_NOTHING);
    asks(&p, 2000, 0);
    ecs_pace_good(&p, 2000);
    waits(&p, 2000, ECS_NEVER);
}

static void cron_lets_deployments_through(void **state)
{
    (void)state;
    ecs_pace_t p = {0};
    ecs_pace_want(&p, ECS_HOLD_CRON);
    asks(&p, 0, ECS_CRON_MIN);
    ecs_pace_good(&p, 0);
    waits(&p, 10 * MINUTE, MINUTE); /* lapsed, and not asked for again yet */
    asks(&p, 11 * MINUTE, ECS_CRON_MIN);
    ecs_pace_want(&p, ECS_HOLD_WORK); /* an upgrade begins on the member that runs cron */
    asks(&p, 1, ECS_WORK_MIN);
    ecs_pace_good(&p, 1);
    ecs_pace_want(&p, ECS_HOLD_CRON); /* done: no longer than cron's own time */
    asks(&p, 2, ECS_CRON_MIN);
}

static void refusals_are_waited_out(void **state)
{
    (void)state;
    ecs_pace_t p = {0};
    ecs_pace_want(&p, ECS_HOLD_CRON);
    for (int i = 0; i < 20; i++) {
        ecs_pace_bad(&p, 1000, UINT32_MAX);
        ecs_step_t s = ecs_pace_next(&p, 1000);
        int64_t most = i < 6 ? 5000LL << i : 300000;
        assert_false(s.ask);
        assert_int_equal(s.wait_ms, most);
    }
    ecs_pace_bad(&p, 1000, 0);
    waits(&p, 1000, 1000); /* never at once */
    ecs_pace_want(&p, ECS_HOLD_WORK);
    asks(&p, 1000, ECS_WORK_MIN);
    ecs_step_t lost = ecs_pace_next(&p, 1000); /* its answer never comes, and then nothing is wanted */
    ecs_pace_asks(&p, &lost);
    ecs_pace_want(&p, ECS_HOLD_NOTHING);
    asks(&p, 1000, 0);
    ecs_pace_good(&p, 1000);
    waits(&p, 1000, ECS_NEVER);
    ecs_pace_want(&p, ECS_HOLD_WORK);
    p.hopeless = true;
    waits(&p, 1000, ECS_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task),
        cmocka_unit_test(a_task_with_little),
        cmocka_unit_test(no_task),
        cmocka_unit_test(answers),
        cmocka_unit_test(work_has_no_gap),
        cmocka_unit_test(cron_lets_deployments_through),
        cmocka_unit_test(refusals_are_waited_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
