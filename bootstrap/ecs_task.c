#include "bootstrap/ecs_task.h"
#include "base/clock.h"
#include "base/fd.h"
#include "bootstrap/aws_http.h"
#include "bootstrap/aws_reply.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TRY_MS = 1000, TRIES = 2, BODY_MAX = 1 << 20 };

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* ARNs and short names alike; foreign words, and they go into logs and names. */
static void last_part(const char *s, char *ret, size_t size)
{
    const char *slash = strrchr(s, '/');
    aws_reply_words(slash ? slash + 1 : s, ret, size);
}

int ecs_task_parse(const char *json, size_t len, ecs_task_t *ret, err_t *err)
{
    *ret = (ecs_task_t){0};
    json_t *o = json_loadb(json, len, 0, NULL);
    const json_t *limits = json_object_get(o, "Limits");
    last_part(text(o, "TaskARN"), ret->id, sizeof ret->id);
    last_part(text(o, "Cluster"), ret->cluster, sizeof ret->cluster);
    aws_reply_words(text(o, "ServiceName"), ret->service, sizeof ret->service);
    aws_reply_words(text(o, "AvailabilityZone"), ret->zone, sizeof ret->zone);
    char definition[300];
    snprintf(definition, sizeof definition, "%s%s%s", text(o, "Family"), *text(o, "Revision") ? ":" : "",
             text(o, "Revision"));
    aws_reply_words(definition, ret->definition, sizeof ret->definition);
    double mib = json_number_value(json_object_get(limits, "Memory"));
    if (mib >= 1 && mib < 1e9) ret->memory_bytes = (uint64_t)(mib * 1048576);
    ret->cpus = json_number_value(json_object_get(limits, "CPU"));
    json_decref(o);
    if (*ret->id) return 0;
    return err_set(err, ERR_ECS_METADATA, "the answer names no task");
}

static int ask_once(const char *url, buf_t *ret, err_t *err)
{
    aws_request_t r = {
        .url = url, .direct = true, .connect_ms = TRY_MS, .total_ms = TRY_MS, .body_max = BODY_MAX};
    aws_answer_t answer;
    int rc = aws_http_send(&r, &answer, err);
    if (rc == 0 && answer.status != 200)
        rc = err_set(err, ERR_ECS_METADATA, "HTTP status %ld", answer.status);
    if (rc == 0) buf_add(ret, answer.body.data, answer.body.len);
    aws_http_free(&answer);
    return rc;
}

static int ask(const char *url, buf_t *ret, err_t *err)
{
    uint64_t deadline = clock_ms() + (uint64_t)TRY_MS * TRIES;
    for (unsigned attempt = 1;; attempt++) {
        if (ask_once(url, ret, err) == 0) return 0;
        if (attempt == TRIES || aws_reply_wait(AWS_AGAIN, attempt, -1, deadline) < 0) return -1;
    }
}

int ecs_task_read(const settings_t *set, bool ask_now, ecs_task_t *ret, err_t *err)
{
    cleanup_buf buf_t url = BUF_INIT, path = BUF_INIT, body = BUF_INIT;
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0400, .no_sync = true};
    err_t why = {0};
    *ret = (ecs_task_t){0};
    if (!*settings_str(set, SET_ecs_metadata)) return 0;
    buf_printf(&url, "%s/task", settings_str(set, SET_ecs_metadata));
    buf_printf(&path, "%s/ecs-task.json", settings_str(set, SET_run_dir));
    if (!ask_now) {
        if (fd_read_file(buf_cstr(&path), BODY_MAX, &body, NULL) == 0)
            ecs_task_parse(buf_cstr(&body), body.len, ret, NULL);
        return 0; /* as at the start */
    }
    if (ask(buf_cstr(&url), &body, &why) < 0 || ecs_task_parse(buf_cstr(&body), body.len, ret, &why) < 0)
        return err_set(err, ERR_ECS_METADATA, "%s: %.300s", SETTINGS[SET_ecs_metadata].name, why.msg);
    fd_replace_file(buf_cstr(&path), body.data, body.len, &spec, NULL);
    return 0;
}
