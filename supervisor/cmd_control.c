#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/client.h"
#include "supervisor/cmd_table.h"
#include <stdio.h>
#include <unistd.h>

enum { RELOAD_MS = 120000 };

void cmd_audit(const settings_t *s, const char *what)
{
    cleanup_buf buf_t msg = BUF_INIT;
    buf_printf(&msg, "%s, by uid %u", what, (unsigned)getuid());
    json_t *reply = NULL, *request = json_pack("{s:s,s:s}", "cmd", "audit", "msg", buf_cstr(&msg));
    if (request && client_call(settings_str(s, SET_run_dir), request, 1000, &reply, NULL) == 0)
        json_decref(reply);
}

/* Sends one command; prints what the instance answers, or `done` when it says nothing. */
static int ask(const cli_args_t *args, const char *cmd, const char *done)
{
    err_t err = {0};
    json_t *reply = NULL;
    if (client_call(settings_str(args->settings, SET_run_dir), json_pack("{s:s}", "cmd", cmd),
                    CLIENT_TIMEOUT_MS, &reply, &err) < 0)
        return cli_fail(&err);
    const char *msg = json_string_value(json_object_get(reply, "msg"));
    puts(msg ? msg : done);
    json_decref(reply);
    return EXIT_OK;
}

int cmd_upgrade_run(const cli_args_t *args)
{
    return ask(args, "upgrade", "Asked for. \"moodlectl status\" shows how it goes.");
}

int cmd_cron_run_now(const cli_args_t *args)
{
    return ask(args, "cron-run-now", "Asked for. \"moodlectl cron status\" shows when it ran.");
}

int cmd_drain(const cli_args_t *args)
{
    if (args->opt[0]) return cmd_simulate(args);
    return ask(args, "drain", "Draining; this member stops when its work is done.");
}

/* Asks for it, and waits for what comes of it: an operator wants to see the line that is wrong. */
static int reload(const cli_args_t *args, json_t *request)
{
    err_t err = {0};
    json_t *reply = NULL;
    const char *run_dir = settings_str(args->settings, SET_run_dir);
    if (client_call(run_dir, request, CLIENT_TIMEOUT_MS, &reply, &err) < 0) return cli_fail(&err);
    json_decref(reply);
    for (uint64_t end = clock_ms() + RELOAD_MS;; clock_sleep_ms(100)) {
        if (client_call(run_dir, json_pack("{s:s}", "cmd", "status"), CLIENT_TIMEOUT_MS, &reply, &err) < 0)
            return cli_fail(&err);
        const json_t *r = json_object_get(reply, "reload");
        bool running = json_is_true(json_object_get(r, "running"));
        const char *id = json_string_value(json_object_get(r, "id")),
                   *msg = json_string_value(json_object_get(r, "msg"));
        if (!running && id) err_set(&err, err_find(id), "%s", msg ? msg : "");
        if (!running && !id) puts(msg ? msg : "Done.");
        json_decref(reply);
        if (!running) return err.id ? cli_fail(&err) : EXIT_OK;
        if (clock_ms() > end) {
            err_set(&err, ERR_LOCK_BUSY, "the reload is still under way; the log will tell");
            return cli_fail(&err);
        }
    }
}

int cmd_reload(const cli_args_t *args) { return reload(args, json_pack("{s:s}", "cmd", "reload")); }

int cmd_restart(const cli_args_t *args)
{
    return reload(args, json_pack("{s:s,s:s}", "cmd", "restart", "what", args->words[0]));
}
