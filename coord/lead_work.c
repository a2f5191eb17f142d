/* Install and upgrade, under the lease. Exit status 0 of Moodle's scripts proves nothing: the state is read back by SQL. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json_bytes.h"
#include "base/log.h"
#include "base/role.h"
#include "coord/flag.h"
#include "coord/lead.h"
#include "coord/tree_count.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { FENCE_REFUSED = 75, LIVE_POSSIBLE = 3 };

typedef struct work {
    lead_t *m;
    const char *action;
    job_progress_t progress;
    job_result_t result;
    err_t why;        /* not proven, or something else than the script failed */
    bool interrupted; /* it did not fail by itself */
    bool flag_fresh;  /* there was no maintenance mark before */
} work_t;

/* ---- scripts ---- */

static int script(work_t *w, const char *src, const char *const *args, const char *input, bool progress,
                  err_t *err)
{
    lead_t *m = w->m;
    job_spec_t spec = {
        .src = src,
        .args = args,
        .input = input,
        .lease = &m->lease,
        .also = &m->cron,
        .conf = &m->conf,
        .run_dir = m->run_dir,
        .progress = progress ? &w->progress : NULL,
        .stop_patience_ms = m->conf.job_patience_ms,
        .quiet = !progress,
    };
    if (job_run(&spec, &w->result, err) < 0) return -1;
    bool failed = w->result.end == JOB_EXITED && w->result.code != 0;
    w->interrupted = w->result.stopped || w->result.end == JOB_SIGNALED || w->result.code == FENCE_REFUSED ||
                     (failed && w->result.disturbed);
    /* whatever ended the script may have ended our session too: what follows needs it */
    return job_lease_keep(&m->lease, m->run_dir, "", err);
}

static bool ended_well(const work_t *w) { return w->result.end == JOB_EXITED && w->result.code == 0; }

#define SCRIPT(w, src, input, progress, err, ...)                                                            \
    script(w, src, (const char *const[]){__VA_ARGS__, NULL}, input, progress, err)

/* ---- proof and record ---- */

static int prove(work_t *w, err_t *err)
{
    lead_t *m = w->m;
    schema_t s;
    if (schema_read(m->lease.db, m->lease.times.statement, &s, err) < 0) return -1;
    if (s.kind == SCHEMA_INSTALLED && s.version == m->in.code_version &&
        strcmp(s.hash, m->conf.code_hash) == 0)
        return 0;
    err_set(&w->why, ERR_JOB_UNPROVEN,
            "the database says version %s, plugin hash %.12s; the code is %s, %.12s",
            *s.version_text ? s.version_text : "none", s.hash, m->conf.code_version, m->conf.code_hash);
    return 0;
}

static int record(work_t *w, err_t *err)
{
    lead_t *m = w->m;
    char words[300];
    const history_t *h = &m->in.history;
    bool ok = ended_well(w) && w->why.id == ERR_NONE;
    const char *result = ok ? "ok" : w->interrupted ? "interrupted" : "failed";
    if (w->why.id)
        snprintf(words, sizeof words, "%.290s", w->why.msg);
    else
        job_result_words(&w->result, words, sizeof words);
    int64_t pause = ok ? 0 : decide_backoff_ms(h->failed + !w->interrupted, h->interrupted + w->interrupted);
    uint64_t ms = clock_ms() - w->progress.started_ms;
    if (ok)
        log_notice("%s done in %" PRIu64 " ms", w->action, ms);
    else
        log_write(LOG_ERROR_, w->why.id ? w->why.id : ERR_JOB_FAILED, "%s %s: %s", w->action, result, words);
    if (ok)
        role_metric(strcmp(w->action, "install") == 0 ? "InstallDuration" : "UpgradeDuration", (double)ms,
                    "Milliseconds");
    return lease_end(&m->lease, result, w->result.code, ok ? "" : words, pause, err);
}

static int begin(work_t *w, const char *action, err_t *err)
{
    lead_t *m = w->m;
    w->action = action;
    w->progress.phase = strcmp(action, "install") == 0 ? "install" : "upgrade";
    w->progress.started_ms = clock_ms();
    log_notice("%s starts, version %s", action, m->conf.code_version);
    return lease_start(&m->lease, action, m->own, "", err);
}

