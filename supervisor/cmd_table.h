/* cmd_table.h - what the commands of the table run. Each gives an exit status and has told the user why by then. All may
 * block; none belongs to PID 1. cmd_status.c, cmd_role.c, cmd_control.c, cmd_secrets.c, cmd_moodle.c, cmd_config.c, cmd_help.c. */
#ifndef MOODLECTL_SUPERVISOR_CMD_TABLE_H
#define MOODLECTL_SUPERVISOR_CMD_TABLE_H

#include "supervisor/cli.h"

int cmd_status(const cli_args_t *args);
int cmd_healthcheck(const cli_args_t *args);

/* Replace this process by moodlectl-role. */
int cmd_maintenance_on(const cli_args_t *args);
int cmd_maintenance_off(const cli_args_t *args);
int cmd_maintenance_status(const cli_args_t *args);
int cmd_upgrade_plan(const cli_args_t *args);
int cmd_cron_status(const cli_args_t *args);
int cmd_render(const cli_args_t *args);
int cmd_config_check(const cli_args_t *args);

/* Ask the running instance. */
int cmd_upgrade_run(const cli_args_t *args);
int cmd_cron_run_now(const cli_args_t *args);
int cmd_drain(const cli_args_t *args);
int cmd_simulate(const cli_args_t *args); /* drain --simulate */
int cmd_reload(const cli_args_t *args);
int cmd_restart(const cli_args_t *args);
int cmd_secrets_list(const cli_args_t *args);
int cmd_secrets_check(const cli_args_t *args);
int cmd_secrets_refresh(const cli_args_t *args);

int cmd_moodle(const cli_args_t *args); /* replaces this process by php */
int cmd_config_show(const cli_args_t *args);
int cmd_config_env(const cli_args_t *args);
int cmd_explain(const cli_args_t *args);
int cmd_version(const cli_args_t *args);
int cmd_help(const cli_args_t *args);
int cmd_doc(const cli_args_t *args);

/* Tells the running instance, for its log, what somebody does. Best effort: silent when it cannot be reached. */
void cmd_audit(const settings_t *s, const char *what);

#endif
