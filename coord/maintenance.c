/* maintenance on|off|status: one file, so it works while the database is down. */
#include "base/fd.h"
#include "base/log.h"
#include "coord/flag.h"
#include "coord/roles.h"
#include "coord/target.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct maint_args {
    const char *verb, *message, *by;
    bool json;
} maint_args_t;

static const char *const KINDS[] = {
    [FLAG_NONE] = "off",
    [FLAG_UPGRADE] = "upgrade",
    [FLAG_OPERATOR] = "operator",
    [FLAG_FOREIGN] = "foreign",
};

static int args_read(int argc, char **argv, maint_args_t *a)
{
    *a = (maint_args_t){.verb = "status", .message = "", .by = ""};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            a->json = true;
        else if (strcmp(argv[i], "--message") == 0 && i + 1 < argc)
            a->message = argv[++i];
        else if (strcmp(argv[i], "--by") == 0 && i + 1 < argc)
            a->by = argv[++i];
        else if (argv[i][0] != '-')
            a->verb = argv[i];
        else
            return -1;
    }
    bool known = strcmp(a->verb, "on") == 0 || strcmp(a->verb, "off") == 0 || strcmp(a->verb, "status") == 0;
    return known ? 0 : -1;
}

static void say(const maint_args_t *a, const flag_t *f, bool changed, const char *sentence)
{
    if (!a->json) {
        printf("%s\n", sentence);
        return;
    }
    json_t *o = json_pack("{s:b,s:s,s:b,s:s,s:s,s:s,s:s}", "maintenance", f->kind != FLAG_NONE, "kind",
                          KINDS[f->kind], "changed", changed, "who", f->who, "when", f->when, "message",
                          f->message, "text", sentence);
    char *s = json_dumps(o, JSON_COMPACT);
    printf("%s\n", s ? s : "{}");
    free_cleanup(&s);
    json_decref(o);
}

static void sentence_of(const flag_t *f, char *buf, size_t size)
{
    switch (f->kind) {
    case FLAG_NONE:
        snprintf(buf, size, "Maintenance mode is off.");
        break;
    case FLAG_UPGRADE:
        snprintf(buf, size, "Maintenance mode is on: %s upgrades since %s.", f->who, f->when);
        break;
    case FLAG_OPERATOR:
        snprintf(buf, size, "Maintenance mode is on since %s, by %s%s%s.", f->when, f->who,
                 *f->message ? ": " : "", f->message);
        break;
    case FLAG_FOREIGN:
        snprintf(buf, size, "Maintenance mode is on; the mark is not moodlectl's.");
        break;
    }
}

static int turn_on(const maint_args_t *a, const lead_conf_t *c, flag_t *f, char *buf, size_t size, err_t *err)
{
    char who[100];
    snprintf(who, sizeof who, "%.60s%s%s", *a->by ? a->by : "moodlectl maintenance on", " at ", c->member);
    uid_t uid = geteuid() == 0 ? c->web_uid : (uid_t)-1;
    gid_t gid = geteuid() == 0 ? c->web_gid : (gid_t)-1;
    if (flag_write(c->data_dir, FLAG_OPERATOR, who, a->message, uid, gid, err) < 0) return -1;
    if (flag_read(c->data_dir, f, err) < 0) return -1;
    snprintf(buf, size,
             "Maintenance mode is on: every member answers 503 within a moment, administrators too.");
    return 0;
}

static int turn_off(const lead_conf_t *c, flag_t *f, char *buf, size_t size, err_t *err)
{
    char was[500];
    sentence_of(f, was, sizeof was);
    if (flag_remove(c->data_dir, err) < 0) return -1;
    if (f->kind == FLAG_NONE)
        snprintf(buf, size, "Maintenance mode was off already.");
    else if (f->kind == FLAG_UPGRADE)
        snprintf(buf, size,
                 "Maintenance mode is off. Careful: an upgrade's own mark was removed; it was: %.300s", was);
    else
        snprintf(buf, size, "Maintenance mode is off. It was: %.400s", was);
    return 0;
}

int coord_maintenance_main(int argc, char **argv)
{
    err_t err = {0};
    maint_args_t a;
    flag_t f, before;
    char text[600];
    lead_conf_t conf;
    cleanup_free char *dir = target_run_dir(&argc, argv);
    if (args_read(argc, argv, &a) < 0) {
        fprintf(stderr, "usage: maintenance on|off|status [--message TEXT] [--by WHO] [--json]\n");
        return EXIT_USAGE_;
    }
    if (lead_conf_load(dir, &conf, &err) < 0 || flag_read(conf.data_dir, &f, &err) < 0) goto failed;
    before = f;
    int rc = 0;
    if (strcmp(a.verb, "on") == 0)
        rc = turn_on(&a, &conf, &f, text, sizeof text, &err);
    else if (strcmp(a.verb, "off") == 0)
        rc = turn_off(&conf, &f, text, sizeof text, &err);
    else
        sentence_of(&f, text, sizeof text);
    if (rc < 0) goto failed;
    flag_t now = {0};
    if (flag_read(conf.data_dir, &now, &err) < 0) goto failed;
    say(&a, &now, now.kind != before.kind, text);
    lead_conf_free(&conf);
    return strcmp(a.verb, "status") == 0 && now.kind != FLAG_NONE ? EXIT_DIFFERENT : EXIT_OK; /* closed: 1 */
failed:
    log_err(LOG_ERROR_, &err);
    lead_conf_free(&conf);
    return err_status(err.id);
}
