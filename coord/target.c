#include "coord/target.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json_bytes.h"
#include "base/redact.h"
#include "base/settings.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum { FILE_MAX_BYTES = 1 << 20 };

static void value_bytes(const json_t *obj, const char *key, buf_t *out)
{
    json_bytes_read(json_object_get(obj, key), out);
}

static char *value_str(const json_t *obj, const char *key)
{
    cleanup_buf buf_t b = BUF_INIT;
    value_bytes(obj, key, &b);
    char *s = strdup(buf_cstr(&b));
    if (!s) abort();
    return s;
}

static secret_t *value_secret(const json_t *obj, const char *key)
{
    cleanup_buf buf_t b = BUF_INIT;
    value_bytes(obj, key, &b);
    redact_add(buf_cstr(&b), b.len, clock_ms());
    return secret_new(buf_cstr(&b), b.len);
}

static int value_int(const json_t *obj, const char *key, int otherwise)
{
    json_t *v = json_object_get(obj, key);
    return json_is_integer(v) ? (int)json_integer_value(v) : otherwise;
}

static json_t *file_load(const char *run_dir, const char *name, err_t *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", run_dir, name);
    cleanup_buf buf_t b = BUF_INIT;
    if (fd_read_file(path, FILE_MAX_BYTES, &b, err) < 0) return NULL;
    json_error_t why;
    json_t *o = json_loadb(buf_cstr(&b), b.len, 0, &why);
    if (!json_is_object(o)) {
        err_set(err, ERR_RENDER_WRITE, "%s is not a JSON object: line %d: %s", path, why.line, why.text);
        json_decref(o);
        return NULL;
    }
    return o;
}

static bool prefix_ok(const char *p)
{
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n >= 1 && n <= 10 && p[n] == '\0' && p[0] >= 'a' && p[0] <= 'z';
}

int target_parse(const json_t *o, target_t *ret, err_t *err)
{
    json_t *db = json_object_get(o, "db"), *redis = json_object_get(o, "redis");
    ret->db = (target_db_t){
        .type = value_str(db, "type"),
        .host = value_str(db, "host"),
        .name = value_str(db, "name"),
        .user = value_str(db, "user"),
        .prefix = value_str(db, "prefix"),
        .tls = value_str(db, "tls"),
        .ca = value_str(db, "ca"),
        .port = value_int(db, "port", 0),
        .single_writer = json_is_true(json_object_get(db, "single_writer")),
        .password = value_secret(db, "password"),
    };
    ret->redis = (target_redis_t){
        .present = json_is_object(redis),
        .tls = json_is_true(json_object_get(redis, "tls")),
        .host = value_str(redis, "host"),
        .user = value_str(redis, "user"),
        .ca = value_str(redis, "ca"),
        .prefix = value_str(redis, "prefix"),
        .port = value_int(redis, "port", 6379),
        .database = value_int(redis, "database", 0),
        .password = value_secret(redis, "password"),
    };
    if (!prefix_ok(ret->db.prefix)) return err_set(err, ERR_DB_PREFIX, "table prefix \"%s\"", ret->db.prefix);
    return 0;
}

int target_load(const char *run_dir, target_t *ret, err_t *err)
{
    memset(ret, 0, sizeof *ret);
    json_t *o = file_load(run_dir, "moodle.json", err);
    if (!o) return -1;
    int rc = target_parse(o, ret, err);
    json_decref(o);
    return rc;
}

int target_reload(const char *run_dir, target_t *t, err_t *err)
{
    target_t fresh;
    if (target_load(run_dir, &fresh, err) < 0) {
        target_free(&fresh);
        return -1;
    }
    target_free(t);
    *t = fresh;
    return 0;
}

void target_free(target_t *t)
{
    char *all[] = {t->db.type, t->db.host,    t->db.name,    t->db.user,  t->db.prefix,   t->db.tls,
                   t->db.ca,   t->redis.host, t->redis.user, t->redis.ca, t->redis.prefix};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    secret_free(&t->db.password);
    secret_free(&t->redis.password);
    memset(t, 0, sizeof *t);
}