/* ---- install ---- */

static void throw_away_password(char *buf, size_t size)
{
    unsigned char r[18] = {0};
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r) memset(r, 'x', sizeof r);
    int n = snprintf(buf, size, "Aa1-");
    for (size_t i = 0; i < sizeof r && n + 3 < (int)size; i++)
        n += snprintf(buf + n, size - (size_t)n, "%02x", r[i]);
}

static char *option(const char *name, const char *value)
{
    size_t n = strlen(name) + strlen(value) + 4;
    char *s = malloc(n);
    if (!s) abort();
    snprintf(s, n, "--%s=%s", name, value);
    return s;
}

static int install_script(work_t *w, err_t *err)
{
    const lead_conf_t *c = &w->m->conf;
    char pass[64];
    throw_away_password(pass, sizeof pass);
    char *opts[] = {option("lang", *c->site_lang ? c->site_lang : "en"),
                    option("adminuser", c->admin_user),
                    option("adminpass", pass),
                    option("adminemail", c->admin_email),
                    option("fullname", c->site_name),
                    option("shortname", c->site_shortname),
                    *c->support_email ? option("supportemail", c->support_email) : NULL};
    enum { COUNT = sizeof opts / sizeof *opts };
    const char *args[COUNT + 4] = {"admin/cli/install_database.php", "--agree-license"};
    for (int i = 0; i < COUNT && opts[i]; i++) args[i + 2] = opts[i];
    int rc = script(w, "install", args, NULL, true, err);
    for (int i = 0; i < COUNT; i++) free(opts[i]);
    return rc;
}

static int install_password(work_t *w, err_t *err)
{
    const lead_conf_t *c = &w->m->conf;
    cleanup_buf buf_t in = BUF_INIT;
    char path[4096];
    json_t *p = json_bytes_new(secret_bytes(c->admin_password), secret_len(c->admin_password));
    json_t *o = json_pack("{s:s,s:o}", "user", c->admin_user, "password", p);
    char *text = json_dumps(o, JSON_COMPACT);
    buf_str(&in, text ? text : "");
    if (text) secret_wipe(text, strlen(text));
    free(text);
    json_decref(o);
    snprintf(path, sizeof path, "%s/set-password.php", c->template_dir);
    return SCRIPT(w, "install", buf_cstr(&in), true, err, path, c->code_dir);
}

static int install(work_t *w, err_t *err)
{
    lead_t *m = w->m;
    if (m->out.verdict == DECIDE_CLEAN_INSTALL && lead_drop_tables(m, err) < 0) return -1;
    w->progress.core = tree_count_tables(m->conf.code_dir);
    w->progress.total = tree_count_plugins(m->conf.code_dir) + 1 + w->progress.core;
    if (begin(w, "install", err) < 0 || install_script(w, err) < 0) return -1;
    if (ended_well(w) && install_password(w, err) < 0) return -1;
    if (ended_well(w) && w->why.id == ERR_NONE && prove(w, err) < 0) return -1;
    return record(w, err);
}

/* ---- upgrade ---- */

/* upgrade.php of 4.2 and later knows the question; any other answer than "no outage needed" means an outage. */
static int live_possible(work_t *w, bool *ret, err_t *err)
{
    if (SCRIPT(w, "upgrade", NULL, false, err, "admin/cli/upgrade.php", "--is-maintenance-required") < 0)
        return -1;
    *ret = w->result.end == JOB_EXITED && w->result.code == LIVE_POSSIBLE;
    return 0;
}

/* --maintenance=false would be taken as true by Moodle's option parser (lib/clilib.php); it purges no caches. */
static int upgrade_live(work_t *w, err_t *err)
{
    if (begin(w, "upgrade-live", err) < 0) return -1;
    if (SCRIPT(w, "upgrade", NULL, true, err, "admin/cli/upgrade.php", "--maintenance=0",
               "--non-interactive") < 0)
        return -1;
    if (ended_well(w) && SCRIPT(w, "upgrade", NULL, true, err, "admin/cli/purge_caches.php") < 0) return -1;
    return 0;
}

