#include "base/fd.h"
#include "supervisor/client.h"
#include "supervisor/cmd_table.h"
#include <stdio.h>
#include <unistd.h>

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

int cmd_reload(const cli_args_t *args)
{
    return ask(args, "reload", "Reloading: files are rendered anew and the services follow.");
}
