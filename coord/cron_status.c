/* cron-status: who runs cron and the ad-hoc runners, and when cron last did its work. */
#include "base/fd.h"
#include "base/log.h"
#include "coord/cron_health.h"
#include "coord/look.h"
#include "coord/roles.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct cron_look {
    lease_row_t cron, runners[ADHOC_RUNNERS_MAX];
    cron_health_t health;
} cron_look_t;

static int look_all(look_t *k, cron_look_t *ret, err_t *err)
{
    uint64_t limit = k->times.statement;
    const char *prefix = k->target.db.prefix;
    if (lease_row_read(k->db, limit, prefix, PURPOSE_CRON, &ret->cron, err) < 0) return -1;
    for (int i = 0; i < ADHOC_RUNNERS_MAX; i++)
        if (lease_row_read(k->db, limit, prefix, (purpose_t)(PURPOSE_ADHOC + i), &ret->runners[i], err) < 0)
            return -1;
    return cron_health_read(k->db, limit, prefix, &ret->health, err);
}

static const char *member_of(const lease_row_t *r, char buf[129])
{
    snprintf(buf, 129, "%.*s", (int)strcspn(r->holder, "#"), r->holder);
    return buf;
}

static bool is_late(const cron_health_t *h) { return h->known && h->age_ms >= CRON_LATE_MS; }

static json_t *as_json(const look_t *k, const cron_look_t *c)
{
    char member[129];
    const lease_row_t *r = &c->cron;
    json_t *runners = json_array();
    for (int i = 0; i < ADHOC_RUNNERS_MAX; i++)
        if (!lease_row_is_free(&c->runners[i], &k->times))
            json_array_append_new(runners, json_pack("{s:i,s:s}", "runner", i + 1, "holder",
                                                     member_of(&c->runners[i], member)));
    json_t *o = json_pack("{s:b,s:b,s:s,s:s,s:I,s:I,s:I,s:s,s:b,s:o}", "ok", 1, "alive",
                          !lease_row_is_free(r, &k->times), "holder", member_of(r, member), "phase", r->phase,
                          "epoch", (json_int_t)r->epoch, "age_ms", (json_int_t)(r->exists ? r->age_ms : 0),
                          "elapsed_ms", (json_int_t)r->elapsed_ms, "result", r->result, "late",
                          is_late(&c->health), "adhoc_runners", runners);
    if (c->health.known && *c->health.holder)
        json_object_set_new(o, "success_age_ms", json_integer((json_int_t)c->health.age_ms));
    return o;
}

static void as_text(const look_t *k, const cron_look_t *c)
{
    char member[129];
    const lease_row_t *r = &c->cron;
    if (!r->exists)
        printf("No cron has run in this cluster.\n");
    else
        printf("%s: member %s, %s, epoch %lld, last sign of life %.1f s ago, last result %s\n",
               lease_row_is_free(r, &k->times) ? "no cron runs" : "cron runs", member_of(r, member), r->phase,
               (long long)r->epoch, (double)r->age_ms / 1000, *r->result ? r->result : "none");
    if (c->health.known)
        printf("last success: %s%.1f s%s%s%s\n", *c->health.holder ? "" : "none in the last ",
               (double)c->health.age_ms / 1000, *c->health.holder ? " ago, on " : "", c->health.holder,
               is_late(&c->health) ? ": late (E-CRON-LATE)" : "");
    for (int i = 0; i < ADHOC_RUNNERS_MAX; i++)
        if (!lease_row_is_free(&c->runners[i], &k->times))
            printf("ad-hoc runner %d: member %s\n", i + 1, member_of(&c->runners[i], member));
}

int coord_cron_status_main(int argc, char **argv)
{
    look_t k;
    cron_look_t c = {0};
    err_t err = {0};
    bool json = look_flag(&argc, argv, "--json");
    cleanup_free char *dir = target_run_dir(&argc, argv);
    if (look_open(&k, dir, &err) < 0 || look_all(&k, &c, &err) < 0) {
        look_close(&k);
        return look_failed(&err, json);
    }
    if (json)
        look_print(as_json(&k, &c));
    else
        as_text(&k, &c);
    look_close(&k);
    return is_late(&c.health) ? EXIT_DIFFERENT : EXIT_OK;
}
