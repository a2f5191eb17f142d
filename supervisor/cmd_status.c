#include "supervisor/cmd_status.h"
#include "base/fd.h"
#include "supervisor/client.h"
#include "supervisor/cmd_table.h"
#include <stdio.h>
#include <string.h>

/* ---- status ---- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}
static bool is_yes(const json_t *o, const char *key) { return json_is_true(json_object_get(o, key)); }

static void put(buf_t *out, const char *text)
{
    buf_json(out, text, strlen(text));
} /* escapes control characters */

static void put_millis(buf_t *out, json_int_t ms)
{
    json_int_t s = ms / 1000;
    if (s < 60)
        buf_printf(out, "%lld.%lld s", (long long)s, (long long)(ms % 1000 / 100));
    else if (s < 3600)
        buf_printf(out, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
    else
        buf_printf(out, "%lld h %lld min", (long long)(s / 3600), (long long)(s % 3600 / 60));
}

static void put_state(buf_t *out, const char *state, bool good, bool bad, bool colour)
{
    if (colour) buf_str(out, good ? "\033[32m" : bad ? "\033[31m" : "\033[33m");
    put(out, state);
    if (colour) buf_str(out, "\033[0m");
}

static void put_phase(buf_t *out, const json_t *o, bool colour)
{
    const char *phase = text_of(o, "phase");
    if (!*phase) return;
    buf_str(out, "phase     ");
    put_state(out, phase, strcmp(phase, "SERVE") == 0, strcmp(phase, "HOLD") == 0, colour);
    buf_str(out, " for ");
    put_millis(out, number_of(o, "phase_ms"));
    buf_str(out, is_yes(o, "ready") ? ", ready\n" : ", not ready\n");
}

/* What the database is to this code; why it does not serve, with the cure. */
static void put_reason(buf_t *out, const json_t *o, bool colour)
{
    const char *name = text_of(o, "id"), *state = text_of(o, "state"), *reason = text_of(o, "reason");
    err_id_t id = err_find(name);
    if (*state) {
        buf_str(out, "database  ");
        put(out, state);
        if (!*name && *reason) buf_str(out, ": ");
        if (!*name) put(out, reason);
        buf_str(out, "\n");
    }
    if (!*name && (*state || !*reason)) return;
    buf_str(out, "reason    ");
    if (*name) put_state(out, name, false, true, colour);
    if (*name && *reason) buf_str(out, ": ");
    put(out, reason);
    buf_str(out, "\n");
    if (id) buf_printf(out, "cure      %s\n", err_cure(id));
}

static void put_progress(buf_t *out, const json_t *p)
{
    if (!json_is_object(p)) return;
    buf_str(out, "progress  ");
    put(out, text_of(p, "phase"));
    if (*text_of(p, "by")) buf_str(out, " by ");
    put(out, text_of(p, "by"));
    buf_str(out, ": ");
    put(out, text_of(p, "detail"));
    if (number_of(p, "total") > 0)
        buf_printf(out, " (%lld of %lld)", (long long)number_of(p, "done"), (long long)number_of(p, "total"));
    buf_str(out, ", ");
    put_millis(out, number_of(p, "elapsed_ms"));
    buf_str(out, "\n");
}

/* In the whole cluster, as this member last read it. */
static void put_success(buf_t *out, const json_t *s)
{
    if (!json_is_object(s)) return;
    buf_str(out, *text_of(s, "by") ? "          last success " : "          no success in the last ");
    put_millis(out, number_of(s, "age_ms"));
    if (*text_of(s, "by")) buf_str(out, " ago, on ");
    put(out, text_of(s, "by"));
    buf_str(out, "\n");
}

static void put_cron(buf_t *out, const json_t *c)
{
    if (!json_is_object(c)) return;
    buf_str(out, "cron      ");
    if (!is_yes(c, "enabled"))
        buf_str(out, "switched off on this member");
    else if (is_yes(c, "running"))
        buf_str(out, "runs on this member");
    else
        buf_str(out,
                is_yes(c, "holder") ? "is this member's, between two runs" : "another member's, or nobody's");
    if (json_object_get(c, "last_exit")) {
        buf_printf(out, "; last run ended with %lld, ", (long long)number_of(c, "last_exit"));
        put_millis(out, number_of(c, "last_end_age_ms"));
        buf_str(out, " ago");
    }
    if (json_is_integer(json_object_get(c, "adhoc_runner")))
        buf_printf(out, "; ad-hoc runner %lld", (long long)number_of(c, "adhoc_runner"));
    buf_str(out, "\n");
    put_success(out, json_object_get(c, "success"));
}

static void put_ecs(buf_t *out, const json_t *ecs)
{
    const json_t *task = json_object_get(ecs, "task"), *protection = json_object_get(ecs, "protection");
    if (!json_is_object(ecs)) return;
    buf_str(out, "ecs       ");
    if (json_is_object(task)) {
        buf_str(out, "task of ");
        put(out, text_of(task, "definition"));
        buf_str(out, ", cluster ");
        put(out, text_of(task, "cluster"));
        buf_str(out, ", zone ");
        put(out, text_of(task, "zone"));
        buf_str(out, json_is_object(protection) ? "; " : "");
    }
    if (json_is_object(protection)) {
        buf_str(out,
                is_yes(protection, "on") ? "protected from scale-in for " : "not protected from scale-in");
        if (is_yes(protection, "on")) put(out, text_of(protection, "for"));
        if (*text_of(protection, "refused")) buf_str(out, ": ");
        put(out, text_of(protection, "refused"));
    }
    buf_str(out, "\n");
}

static void put_children(buf_t *out, const json_t *list, bool colour)
{
    size_t i;
    json_t *c;
    json_array_foreach((json_t *)list, i, c)
    {
        const char *state = text_of(c, "state");
        cleanup_buf buf_t word = BUF_INIT, name = BUF_INIT;
        buf_printf(&word, "%-9s", state);
        put(&name, text_of(c, "name"));
        buf_printf(out, "  %-9s ", buf_cstr(&name));
        put_state(out, buf_cstr(&word), strcmp(state, "up") == 0 || strcmp(state, "done") == 0,
                  strcmp(state, "failed") == 0, colour);
        if (number_of(c, "pid") > 0)
            buf_printf(out, " pid %-7lld", (long long)number_of(c, "pid"));
        else
            buf_printf(out, " %11s", "");
        if (number_of(c, "since_ms") > 0) buf_str(out, " for ");
        if (number_of(c, "since_ms") > 0) put_millis(out, number_of(c, "since_ms"));
        if (number_of(c, "starts") > 1)
            buf_printf(out, ", started %lld times", (long long)number_of(c, "starts"));
        buf_str(out, "\n");
    }
}

void cmd_status_text(const json_t *status, bool colour, buf_t *out)
{
    const json_t *children = json_object_get(status, "children");
    buf_str(out, "member    ");
    put(out, text_of(status, "member"));
    if (*text_of(status, "release")) buf_str(out, ", release ");
    put(out, text_of(status, "release"));
    buf_str(out, ", moodlectl ");
    put(out, text_of(status, "version"));
    buf_str(out, "\n");
    put_phase(out, status, colour);
    put_reason(out, status, colour);
    put_progress(out, json_object_get(status, "progress"));
    put_cron(out, json_object_get(status, "cron"));
    put_ecs(out, json_object_get(status, "ecs"));
    if (number_of(status, "lines_dropped") > 0)
        buf_printf(out, "log       %lld lines dropped: standard output is too slow\n",
                   (long long)number_of(status, "lines_dropped"));
    if (json_array_size(children) > 0) buf_str(out, "services\n");
    put_children(out, children, colour);
}

int cmd_status(const cli_args_t *args)
{
    err_t err = {0};
    json_t *reply = NULL;
    cleanup_buf buf_t out = BUF_INIT;
    if (client_call(settings_str(args->settings, SET_run_dir), json_pack("{s:s}", "cmd", "status"),
                    CLIENT_TIMEOUT_MS, &reply, &err) < 0)
        return cli_fail(&err);
    if (args->opt[0]) {
        json_object_del(reply, "ok");
        json_dumpf(reply, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        cmd_status_text(reply, args->colour, &out);
        fputs(buf_cstr(&out), stdout);
    }
    json_decref(reply);
    return EXIT_OK;
}

/* ---- healthcheck ---- */

int cmd_healthcheck(const cli_args_t *args)
{
    const char *what = args->words[0];
    err_t err = {0};
    json_t *reply = NULL;
    if (strcmp(what, "live") != 0 && strcmp(what, "ready") != 0 && strcmp(what, "startup") != 0)
        return cli_usage("healthcheck needs one of live, ready, startup",
                         "See \"moodlectl help healthcheck\".");
    if (client_call(settings_str(args->settings, SET_run_dir),
                    json_pack("{s:s,s:s}", "cmd", "health", "what", what), CLIENT_TIMEOUT_MS, &reply,
                    &err) < 0)
        return cli_fail(&err);
    /* an answer without "healthy" is a yes: unhealthy comes as an error too */
    const json_t *healthy = json_object_get(reply, "healthy");
    bool yes = !healthy || json_is_true(healthy);
    const char *reason = text_of(reply, "reason");
    printf("%s: %s%s%s\n", what, yes ? "yes" : "no", *reason ? ", " : "", reason);
    json_decref(reply);
    return yes ? EXIT_OK : EXIT_DIFFERENT;
}
