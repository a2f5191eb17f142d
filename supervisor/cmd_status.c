#include "base/fd.h"
#include "supervisor/client.h"
#include "supervisor/cmd_table.h"
#include <stdio.h>
#include <string.h>

/* ---- status: the instance's JSON as indented lines, whatever it holds ---- */

static const char *colour_of(const char *word)
{
    static const char *const GOOD[] = {"serve", "up", "ready", "current", "true", "done", NULL};
    static const char *const BAD[] = {"hold", "failed", "backoff", "killing", NULL};
    for (int i = 0; GOOD[i]; i++)
        if (strcmp(word, GOOD[i]) == 0) return "\033[32m";
    for (int i = 0; BAD[i]; i++)
        if (strcmp(word, BAD[i]) == 0) return "\033[31m";
    return strncmp(word, "E-", 2) == 0 ? "\033[31m" : NULL;
}

static void put_word(buf_t *out, const char *word, size_t len, bool colour)
{
    const char *c = colour ? colour_of(word) : NULL;
    if (c) buf_str(out, c);
    buf_json(out, word, len); /* nothing that comes from outside steers the terminal */
    if (c) buf_str(out, "\033[0m");
}

static void put_millis(buf_t *out, json_int_t ms)
{
    json_int_t s = ms / 1000;
    if (s < 60)
        buf_printf(out, "%lld.%01lld s", (long long)s, (long long)(ms % 1000 / 100));
    else if (s < 3600)
        buf_printf(out, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
    else
        buf_printf(out, "%lld h %lld min", (long long)(s / 3600), (long long)(s % 3600 / 60));
}

static bool is_millis(const char *key)
{
    size_t len = strlen(key);
    return len > 3 && strcmp(key + len - 3, "_ms") == 0;
}

static void put_scalar(buf_t *out, const char *key, const json_t *v, bool colour)
{
    if (json_is_string(v))
        put_word(out, json_string_value(v), json_string_length(v), colour);
    else if (json_is_integer(v) && is_millis(key))
        put_millis(out, json_integer_value(v));
    else if (json_is_integer(v))
        buf_printf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        buf_printf(out, "%g", json_real_value(v));
    else
        buf_str(out, json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "-");
}

/* "name=value name=value" of one object on one line: a row of a list. */
static void put_row(buf_t *out, const json_t *object, bool colour)
{
    const char *key;
    json_t *v;
    const char *gap = "";
    json_object_foreach((json_t *)object, key, v)
    {
        if (json_is_object(v) || json_is_array(v) || json_is_null(v)) continue;
        if (json_is_string(v) && json_string_length(v) == 0) continue;
        bool is_name = strcmp(key, "name") == 0;
        buf_str(out, gap);
        if (!is_name) buf_printf(out, "%.*s ", (int)(strlen(key) - (is_millis(key) ? 3 : 0)), key);
        put_scalar(out, key, v, colour);
        gap = is_name ? ": " : ", ";
    }
    buf_str(out, "\n");
}

static void put_object(buf_t *out, const json_t *object, int indent, bool colour)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v)
    {
        size_t i;
        json_t *item;
        if (strcmp(key, "ok") == 0 || json_is_null(v)) continue;
        if (json_is_object(v)) {
            buf_printf(out, "%*s%s\n", indent, "", key);
            if (indent < 8) put_object(out, v, indent + 2, colour);
        } else if (json_is_array(v)) {
            buf_printf(out, "%*s%s\n", indent, "", key);
            json_array_foreach(v, i, item)
            {
                buf_printf(out, "%*s", indent + 2, "");
                if (json_is_object(item)) {
                    put_row(out, item, colour);
                } else {
                    put_scalar(out, key, item, colour);
                    buf_str(out, "\n");
                }
            }
        } else if (!json_is_string(v) || json_string_length(v) > 0) {
            buf_printf(out, "%*s%-*.*s ", indent, "", 16 - indent,
                       (int)(strlen(key) - (is_millis(key) ? 3 : 0)), key);
            put_scalar(out, key, v, colour);
            buf_str(out, "\n");
        }
    }
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
        put_object(&out, reply, 0, args->colour);
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
    const char *reason = json_string_value(json_object_get(reply, "reason"));
    bool yes = !healthy || json_is_true(healthy);
    printf("%s: %s%s%s\n", what, yes ? "yes" : "no", reason && *reason ? ", " : "", reason ? reason : "");
    json_decref(reply);
    return yes ? EXIT_OK : EXIT_DIFFERENT;
}
