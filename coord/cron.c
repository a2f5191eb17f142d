/* The cron role: contends for the lease, and while it has it runs one admin/cli/cron.php after another. The adhoc role does the
 * same with admin/cli/adhoc_task.php and one of the places for runners, on members that do not run cron. */
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/role.h"
#include "coord/cron_adhoc.h"
#include "coord/cron_health.h"
#include "coord/cron_prune.h"
#include "coord/flag.h"
#include "coord/history.h"
#include "coord/job.h"
#include "coord/job_line.h"
#include "coord/lease.h"
#include "coord/moodle_version.h"
#include "coord/roles.h"
#include "coord/schema.h"
#include "coord/watch.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IDLE_MS = 1000, SOON_MS = 2000, BACKOFF_MAX_MS = 60000, TOO_SHORT_MS = 2000, HEALTH_POLLS = 3 };

typedef struct cron {
    bool runner; /* of ad-hoc tasks; else cron itself */
    purpose_t purpose;
    char *run_dir;
    lead_conf_t conf;
    target_t target;
    char holder[129];
    lease_t lease;
    lease_busy_t busy;
    watch_t watch;      /* while standing by */
    bool run_now, soon; /* soon: the row was released, somebody else just holds the lock for a moment */
    bool ended;         /* a run has, and that is not told yet */
    bool passed;        /* cron.php has said that it has done its work, and that is not noted yet */
    uint64_t health_ms;
    int failures, last_exit;
    char said[160]; /* why nothing runs; told when it changes */
} cron_t;

static bool stop(void) { return role_stop_requested() != 0; }

static const char *what(const cron_t *c) { return c->runner ? "ad-hoc runner" : "cron"; }

static void tell(cron_t *c, bool holder, bool running)
{
    json_t *e;
    if (c->runner)
        e = json_pack("{s:s,s:i,s:b}", "event", "adhoc", "runner",
                      holder ? (int)(c->purpose - PURPOSE_ADHOC) + 1 : 0, "running", running);
    else
        e = json_pack("{s:s,s:b,s:b}", "event", "cron", "holder", holder, "running", running);
    if (c->ended) json_object_set_new(e, "last_exit", json_integer(c->last_exit));
    c->ended = false;
    role_emit(e);
}

static void say(cron_t *c, const char *why)
{
    if (strcmp(c->said, why) == 0) return;
    snprintf(c->said, sizeof c->said, "%s", why);
    if (*why) log_info("%s: %s", what(c), why);
}

static bool command(void *arg, const char *cmd)
{
    cron_t *c = arg;
    if (strcmp(cmd, "run-now") != 0) return false;
    c->run_now = true;
    return true;
}

/* Up to `ms`; ends at once for run-now or a stop. */
static void cron_pause(cron_t *c, uint64_t ms)
{
    char *cmd = NULL;
    uint64_t until = clock_ms() + ms, now;
    while (!c->run_now && (now = clock_ms()) < until) {
        int r = role_wait(-1, until - now, &cmd);
        if (r < 0) return;
        if (r != 1) continue;
        if (!command(c, cmd)) log_warn("unknown command \"%s\"", cmd);
        free(cmd);
    }
}

static int settings_read(cron_t *c, err_t *err)
{
    lead_conf_free(&c->conf);
    target_free(&c->target);
    if (lead_conf_load(c->run_dir, &c->conf, err) < 0 || target_load(c->run_dir, &c->target, err) < 0)
        return -1;
    if (!*c->holder) lease_holder_make(c->conf.member, c->holder, sizeof c->holder);
    lease_init(&c->lease, c->purpose, c->target.db.prefix, c->holder, c->conf.lease_scale);
    return 0;
}

/* Cron's member is told by its row: the part of the holder before '#' (lease_holder_make). */
static const char *runner_obstacle(const cron_t *c, err_t *err)
{
    const lease_t *l = &c->lease;
    lease_row_t cron;
    if ((int)(c->purpose - PURPOSE_ADHOC) >= c->conf.adhoc_runners) return "no runners are wanted";
    if (lease_row_read(l->db, l->times.statement, l->prefix, PURPOSE_CRON, &cron, err) < 0)
        return "the database does not answer";
    size_t n = strcspn(c->holder, "#");
    bool here = strncmp(cron.holder, c->holder, n + 1) == 0;
    return here && !lease_row_is_free(&cron, &l->times) ? "cron runs on this member" : NULL;
}

