#include "supervisor/services.h"
#include "base/fd.h"
#include "base/passwd.h"
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGV_MAX = 8, ENVP_MAX = 8, TEXT_MAX = 512 };

/* What a service started as root may do beside what anybody may, and all below it. A worker of nginx or PHP-FPM, and PHP under a role,
 * changes to the web user and has none. */
#define CAP(name)  (1ULL << CAP_##name)
#define CAPS_USERS (CAP(SETUID) | CAP(SETGID) | CAP(KILL)) /* workers of another user, and signals to them */
#define CAPS_FILES (CAP(CHOWN) | CAP(DAC_OVERRIDE))        /* files and directories of the web user */
#define CAPS_ROLE  (CAPS_USERS | CAPS_FILES | CAP(FOWNER)) /* and their modes */

/* When memory ends the kernel takes cron and the runner first, then warm, then of PHP-FPM the process that uses most, which is a worker
 * (they have their master's score); nginx, the roles and PID 1 last. */
const child_row_t SERVICES[SV_COUNT_] = {
    [SV_PREPARE] = {.name = "prepare",
                    .kind = CK_ROLE_ONESHOT,
                    .ready = READY_BY_EVENT,
                    .stop_signal = SIGTERM,
                    .last_signal = SIGTERM,
                    .max_deaths = 3,
                    .death_window_ms = 60000,
                    .caps = CAPS_ROLE | CAP(NET_BIND_SERVICE), /* nginx -t binds */
                    .kill_leftovers = true},
    [SV_NGINX] = {.name = "nginx",
                  .kind = CK_DAEMON,
                  .ready = READY_BY_PROBE,
                  .stream = STREAM_NGINX,
                  .stop_signal = SIGQUIT,
                  .last_signal = SIGTERM,
                  .max_deaths = 5,
                  .death_window_ms = 60000,
                  .start_ms = 10000,
                  .caps = CAPS_USERS | CAPS_FILES | CAP(NET_BIND_SERVICE),
                  .nofile = 8192,
                  .kill_leftovers = true},
    [SV_LEAD] = {.name = "lead",
                 .kind = CK_ROLE,
                 .ready = READY_AT_ONCE,
                 .stop_signal = SIGTERM,
                 .last_signal = SIGTERM,
                 .max_deaths = 5,
                 .death_window_ms = 60000,
                 .caps = CAPS_ROLE,
                 .kill_leftovers = true},
    [SV_FPM] = {.name = "php",
                .kind = CK_DAEMON,
                .ready = READY_BY_PROBE,
                .stream = STREAM_PHP,
                .stop_signal = SIGQUIT,
                .last_signal = SIGTERM,
                .max_deaths = 5,
                .death_window_ms = 60000,
                .start_ms = 30000,
                .oom_score_adj = 100,
                .caps = CAPS_USERS | CAPS_FILES,
                .nofile = 8192,
                .kill_leftovers = true},
    [SV_WARM] = {.name = "warm",
                 .kind = CK_ONESHOT,
                 .ready = READY_BY_EVENT,
                 .stream = STREAM_PHP,
                 .stop_signal = SIGTERM,
                 .last_signal = SIGTERM,
                 .max_deaths = 2,
                 .death_window_ms = 600000,
                 .start_ms = 60000,
                 .oom_score_adj = 300,
                 .as_web_user = true,
                 .kill_leftovers = true},
    [SV_CRON] = {.name = "cron",
                 .kind = CK_ROLE,
                 .ready = READY_AT_ONCE,
                 .stop_signal = SIGTERM,
                 .last_signal = SIGTERM,
                 .oom_score_adj = 500,
                 .nice = 5,
                 .caps = CAPS_ROLE,
                 .kill_leftovers = true},
    [SV_ADHOC] = {.name = "adhoc",
                  .kind = CK_ROLE,
                  .ready = READY_AT_ONCE,
                  .stop_signal = SIGTERM,
                  .last_signal = SIGTERM,
                  .oom_score_adj = 500,
                  .nice = 5,
                  .caps = CAPS_ROLE,
                  .kill_leftovers = true},
    [SV_SECRETS] = {.name = "secrets",
                    .kind = CK_ROLE,
                    .ready = READY_AT_ONCE,
                    .stop_signal = SIGTERM,
                    .last_signal = SIGTERM,
                    .caps = CAPS_ROLE,
                    .kill_leftovers = true},
    [SV_PROTECT] = {.name = "protect",
                    .kind = CK_ROLE,
                    .ready = READY_AT_ONCE,
                    .stop_signal = SIGTERM,
                    .last_signal = SIGTERM,
                    .kill_leftovers = true},
};

typedef struct {
    char *argv[ARGV_MAX + 1];
    char *envp[ENVP_MAX + 1];
    size_t argc, envc;
} command_t;

struct services {
    const settings_t *set;
    int environment;
    command_t commands[SV_COUNT_];
    bool is_root;
    uid_t uid;
    gid_t gid;
    bool failed; /* out of memory while building */
};

static char *keep(services_t *s, const char *text)
{
    char *copy = strdup(text);
    if (!copy) s->failed = true;
    return copy;
}

static void add_arg(services_t *s, service_id_t id, const char *text)
{
    command_t *c = &s->commands[id];
    if (c->argc < ARGV_MAX) c->argv[c->argc++] = keep(s, text);
}

