/* plan, cron-status, probe: one look, one answer. */
#include "base/fd.h"
#include "base/log.h"
#include "coord/decide.h"
#include "coord/flag.h"
#include "coord/history.h"
#include "coord/look.h"
#include "coord/moodle_version.h"
#include "coord/redis_probe.h"
#include "coord/roles.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_LIMIT_MS = 4000 };

static int print_json(json_t *o)
{
    char *s = json_dumps(o, JSON_COMPACT);
    printf("%s\n", s ? s : "{}");
    free(s);
    json_decref(o);
    return 0;
}

static int failed(const err_t *err, bool json)
{
    if (json)
        print_json(json_pack("{s:b,s:s,s:s}", "ok", 0, "id", err_name(err->id), "msg", err->msg));
    else
        log_err(LOG_ERROR_, err);
    return err_status(err->id);
}

/* ---- plan ---- */

static int plan_status(const decide_out_t *d, bool pending, int moodle)
{
    if (d->verdict == DECIDE_CURRENT || d->verdict == DECIDE_FINISH) return EXIT_OK;
    if (d->verdict == DECIDE_HOLD && d->id != ERR_UPGRADE_MANUAL && d->id != ERR_BLOCKED)
        return err_status(d->id);
    if (d->verdict == DECIDE_WAIT && !pending) return EXIT_TEMPFAIL;
    return moodle == EXIT_PENDING_NO_OUTAGE ? EXIT_PENDING_NO_OUTAGE : EXIT_PENDING_OUTAGE;
}

static bool upgrade_pending(const look_t *k)
{
    const schema_t *s = &k->in.schema;
    return s->kind == SCHEMA_INSTALLED &&
           (s->version < k->in.code_version ||
            (s->version == k->in.code_version && strcmp(s->hash, k->conf.code_hash) != 0));
}

static void plan_text(const look_t *k, const decide_out_t *d, int moodle)
{
    const schema_t *s = &k->in.schema;
    printf("database: %s%s%s\n",
           s->kind == SCHEMA_EMPTY ? "empty"
           : *s->version_text      ? s->version_text
                                   : "half installed",
           *s->release ? ", " : "", s->release);
    printf("code:     %s%s%s\n", k->conf.code_version, *k->conf.code_release ? ", " : "",
           k->conf.code_release);
    printf("next:     %s (%s)%s%s\n", decide_name(d->verdict), d->why, d->id ? " " : "",
           d->id ? err_name(d->id) : "");
    if (!upgrade_pending(k)) return;
    if (moodle == EXIT_PENDING_NO_OUTAGE)
        printf("outage:   none: Moodle offers its outage-less upgrade\n");
    else if (moodle == EXIT_PENDING_OUTAGE)
        printf("outage:   needed, says Moodle\n");
    else
        printf("outage:   assumed; Moodle did not say (exit status %d)\n", moodle);
}

int coord_plan_main(int argc, char **argv)
{
    look_t k;
    err_t err = {0};
    bool json = look_flag(&argc, argv, "--json");
    cleanup_free char *dir = target_run_dir(&argc, argv);
    if (look_open(&k, dir, &err) < 0 || look_state(&k, &err) < 0) {
        look_close(&k);
        return failed(&err, json);
    }
    decide_out_t d = decide(&k.in);
    int moodle = upgrade_pending(&k) ? look_ask_moodle(&k, dir) : 0,
        status = plan_status(&d, upgrade_pending(&k), moodle);
    if (json)
        print_json(json_pack("{s:b,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s*,s:i}", "ok", 1, "from",
                             k.in.schema.version_text, "from_release", k.in.schema.release, "to",
                             k.conf.code_version, "to_release", k.conf.code_release, "verdict",
                             decide_name(d.verdict), "why", d.why, "id", d.id ? err_name(d.id) : "",
                             "pending", upgrade_pending(&k), "outage",
                             !upgrade_pending(&k)               ? NULL
                             : moodle == EXIT_PENDING_NO_OUTAGE ? "none"
                                                                : "needed",
                             "status", status));
    else
        plan_text(&k, &d, moodle);
    look_close(&k);
    return status;
}

/* ---- cron-status ---- */

int coord_cron_status_main(int argc, char **argv)
{
    look_t k;
    lease_row_t r;
    err_t err = {0};
    bool json = look_flag(&argc, argv, "--json");
    cleanup_free char *dir = target_run_dir(&argc, argv);
    if (look_open(&k, dir, &err) < 0 ||
        lease_row_read(k.db, k.times.statement, k.target.db.prefix, PURPOSE_CRON, &r, &err) < 0) {
        look_close(&k);
        return failed(&err, json);
    }
    bool alive = r.exists && strcmp(r.phase, "released") != 0 && r.age_ms < (int64_t)k.times.evict;
    char member[129];
    snprintf(member, sizeof member, "%.*s", (int)strcspn(r.holder, "#"), r.holder);
    if (json)
        print_json(json_pack("{s:b,s:b,s:s,s:s,s:I,s:I,s:I,s:s}", "ok", 1, "alive", alive, "holder", member,
                             "phase", r.phase, "epoch", (json_int_t)r.epoch, "age_ms",
                             (json_int_t)(r.exists ? r.age_ms : 0), "elapsed_ms", (json_int_t)r.elapsed_ms,
                             "result", r.result));
    else if (!r.exists)
        printf("No cron has run in this cluster.\n");
    else
        printf("%s: member %s, %s, epoch %lld, last sign of life %.1f s ago, last result %s\n",
               alive ? "cron runs" : "no cron runs", member, r.phase, (long long)r.epoch,
               (double)r.age_ms / 1000, *r.result ? r.result : "none");
    look_close(&k);
    return EXIT_OK;
}

/* ---- probe ---- */

int coord_probe_main(int argc, char **argv)
{
    look_t k;
    err_t err = {0}, redis = {0};
    cleanup_free char *dir = target_run_dir(&argc, argv);
    int rc = look_open(&k, dir, &err);
    if (k.target.redis.present) redis_probe(&k.target.redis, REDIS_LIMIT_MS, &redis);
    print_json(json_pack("{s:b,s:{s:b,s:s,s:s},s:{s:b,s:b,s:s,s:s}}", "ok", rc == 0 && !redis.id, "database",
                         "ok", rc == 0, "id", err.id ? err_name(err.id) : "", "msg", err.msg, "redis", "used",
                         k.target.redis.present, "ok", !redis.id, "id", redis.id ? err_name(redis.id) : "",
                         "msg", redis.msg));
    look_close(&k);
    if (rc < 0) return err_status(err.id);
    return redis.id ? err_status(redis.id) : EXIT_OK;
}
