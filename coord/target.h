/* target.h - what the roles read from moodle.json and lead.json. Read again at each connect, so a rotated password is
 * followed. Blocks on local files only. */
#ifndef MOODLECTL_COORD_TARGET_H
#define MOODLECTL_COORD_TARGET_H

#include "base/err.h"
#include "base/secret.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct target_db {
    char *type, *host, *name, *user, *prefix, *tls, *ca;
    int port;
    bool single_writer; /* the operator says that only one node of a multi-primary cluster is ever reached */
    secret_t *password;
} target_db_t;

typedef struct target_redis {
    bool present, tls;
    char *host, *user, *ca, *prefix;
    int port, database;
    secret_t *password;
} target_redis_t;

typedef struct target { /* moodle.json */
    target_db_t db;
    target_redis_t redis;
} target_t;

typedef struct lead_conf { /* lead.json */
    char *member, *release, *run_dir, *code_dir, *data_dir, *template_dir, *php, *php_ini, *web_home;
    uid_t web_uid;
    gid_t web_gid;
    char *code_version, *code_release, *code_hash;
    bool install_auto, upgrade_auto, cron;
    int cron_keepalive_s, adhoc_runners;
    uint64_t cron_stuck_ms; /* 0: never */
    uint64_t watch_ms, job_patience_ms, outage_wait_ms, cron_patience_ms;
    int lease_scale; /* per cent */
    char *site_name, *site_shortname, *site_lang, *admin_user, *admin_email, *support_email;
    secret_t *admin_password;
} lead_conf_t;

int target_load(const char *run_dir, target_t *ret,
                err_t *err); /* free with target_free, also after an error */
int target_parse(const json_t *moodle, target_t *ret, err_t *err); /* the same from its JSON; pure */
int target_reload(const char *run_dir, target_t *t, err_t *err); /* after a while; as it was after an error */
void target_free(target_t *t);
int lead_conf_load(const char *run_dir, lead_conf_t *ret, err_t *err);
void lead_conf_free(lead_conf_t *c);

/* Takes --run-dir out of argv (argc is changed); else the setting MOODLECTL_RUN_DIR. malloc'ed; NULL: no memory. */
char *target_run_dir(int *argc, char **argv);

#endif