static int flag_on(work_t *w, err_t *err)
{
    flag_t f;
    const lead_conf_t *c = &w->m->conf;
    if (flag_read(c->data_dir, &f, err) < 0) return -1;
    w->flag_fresh = f.kind == FLAG_NONE;
    if (f.kind != FLAG_NONE && f.kind != FLAG_UPGRADE) {
        log_notice("maintenance mode is on already, and not by an upgrade: it stays on afterwards");
        return 0;
    }
    bool root = geteuid() == 0;
    return flag_write(c->data_dir, FLAG_UPGRADE, c->member,
                      "The site is being upgraded. It will be back soon.", root ? c->web_uid : (uid_t)-1,
                      root ? c->web_gid : (gid_t)-1, err);
}

/* The mark stays when the database is between two versions: nobody could be served, and visitors should not see errors. A
 * mark that cannot be removed now is found by the next look at the state. */
static int flag_off(work_t *w, err_t *err)
{
    lead_t *m = w->m;
    schema_t s;
    flag_t f;
    err_t e = {0};
    if (schema_read(m->lease.db, m->lease.times.statement, &s, err) < 0) return -1;
    bool whole = s.version == m->in.code_version && strcmp(s.hash, m->conf.code_hash) == 0;
    bool untouched =
        w->flag_fresh && s.version == m->in.schema.version && strcmp(s.hash, m->in.schema.hash) == 0;
    if (!whole && !untouched) return 0;
    if (flag_read(m->conf.data_dir, &f, &e) < 0 ||
        (f.kind == FLAG_UPGRADE && flag_remove(m->conf.data_dir, &e) < 0))
        log_err(LOG_WARN_, &e);
    return 0;
}

static int upgrade_outage(work_t *w, err_t *err)
{
    lead_t *m = w->m;
    if (begin(w, "upgrade", err) < 0) return -1;
    if (flag_on(w, &w->why) < 0) {
        w->interrupted = true;
        return 0;
    }
    uint64_t until = clock_ms() + m->conf.outage_wait_ms;
    if (lead_cron_take(m, &w->why) < 0) {
        if (!m->lease.db) {
            *err = w->why;
            return -1;
        }
        w->interrupted = true; /* Moodle's upgrade did not even start */
        return flag_off(w, err);
    }
    uint64_t now = clock_ms();
    if (now < until && lead_beats_for(m, until - now, err) < 0) return -1;
    if (role_stop_requested()) {
        w->interrupted = true;
        err_set(&w->why, ERR_JOB_FAILED, "stopped before it began");
    } else if (SCRIPT(w, "upgrade", NULL, true, err, "admin/cli/upgrade.php", "--non-interactive") < 0) {
        return -1;
    }
    return 0;
}

static int upgrade(work_t *w, err_t *err)
{
    lead_t *m = w->m;
    bool live = false;
    w->progress.total = tree_count_plugins(m->conf.code_dir) + 1;
    if (live_possible(w, &live, err) < 0) return -1;
    w->result = (job_result_t){.end = JOB_NOT_STARTED};
    w->interrupted = false;
    if ((live ? upgrade_live(w, err) : upgrade_outage(w, err)) < 0) return -1;
    if (ended_well(w) && w->why.id == ERR_NONE && prove(w, err) < 0) return -1;
    if (!live && flag_off(w, err) < 0) return -1;
    lead_cron_give(m);
    return record(w, err);
}

int lead_work(lead_t *m, err_t *err)
{
    work_t w = {.m = m, .progress = {.by = m->conf.member}};
    return m->out.verdict == DECIDE_UPGRADE ? upgrade(&w, err) : install(&w, err);
}

int lead_finish_upgrade(lead_t *m, err_t *err)
{
    work_t w = {.m = m,
                .action = "finish",
                .progress = {.by = m->conf.member, .phase = "upgrade", .started_ms = clock_ms()}};
    char path[4096], words[300];
    snprintf(path, sizeof path, "%s/finish-upgrade.php", m->conf.template_dir);
    log_notice("the last steps of an upgrade that was killed are done again");
    if (SCRIPT(&w, "upgrade", NULL, true, err, path, m->conf.code_dir) < 0) return -1;
    if (!ended_well(&w))
        log_write(LOG_WARN_, ERR_JOB_FAILED, "finish-upgrade.php: %s",
                  job_result_words(&w.result, words, sizeof words));
    return 0;
}
