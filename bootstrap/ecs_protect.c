#include "bootstrap/ecs_protect.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/role.h"
#include "base/settings.h"
#include "bootstrap/aws_http.h"
#include "bootstrap/aws_reply.h"
#include "bootstrap/ecs_pace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

extern char **environ;

enum {
    ASK_MS = 5000,
    RELEASE_MS = 2000,
    LONG_MS = 3600000,
    BODY_MAX = 1 << 16
}; /* the agent's own limit is 4 s */

typedef struct protect {
    char url[600];
    ecs_pace_t pace;
    char told[300]; /* the last answer that was logged: each change is, once */
} protect_t;

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static int refused(const json_t *o, const char *kind, const char *what, const char *more, err_t *err)
{
    char words[80], detail[200];
    aws_reply_words(text(o, what), words, sizeof words);
    aws_reply_words(text(o, more), detail, sizeof detail);
    err_set(err, ERR_ECS_PROTECTION, "%s %s%s%s", kind, words, *detail ? ": " : "", detail);
    return strcmp(words, "TASK_NOT_VALID") == 0 ? -2 : -1; /* not of a service: never */
}

int ecs_protect_parse(long status, const char *json, size_t len, bool on, err_t *err)
{
    json_t *o = json_loadb(json, len, 0, NULL);
    const json_t *failure = json_object_get(o, "failure"), *error = json_object_get(o, "error"),
                 *enabled = json_object_get(json_object_get(o, "protection"), "ProtectionEnabled");
    int rc = 0;
    if (failure)
        rc = refused(failure, "failure", "Reason", "Detail", err);
    else if (error)
        rc = refused(error, "error", "Code", "Message", err);
    else if (status != 200 || !json_is_boolean(enabled))
        rc = err_set(err, ERR_ECS_PROTECTION, "HTTP status %ld without an answer", status);
    else if (json_is_true(enabled) != on)
        rc = err_set(err, ERR_ECS_PROTECTION, "protection is %s, says the answer", on ? "off" : "on");
    json_decref(o);
    return rc;
}

static int put(const protect_t *p, const ecs_step_t *step, uint64_t ms, err_t *err)
{
    char body[100];
    aws_header_t headers[] = {{"Content-Type", "application/json"}};
    aws_answer_t answer;
    /* the agent refuses members that it does not know, and a time where protection is off */
    if (step->on)
        snprintf(body, sizeof body, "{\"ProtectionEnabled\":true,\"ExpiresInMinutes\":%d}", step->minutes);
    else
        snprintf(body, sizeof body, "{\"ProtectionEnabled\":false}");
    aws_request_t r = {.url = p->url,
                       .method = "PUT",
                       .headers = headers,
                       .header_count = 1,
                       .body = body,
                       .body_len = strlen(body),
                       .at_stop = !step->on,
                       .direct = true,
                       .connect_ms = ms,
                       .total_ms = ms,
                       .body_max = BODY_MAX};
    int rc = aws_http_send(&r, &answer, err);
    if (rc == 0)
        rc = ecs_protect_parse(answer.status, buf_cstr(&answer.body), answer.body.len, step->on, err);
    aws_http_free(&answer);
    return rc;
}

/* Each change of the answer is logged, once; process 1 hears each, because its time counts. */
static void tell(protect_t *p, const ecs_step_t *step, const err_t *err)
{
    static const char *const FOR[] = {
        [ECS_HOLD_NOTHING] = "", [ECS_HOLD_CRON] = "cron", [ECS_HOLD_WORK] = "install or upgrade"};
    const char *what = FOR[p->pace.want];
    bool on = step->on && !err->id;
    char now[sizeof p->told];
    role_emit(json_pack("{s:s,s:b,s:i,s:s,s:s}", "event", "protection", "on", on, "minutes", step->minutes,
                        "for", on ? what : "", "refused", err->id ? err->msg : ""));
    snprintf(now, sizeof now, "%d %s %.200s", step->on, what, err->id ? err->msg : "");
    if (strcmp(now, p->told) == 0) return;
    snprintf(p->told, sizeof p->told, "%s", now);
    if (err->id)
        log_write(LOG_WARN_, err->id, "scale-in protection %s: %s",
                  step->on ? "is not there" : "could not be ended", err->msg);
    else if (step->on)
        log_info("ECS does not scale this task in for %d minutes at a time: it runs %s", step->minutes, what);
    else
        log_info("ECS may scale this task in");
}

static uint32_t any(void)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof r, GRND_NONBLOCK) < 0) r = (uint32_t)clock_ms();
    return r;
}

static void ask(protect_t *p, const ecs_step_t *step)
{
    err_t err = {0};
    uint64_t began = clock_ms();
    ecs_pace_asks(&p->pace, step);
    int rc = put(p, step, ASK_MS, &err);
    if (rc == 0)
        ecs_pace_good(&p->pace, began);
    else
        ecs_pace_bad(&p->pace, clock_ms(), any());
    p->pace.hopeless = rc == -2;
    tell(p, step, &err);
}

/* The last deed, in front of a stop that does not wait for it long. */
static void release(protect_t *p)
{
    const ecs_step_t off = {0};
    err_t err = {0};
    if (p->pace.have == ECS_HOLD_NOTHING && !p->pace.unsure) return;
    p->pace.want = ECS_HOLD_NOTHING;
    put(p, &off, RELEASE_MS, &err);
    tell(p, &off, &err);
}

static void take_command(protect_t *p, const char *cmd)
{
    if (strcmp(cmd, "work") == 0)
        ecs_pace_want(&p->pace, ECS_HOLD_WORK);
    else if (strcmp(cmd, "cron") == 0)
        ecs_pace_want(&p->pace, ECS_HOLD_CRON);
    else if (strcmp(cmd, "nothing") == 0)
        ecs_pace_want(&p->pace, ECS_HOLD_NOTHING);
    else
        log_warn("unknown command \"%s\"", cmd);
}

int ecs_protect_main(int argc, char **argv)
{
    static protect_t p;
    err_t err = {0};
    role_begin();
    if (environment_take_option(argc, argv, &err) < 0) {
        log_err(LOG_ERROR_, &err);
        return err_status(err.id);
    }
    settings_t *set = settings_load(environ);
    snprintf(p.url, sizeof p.url, "%s/task-protection/v1/state", settings_str(set, SET_ecs_agent));
    settings_free(&set);
    for (int got = 0; got >= 0;) {
        char *cmd = NULL;
        ecs_step_t step = ecs_pace_next(&p.pace, clock_ms());
        got = role_wait(-1, step.ask ? 0 : step.wait_ms < 0 ? LONG_MS : (uint64_t)step.wait_ms, &cmd);
        if (got == 1) take_command(&p, cmd);
        free(cmd);
        if (got == 0 && step.ask) ask(&p, &step);
    }
    release(&p);
    return EXIT_OK;
}
