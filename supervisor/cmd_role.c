#include "base/fd.h"
#include "supervisor/cmd_table.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROLE_WORDS = 12 };

/* The role program lies beside this one; PATH only when it does not. */
static void find_role(char *path, size_t size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash) *slash = '\0';
        int len = snprintf(path, size, "%s/moodlectl-role", self);
        if (len > 0 && (size_t)len < size && access(path, X_OK) == 0) return;
    }
    snprintf(path, size, "moodlectl-role");
}

/* Returns only when that failed. */
static int become_role(char *const *words)
{
    char path[PATH_MAX], name[] = "moodlectl-role";
    char *argv[ROLE_WORDS + 2] = {name};
    for (int i = 0; words[i] && i < ROLE_WORDS; i++) argv[i + 1] = words[i];
    find_role(path, sizeof path);
    fflush(NULL);
    execvp(path, argv);
    err_t err = {0};
    err_sys(&err, errno == ENOENT ? ERR_PROGRAM_MISSING : ERR_SPAWN, "execute %s", path);
    return cli_fail(&err);
}

/* For roles that work with what has been rendered: says so in our own words when nothing has been. */
static bool is_rendered(const settings_t *s, err_t *err)
{
    cleanup_buf buf_t path = BUF_INIT;
    buf_printf(&path, "%s/lead.json", settings_str(s, SET_run_dir));
    if (path.failed || access(path.data, R_OK) == 0) return true;
    if (errno == EACCES)
        err_set(err, ERR_CONTROL, "%s may be read by root only", path.data);
    else
        err_set(err, ERR_NOT_RUNNING, "nothing has been rendered: there is no %s", path.data);
    return false;
}

static int become_cluster_role(const cli_args_t *args, char *const *words)
{
    err_t err = {0};
    return is_rendered(args->settings, &err) ? become_role(words) : cli_fail(&err);
}

/* The role takes words, not constants: argv is writable by tradition. */
#define WORDS(...)                                                                                           \
    (char *[]) { __VA_ARGS__, NULL }
static char w_maintenance[] = "maintenance", w_on[] = "on", w_off[] = "off", w_status[] = "status",
            w_message[] = "--message", w_json[] = "--json", w_plan[] = "plan",
            w_cron_status[] = "cron-status", w_prepare[] = "prepare", w_diff[] = "--diff",
            w_check[] = "--check", w_out[] = "--out", w_quiet[] = "--quiet", w_reload[] = "--reload";

int cmd_maintenance_on(const cli_args_t *args)
{
    cmd_audit(args->settings, "maintenance on");
    if (!args->opt[0]) return become_cluster_role(args, WORDS(w_maintenance, w_on));
    return become_cluster_role(args, WORDS(w_maintenance, w_on, w_message, args->opt[0]));
}

int cmd_maintenance_off(const cli_args_t *args)
{
    cmd_audit(args->settings, "maintenance off");
    return become_cluster_role(args, WORDS(w_maintenance, w_off));
}

int cmd_maintenance_status(const cli_args_t *args)
{
    return become_cluster_role(args, args->opt[0] ? WORDS(w_maintenance, w_status, w_json)
                                                  : WORDS(w_maintenance, w_status));
}

int cmd_upgrade_plan(const cli_args_t *args)
{
    return become_cluster_role(args, args->opt[0] ? WORDS(w_plan, w_json) : WORDS(w_plan));
}

int cmd_cron_status(const cli_args_t *args)
{
    return become_cluster_role(args, args->opt[0] ? WORDS(w_cron_status, w_json) : WORDS(w_cron_status));
}

int cmd_render(const cli_args_t *args)
{
    enum { DIFF, CHECK, OUT };
    if ((args->opt[DIFF] != NULL) + (args->opt[CHECK] != NULL) + (args->opt[OUT] != NULL) > 1)
        return cli_usage("render takes one of --diff, --check and --out", "See \"moodlectl help render\".");
    if (args->opt[DIFF]) return become_role(WORDS(w_prepare, w_diff));
    if (args->opt[CHECK]) return become_role(WORDS(w_prepare, w_diff, w_quiet));
    if (args->opt[OUT]) return become_role(WORDS(w_prepare, w_out, args->opt[OUT]));
    cmd_audit(args->settings, "render");
    err_t err = {0};
    if (is_rendered(args->settings, &err)) return become_role(WORDS(w_prepare, w_reload));
    return become_role(WORDS(w_prepare));
}

int cmd_config_check(const cli_args_t *args)
{
    (void)args;
    return become_role(WORDS(w_prepare, w_check));
}
