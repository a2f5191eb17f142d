/* plan, probe: one look, one answer. */
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
        return look_failed(&err, json);
    }
    decide_out_t d = decide(&k.in);
    int moodle = upgrade_pending(&k) ? look_ask_moodle(&k, dir) : 0,
        status = plan_status(&d, upgrade_pending(&k), moodle);
    if (json)
        look_print(json_pack("{s:b,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s*,s:i}", "ok", 1, "from",
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

/* ---- probe ---- */

int coord_probe_main(int argc, char **argv)
{
    look_t k;
    err_t err = {0}, redis = {0};
    cleanup_free char *dir = target_run_dir(&argc, argv);
    int rc = look_open(&k, dir, &err);
    if (k.target.redis.present) redis_probe(&k.target.redis, REDIS_LIMIT_MS, &redis);
    look_print(json_pack("{s:b,s:{s:b,s:s,s:s},s:{s:b,s:b,s:s,s:s}}", "ok", rc == 0 && !redis.id, "database",
                         "ok", rc == 0, "id", err.id ? err_name(err.id) : "", "msg", err.msg, "redis", "used",
                         k.target.redis.present, "ok", !redis.id, "id", redis.id ? err_name(redis.id) : "",
                         "msg", redis.msg));
    look_close(&k);
    if (rc < 0) return err_status(err.id);
    return redis.id ? err_status(redis.id) : EXIT_OK;
}
