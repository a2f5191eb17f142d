#include "coord/look.h"
#include "base/clock.h"
#include "base/log.h"
#include "coord/history.h"
#include "coord/keeper.h"
#include "coord/moodle_version.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOODLE_LIMIT_MS = 60000 };

int look_open(look_t *k, const char *run_dir, err_t *err)
{
    memset(k, 0, sizeof *k);
    db_resolver_limit();
    if (lead_conf_load(run_dir, &k->conf, err) < 0 || target_load(run_dir, &k->target, err) < 0) return -1;
    lease_init(&k->lease, PURPOSE_DEPLOY, k->target.db.prefix, "", k->conf.lease_scale);
    k->times = k->lease.times;
    if (lease_open(&k->lease, &k->target.db, err) < 0) return -1;
    k->db = k->lease.db;
    return 0;
}

int look_state(look_t *k, err_t *err)
{
    char own[128];
    const lead_conf_t *c = &k->conf;
    uint64_t limit = k->times.statement;
    if (!moodle_version_parse(c->code_version, &k->in.code_version))
        return err_set(err, ERR_CODE_INFO, "version \"%s\" in lead.json", c->code_version);
    k->in.code_hash = c->code_hash;
    k->in.install_auto = c->install_auto;
    k->in.upgrade_auto = c->upgrade_auto;
    k->in.install_settings = secret_len(c->admin_password) > 0 && *c->admin_email;
    history_target(c->code_version, c->code_hash, own, sizeof own);
    if (schema_read(k->db, limit, &k->in.schema, err) < 0) return -1;
    if (lease_row_read(k->db, limit, k->target.db.prefix, PURPOSE_DEPLOY, &k->row, err) < 0) return -1;
    return history_read(k->db, limit, k->target.db.prefix, own, &k->row, k->times.evict, &k->in.history, err);
}

void look_close(look_t *k)
{
    lease_close(&k->lease);
    k->db = NULL;
    lead_conf_free(&k->conf);
    target_free(&k->target);
}

static void output_drop(keeper_t *k)
{
    char chunk[4096];
    for (;;) {
        struct pollfd p[] = {{.fd = k->out, .events = POLLIN},
                             {.fd = k->err, .events = POLLIN},
                             {.fd = k->result, .events = POLLIN}};
        if (poll(p, 3, -1) < 0) continue;
        if (p[0].revents && read(k->out, chunk, sizeof chunk) <= 0) k->out = (close(k->out), -1);
        if (p[1].revents && read(k->err, chunk, sizeof chunk) <= 0) k->err = (close(k->err), -1);
        if (p[2].revents) return;
    }
}

int look_ask_moodle(const look_t *k, const char *run_dir)
{
    char script[4096], dir[4096], home[4096];
    static char flag_c[] = "-c", question[] = "--is-maintenance-required",
                path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    snprintf(script, sizeof script, "%s/admin/cli/upgrade.php", k->conf.code_dir);
    snprintf(dir, sizeof dir, "MOODLECTL_RUN_DIR=%s", run_dir);
    snprintf(home, sizeof home, "HOME=%s", k->conf.web_home);
    char *argv[] = {k->conf.php, flag_c, k->conf.php_ini, script, question, NULL},
         *envp[] = {path, dir, home, NULL};
    keeper_spec_t spec = {.argv = argv,
                          .envp = envp,
                          .dir = k->conf.code_dir,
                          .uid = k->conf.web_uid,
                          .gid = k->conf.web_gid,
                          .hold_fd = -1};
    keeper_t keeper;
    int status = -1;
    if (keeper_prepare(&keeper, clock_ms() + MOODLE_LIMIT_MS, NULL) < 0) return -1;
    if (keeper_start(&keeper, &spec, NULL) == 0) {
        output_drop(&keeper);
        keeper_result_t r = keeper_finish(&keeper);
        status = WIFEXITED(r.status) ? WEXITSTATUS(r.status) : -1;
    }
    keeper_free(&keeper);
    return status;
}

void look_print(json_t *o)
{
    char *s = json_dumps(o, JSON_COMPACT);
    printf("%s\n", s ? s : "{}");
    free(s);
    json_decref(o);
}

int look_failed(const err_t *err, bool json)
{
    if (json)
        look_print(json_pack("{s:b,s:s,s:s}", "ok", 0, "id", err_name(err->id), "msg", err->msg));
    else
        log_err(LOG_ERROR_, err);
    return err_status(err->id);
}

bool look_flag(int *argc, char **argv, const char *word)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], word) != 0) continue;
        memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
        (*argc)--;
        return true;
    }
    return false;
}