static void conf_read(const json_t *o, lead_conf_t *c)
{
    json_t *code = json_object_get(o, "code"), *site = json_object_get(o, "site");
    *c = (lead_conf_t){
        .member = value_str(o, "member"),
        .release = value_str(o, "release"),
        .run_dir = value_str(o, "run_dir"),
        .code_dir = value_str(o, "code_dir"),
        .data_dir = value_str(o, "data_dir"),
        .template_dir = value_str(o, "template_dir"),
        .php = value_str(o, "php"),
        .php_ini = value_str(o, "php_ini"),
        .web_home = value_str(o, "web_home"),
        .web_uid = (uid_t)value_int(o, "web_uid", 33),
        .web_gid = (gid_t)value_int(o, "web_gid", 33),
        .code_version = value_str(code, "version"),
        .code_release = value_str(code, "release"),
        .code_hash = value_str(code, "hash"),
        .cron = !json_is_false(json_object_get(o, "cron")),
        .cron_keepalive_s = value_int(o, "cron_keepalive_s", 180),
        .adhoc_runners = value_int(o, "adhoc_runners", 0),
        .cron_stuck_ms = (uint64_t)value_int(o, "cron_stuck_ms", 0),
        .watch_ms = (uint64_t)value_int(o, "watch_ms", 5000),
        .job_patience_ms = (uint64_t)value_int(o, "job_patience_ms", 5000),
        .cron_patience_ms = (uint64_t)value_int(o, "cron_patience_ms", 20000),
        .lease_scale = value_int(o, "lease_scale", 100),
        .site_name = value_str(site, "name"),
        .site_shortname = value_str(site, "shortname"),
        .site_lang = value_str(site, "lang"),
        .admin_user = value_str(site, "admin_user"),
        .admin_email = value_str(site, "admin_email"),
        .support_email = value_str(site, "support_email"),
        .admin_password = value_secret(site, "admin_password"),
    };
    char *install = value_str(o, "install"), *upgrade = value_str(o, "upgrade");
    c->install_auto = strcmp(install, "never") != 0;
    c->upgrade_auto = strcmp(upgrade, "manual") != 0;
    c->outage_wait_ms = (uint64_t)value_int(o, "outage_wait_ms", (int)c->watch_ms + 1000);
    free(install);
    free(upgrade);
}

int lead_conf_load(const char *run_dir, lead_conf_t *ret, err_t *err)
{
    memset(ret, 0, sizeof *ret);
    json_t *o = file_load(run_dir, "lead.json", err);
    if (!o) return -1;
    conf_read(o, ret);
    json_decref(o);
    if (!*ret->code_version || !*ret->code_hash)
        return err_set(err, ERR_CODE_INFO, "lead.json does not know the code's version and plugin hash");
    if (!*ret->template_dir) {
        free(ret->template_dir);
        ret->template_dir = strdup(MOODLECTL_DATADIR "/templates");
    }
    return 0;
}

void lead_conf_free(lead_conf_t *c)
{
    char *all[] = {c->member,       c->release,     c->run_dir,      c->code_dir,       c->data_dir,
                   c->template_dir, c->php,         c->php_ini,      c->web_home,       c->code_version,
                   c->code_release, c->code_hash,   c->site_name,    c->site_shortname, c->site_lang,
                   c->admin_user,   c->admin_email, c->support_email};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    secret_free(&c->admin_password);
    memset(c, 0, sizeof *c);
}

char *target_run_dir(int *argc, char **argv)
{
    for (int i = 1; i + 1 < *argc; i++) {
        if (strcmp(argv[i], "--run-dir") != 0) continue;
        char *dir = strdup(argv[i + 1]);
        memmove(argv + i, argv + i + 2, (size_t)(*argc - i - 1) * sizeof *argv);
        *argc -= 2;
        return dir;
    }
    settings_t *s = settings_load(environ);
    char *dir = strdup(settings_str(s, SET_run_dir));
    settings_free(&s);
    return dir;
}