/* Beside a job, looks that have become slow give way to the heartbeat that is due. */
static bool too_slow(const lease_t *l, err_t *err)
{
    if (!l->published || clock_ms() < l->beat_ms + l->times.heartbeat + l->times.heartbeat / 4) return false;
    err_set(err, ERR_DB_TIMEOUT, "the database is slow");
    return true;
}

/* NULL: cron may run. Everything else is a state, no failure: cron.php would only say exit status 1. */
static const char *obstacle(cron_t *c, err_t *err)
{
    lease_t *l = &c->lease;
    lease_row_t deploy;
    schema_t s;
    flag_t f;
    int64_t own = 0;
    if (flag_read(c->conf.data_dir, &f, err) < 0) return "moodledata cannot be read";
    if (f.kind != FLAG_NONE) return "maintenance mode is on";
    if (lease_row_read(l->db, l->times.statement, l->prefix, PURPOSE_DEPLOY, &deploy, err) < 0)
        return "the database does not answer";
    if (strcmp(deploy.phase, "running") == 0 && strcmp(deploy.action, "upgrade-live") != 0 &&
        deploy.age_ms < (int64_t)l->times.evict)
        return "another member installs or upgrades";
    if (too_slow(l, err) || schema_read(l->db, l->times.statement, &s, err) < 0)
        return "the database does not answer";
    if (s.kind != SCHEMA_INSTALLED) return "the site is not installed";
    if (!moodle_version_parse(c->conf.code_version, &own) || own != s.version ||
        strcmp(s.hash, c->conf.code_hash) != 0)
        return "the database does not fit this code";
    if (s.upgrade_flag) return "Moodle says that an upgrade runs";
    return c->runner ? runner_obstacle(c, err) : NULL;
}

/* ---- how cron does ---- */

/* Whatever fails here is no reason to stop cron: the heartbeats will tell. */
static void health_look(cron_t *c)
{
    cron_health_t h;
    bool report = false;
    uint64_t now = clock_ms();
    if (c->runner || !c->lease.db || db_is_lost(c->lease.db) ||
        (c->health_ms && now < c->health_ms + c->lease.times.cron_poll))
        return;
    c->health_ms = now;
    if (c->passed && c->lease.epoch && cron_health_mark(&c->lease, NULL) == 0) c->passed = false;
    if (cron_health_look(&c->lease, &h, &report, NULL) < 0 || !h.known) return;
    role_emit(
        json_pack("{s:s,s:I,s:s}", "event", "cron-success", "age_ms", (json_int_t)h.age_ms, "by", h.holder));
    if (report) cron_health_report(&h);
}

static void line(void *arg, const char *text)
{
    cron_t *c = arg;
    if (strncmp(text, JOB_LINE_CRON_PASS, strlen(JOB_LINE_CRON_PASS)) == 0) c->passed = true;
}

static void stuck(void *arg)
{
    cron_t *c = arg;
    char host[65] = "", tasks[400];
    gethostname(host, sizeof host - 1);
    cron_health_tasks(&c->lease, host, tasks, sizeof tasks);
    log_write(LOG_ERROR_, ERR_CRON_STUCK, "%s wrote nothing for %llu s and is ended; its tasks: %s", what(c),
              (unsigned long long)c->conf.cron_stuck_ms / 1000, *tasks ? tasks : "none");
}

static bool leave(void *arg)
{
    cron_t *c = arg;
    err_t err = {0};
    if (!c->lease.db || db_is_lost(c->lease.db)) return false;
    health_look(c);
    if (too_slow(&c->lease, &err)) return false;
    const char *why = obstacle(c, &err);
    if (!why || err.id) return false; /* a database that does not answer is the heartbeat's business */
    say(c, why);
    return true;
}

/* ---- holding ---- */

/* `whole`: run-now does not shorten it (the grace). */
static int beats_for(cron_t *c, uint64_t ms, bool whole, err_t *err)
{
    uint64_t until = clock_ms() + ms, now;
    bool hurry = false;
    int rc;
    for (;;) {
        if (c->lease.db) db_idle_ok(c->lease.db);
        rc = job_lease_keep(&c->lease, c->run_dir, "", err);
        if (whole && c->run_now) hurry = true;
        if (whole) c->run_now = false;
        now = clock_ms();
        if (rc < 0 || now >= until || stop() || c->run_now) break;
        cron_pause(c, until - now < IDLE_MS ? until - now : IDLE_MS);
    }
    c->run_now = c->run_now || hurry;
    return rc;
}