static void add_env(services_t *s, service_id_t id, const char *name, const char *value)
{
    command_t *c = &s->commands[id];
    char text[TEXT_MAX];
    snprintf(text, sizeof text, "%s=%s", name, value);
    if (c->envc < ENVP_MAX) c->envp[c->envc++] = keep(s, text);
}

const char *services_run_path(const services_t *s, const char *name, char *buf, size_t size)
{
    snprintf(buf, size, "%s/%s", settings_str(s->set, SET_run_dir), name);
    return buf;
}

void services_role_path(char *buf, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", buf, size - 16);
    buf[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(buf, '/');
    snprintf(slash ? slash + 1 : buf, 16, "moodlectl-role");
}

static void build_role(services_t *s, service_id_t id, const char *path)
{
    add_arg(s, id, path);
    add_arg(s, id, SERVICES[id].name);
    add_env(s, id, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    add_env(s, id, "MOODLECTL_RUN_DIR", settings_str(s->set, SET_run_dir));
    add_env(s, id, "LANG", "C.UTF-8");
}

/* Its settings come in a memory file: a process's environment can be read in /proc by others of its user. */
static void build_environment(services_t *s, service_id_t id)
{
    char number[16];
    snprintf(number, sizeof number, "%d", s->environment);
    add_arg(s, id, "--environment");
    add_arg(s, id, number);
}

static void build_nginx(services_t *s)
{
    char path[TEXT_MAX];
    add_arg(s, SV_NGINX, settings_str(s->set, SET_nginx));
    add_arg(s, SV_NGINX, "-e"); /* before it has read its configuration, too */
    add_arg(s, SV_NGINX, "stderr");
    add_arg(s, SV_NGINX, "-c");
    add_arg(s, SV_NGINX, services_run_path(s, "nginx.conf", path, sizeof path));
    add_env(s, SV_NGINX, "PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
}

static void add_php_env(services_t *s, service_id_t id)
{
    add_env(s, id, "PATH", "/usr/local/bin:/usr/bin:/bin");
    add_env(s, id, "LANG", "C.UTF-8");
    add_env(s, id, "HOME", settings_str(s->set, SET_local_dir));
}

static void build_fpm(services_t *s)
{
    char path[TEXT_MAX];
    settings_program(s->set, SET_php_fpm, path, sizeof path);
    add_arg(s, SV_FPM, path);
    add_arg(s, SV_FPM, "--nodaemonize");
    add_arg(s, SV_FPM, "--fpm-config");
    add_arg(s, SV_FPM, services_run_path(s, "php-fpm.conf", path, sizeof path));
    add_arg(s, SV_FPM, "-c");
    add_arg(s, SV_FPM, services_run_path(s, "php.ini", path, sizeof path));
    add_php_env(s, SV_FPM);
}

static void build_warm(services_t *s)
{
    char path[TEXT_MAX];
    settings_program(s->set, SET_php, path, sizeof path);
    add_arg(s, SV_WARM, path);
    add_arg(s, SV_WARM, "-c");
    add_arg(s, SV_WARM, services_run_path(s, "php.ini", path, sizeof path));
    add_arg(s, SV_WARM, services_run_path(s, "warm.php", path, sizeof path));
    add_php_env(s, SV_WARM);
}

services_t *services_new(const settings_t *set, int environment)
{
    services_t *s = calloc(1, sizeof *s);
    char role[TEXT_MAX];
    if (!s) {
        fd_close(&environment);
        return NULL;
    }
    s->set = set;
    s->environment = environment;
    s->is_root = geteuid() == 0;
    if (passwd_find(settings_str(set, SET_user), &s->uid, &s->gid, NULL) < 0) {
        s->uid = geteuid(); /* role prepare says what is wrong and ends the container */
        s->gid = getegid();
    }
    services_role_path(role, sizeof role);
    build_role(s, SV_PREPARE, role);
    build_environment(s, SV_PREPARE);
    build_role(s, SV_LEAD, role);
    build_role(s, SV_CRON, role);
    build_role(s, SV_ADHOC, role);
    build_role(s, SV_SECRETS, role);
    build_environment(s, SV_SECRETS);
    build_role(s, SV_PROTECT, role);
    build_environment(s, SV_PROTECT);
    build_nginx(s);
    build_fpm(s);
    build_warm(s);
    if (s->failed) services_free(&s);
    return s;
}

void services_free(services_t **services)
{
    services_t *s = *services;
    if (!s) return;
    for (int id = 0; id < SV_COUNT_; id++) {
        for (size_t i = 0; i < ARGV_MAX; i++) free(s->commands[id].argv[i]);
        for (size_t i = 0; i < ENVP_MAX; i++) free(s->commands[id].envp[i]);
    }
    fd_close(&s->environment);
    free(s);
    *services = NULL;
}

void services_prepare_again(services_t *s)
{
    command_t *c = &s->commands[SV_PREPARE];
    if (!c->argv[c->argc]) c->argv[c->argc] = keep(s, "--reload");
}

void services_spec(const services_t *s, service_id_t id, spawn_spec_t *ret_spec)
{
    ret_spec->argv = s->commands[id].argv;
    ret_spec->envp = s->commands[id].envp;
    ret_spec->extra_fd = id == SV_PREPARE || id == SV_SECRETS || id == SV_PROTECT ? s->environment : 0;
    ret_spec->switch_user = s->is_root && SERVICES[id].as_web_user;
    ret_spec->uid = s->uid;
    ret_spec->gid = s->gid;
}
