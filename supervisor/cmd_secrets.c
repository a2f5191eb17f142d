#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/client.h"
#include "supervisor/cmd_table.h"
#include <stdio.h>
#include <string.h>

enum { ROUND_MS = 90000, ASK_AGAIN_MS = 100 };

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static int ask(const cli_args_t *args, const char *cmd, json_t **ret, err_t *err)
{
    return client_call(settings_str(args->settings, SET_run_dir), json_pack("{s:s}", "cmd", cmd),
                       CLIENT_TIMEOUT_MS, ret, err);
}

static void put_age(buf_t *out, json_int_t ms)
{
    json_int_t s = ms / 1000;
    if (s < 120)
        buf_printf(out, "%lld s", (long long)s);
    else
        buf_printf(out, "%lld min", (long long)(s / 60));
}

static void put_value(buf_t *out, const json_t *v)
{
    const char *version = text(v, "version"), *id = text(v, "id");
    buf_printf(out, "%-28s version %s, ", text(v, "setting"), *version ? version : "unknown");
    put_age(out, json_integer_value(json_object_get(v, "age_ms")));
    buf_printf(out, " old, %s\n", text(v, "source"));
    if (*id) buf_printf(out, "%-28s %s: %s\n", "", id, text(v, "error"));
}

/* Prints them; the status of the first error among them. */
static int show(const cli_args_t *args, json_t *reply)
{
    const json_t *values = json_object_get(reply, "values");
    cleanup_buf buf_t out = BUF_INIT;
    int status = EXIT_OK;
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)values, i, v)
    {
        put_value(&out, v);
        if (status == EXIT_OK && *text(v, "id")) status = err_status(err_find(text(v, "id")));
    }
    if (args->opt[0]) {
        json_object_del(reply, "ok");
        json_object_del(reply, "answered");
        json_dumpf(reply, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (json_array_size(values) == 0)
        puts("No setting that could change comes from a file or from AWS.");
    else
        fputs(buf_cstr(&out), stdout);
    json_decref(reply);
    return status;
}

int cmd_secrets_list(const cli_args_t *args)
{
    err_t err = {0};
    json_t *reply = NULL;
    if (ask(args, "secrets", &reply, &err) < 0) return cli_fail(&err);
    show(args, reply);
    return EXIT_OK;
}

/* Sends it, and waits until the role has done it. */
static int run_round(const cli_args_t *args, const char *cmd, json_t **ret, err_t *err)
{
    json_t *reply = NULL;
    if (ask(args, cmd, &reply, err) < 0) return -1;
    json_int_t ticket = json_integer_value(json_object_get(reply, "ticket"));
    json_decref(reply);
    for (uint64_t until = clock_ms() + ROUND_MS; clock_ms() < until; clock_sleep_ms(ASK_AGAIN_MS)) {
        if (ask(args, "secrets", ret, err) < 0) return -1;
        if (json_integer_value(json_object_get(*ret, "answered")) >= ticket) return 0;
        json_decref(*ret);
    }
    return err_set(err, ERR_NOT_RUNNING, "the role that follows secrets has not answered in time");
}

static int round_command(const cli_args_t *args, const char *cmd)
{
    err_t err = {0};
    json_t *reply = NULL;
    if (run_round(args, cmd, &reply, &err) < 0) return cli_fail(&err);
    return show(args, reply);
}

int cmd_secrets_check(const cli_args_t *args) { return round_command(args, "secrets-check"); }

int cmd_secrets_refresh(const cli_args_t *args)
{
    cmd_audit(args->settings, "secrets refresh");
    return round_command(args, "secrets-refresh");
}