static int take_over(cron_t *c, err_t *err)
{
    lease_t *l = &c->lease;
    char host[65] = "";
    if (lease_claim(l, err) < 0) return -1;
    uint64_t left = lease_grace_left(l, clock_ms());
    if (left)
        log_notice("%s: waiting %llu ms until nothing of the last %s can run", lease_grace_why(l),
                   (unsigned long long)left, what(c));
    if (beats_for(c, left, true, err) < 0) return -1;
    if (stop()) return 0;
    uint64_t until = clock_ms() + l->times.evict_total;
    int gone;
    while ((gone = lease_evict_work(l, err)) == 0 && clock_ms() < until && !stop())
        if (beats_for(c, 200, true, err) < 0) return -1;
    if (gone == 0 && stop()) return 0;
    if (gone <= 0)
        return gone < 0 ? -1 : err_set(err, ERR_OLD_SESSION, "the last %s's session did not end", what(c));
    if (cron_adhoc_free(l, err) < 0) return -1; /* reads the unfinished runs, so before they are settled */
    if (lease_settle(l, 0, err) < 0) return -1;
    gethostname(host, sizeof host - 1);
    const char *action = c->runner ? "adhoc" : "cron";
    return lease_start(l, action, action, host, err);
}

static int run_once(cron_t *c, err_t *err)
{
    char keep[40], words[300];
    job_result_t r;
    snprintf(keep, sizeof keep, "--keep-alive=%d", c->conf.cron_keepalive_s);
    const char *const cron_args[] = {"admin/cli/cron.php", keep, NULL}, *const adhoc_args[] = {
                                                                            "admin/cli/adhoc_task.php",
                                                                            "--execute", keep, NULL};
    job_spec_t spec = {.src = c->runner ? "adhoc" : "cron",
                       .args = c->runner ? adhoc_args : cron_args,
                       .silence_ms = c->conf.cron_stuck_ms,
                       .stuck = stuck,
                       .line = line,
                       .lease = &c->lease,
                       .conf = &c->conf,
                       .run_dir = c->run_dir,
                       .second_term = true,
                       .leave = leave,
                       .command = command,
                       .arg = c};
    uint64_t began = clock_ms();
    c->run_now = false;
    tell(c, true, true);
    int rc = job_run(&spec, &r, err);
    c->last_exit = r.code;
    c->ended = true;
    tell(c, rc == 0, false);
    if (rc < 0) return -1;
    bool bad = r.end != JOB_EXITED || (r.code != 0 && !r.stopped) || r.stuck;
    if (bad && c->lease.db && obstacle(c, NULL)) return 0; /* it came up just after we looked */
    if (bad) {
        log_write(LOG_WARN_, r.out_of_memory ? ERR_JOB_MEMORY : ERR_CRON_FAILED, "%s: %s", spec.args[0] + 10,
                  job_result_words(&r, words, sizeof words));
        if (c->lease.db && !db_is_lost(c->lease.db)) cron_adhoc_crashed(&c->lease);
    }
    if (!bad && !r.stopped) c->passed = true; /* a Moodle without keep-alive says so by its end only */
    health_look(c);
    c->failures = bad ? c->failures + 1 : 0;
    uint64_t took = clock_ms() - began, rest = bad ? 1000ULL << (c->failures < 6 ? c->failures : 6)
                                               : took < TOO_SHORT_MS ? IDLE_MS
                                                                     : 0;
    return beats_for(c, rest < BACKOFF_MAX_MS ? rest : BACKOFF_MAX_MS, false, err);
}

static void hand_over(cron_t *c)
{
    err_t err = {0};
    if (lease_end(&c->lease, "ok", c->last_exit, "", 0, &err) < 0 || lease_release(&c->lease, &err) < 0)
        log_err(LOG_WARN_, &err);
    log_notice("%s handed over", what(c));
}

/* Holds the lease until a stop, an obstacle or a loss. */
static int hold(cron_t *c, err_t *err)
{
    if (take_over(c, err) < 0) return -1;
    if (stop()) return 0; /* the grace was not over: the row stays unreleased, for the next one */
    log_notice("%s runs here, epoch %lld", what(c), (long long)c->lease.epoch);
    tell(c, true, false);
    if (!c->runner && !obstacle(c, err) && cron_prune(&c->lease, &c->conf, c->run_dir, err) < 0) return -1;
    while (!stop()) {
        if (err->id) return -1;
        const char *why = obstacle(c, err);
        if (err->id) return -1;
        say(c, why ? why : "");
        if (why) break;
        if (run_once(c, err) < 0) return -1;
    }
    hand_over(c);
    return 0;
}

/* The first place that looks free; the session is opened anew for its locks. */
static int place_find(cron_t *c, err_t *err)
{
    lease_t *l = &c->lease;
    lease_row_t row;
    for (int i = 0; i < c->conf.adhoc_runners; i++) {
        purpose_t p = (purpose_t)(PURPOSE_ADHOC + i);
        if (lease_row_read(l->db, l->times.statement, l->prefix, p, &row, err) < 0) return -1;
        if (!lease_row_is_free(&row, &l->times)) continue;
        if (p == c->purpose) return 0;
        c->purpose = p;
        lease_close(l);
        lease_init(l, p, c->target.db.prefix, c->holder, c->conf.lease_scale);
        return lease_open(l, &c->target.db, err);
    }
    return 0; /* none: the lock is tried for nothing */
}

static bool row_is_released(const lease_row_t *row)
{
    return !row->exists || strcmp(row->phase, "released") == 0;
}

/* In the session kept from the last look: the lock is still somebody's who works. Got: given up with this session, for only
 * a new one may lead. What may be in the way of cron is asked then. */
static bool stand_by(cron_t *c)
{
    lease_t *l = &c->lease;
    lease_row_t row;
    bool got = true;
    if (!watch_is_kept(&c->watch, l)) return false;
    if (clock_ms() >= c->health_ms + HEALTH_POLLS * l->times.cron_poll) health_look(c);
    if (lease_row_read(l->db, l->times.statement, l->prefix, c->purpose, &row, NULL) < 0 ||
        row_is_released(&row) || lease_is_stale(l, &c->busy, &row, clock_ms()))
        return false;
    return lease_try(l, &got, NULL) == 0 && !got;
}

/* In a fresh session. -1: `err`. */
static int contend_open(cron_t *c, err_t *err)
{
    lease_t *l = &c->lease;
    lease_row_t row;
    bool got = false;
    health_look(c);
    const char *why = obstacle(c, err);
    if (err->id) return -1;
    say(c, why ? why : "");
    if (why) return 0;
    if (c->runner && place_find(c, err) < 0) return -1;
    if (lease_row_read(l->db, l->times.statement, l->prefix, c->purpose, &row, err) < 0) return -1;
    if (lease_is_stale(l, &c->busy, &row, clock_ms()) && lease_evict_lead(l, err) < 0) return -1;
    if (lease_try(l, &got, err) < 0) return -1;
    if (!got) {
        c->soon = row_is_released(&row);
        if (!c->soon && !c->runner) watch_keep(&c->watch, l, l->times.cron_poll);
        return 0;
    }
    int rc = hold(c, err);
    tell(c, false, false);
    return rc;
}

static void contend(cron_t *c)
{
    err_t err = {0};
    c->soon = false;
    if (stand_by(c)) return;
    c->watch.until_ms = 0;
    lease_close(&c->lease);
    if ((settings_read(c, &err) < 0 || lease_open(&c->lease, &c->target.db, &err) < 0 ||
         contend_open(c, &err) < 0) &&
        strcmp(c->said, err.msg) != 0) {
        log_err(LOG_WARN_, &err);
        snprintf(c->said, sizeof c->said, "%.150s", err.msg);
    }
    if (!c->watch.until_ms) lease_close(&c->lease);
    c->lease.epoch = 0;
}

static int role(cron_t c, int argc, char **argv)
{
    c.run_dir = target_run_dir(&argc, argv);
    role_begin();
    db_resolver_limit();
    err_t err = {0};
    if (settings_read(&c, &err) < 0) {
        log_err(LOG_ERROR_, &err);
        return err_status(err.id);
    }
    tell(&c, false, false);
    uint64_t poll = c.lease.times.cron_poll;
    cron_pause(&c, clock_jitter_ms(c.runner ? SOON_MS : IDLE_MS)); /* cron finds its member first */
    while (!stop()) {
        c.run_now = false;
        contend(&c);
        if (!stop()) cron_pause(&c, clock_jitter_ms(c.soon ? SOON_MS : poll));
    }
    lease_close(&c.lease);
    lead_conf_free(&c.conf);
    target_free(&c.target);
    free(c.run_dir);
    return EXIT_OK;
}

int coord_cron_main(int argc, char **argv) { return role((cron_t){.purpose = PURPOSE_CRON}, argc, argv); }

int coord_adhoc_main(int argc, char **argv)
{
    return role((cron_t){.runner = true, .purpose = PURPOSE_ADHOC}, argc, argv);
}
