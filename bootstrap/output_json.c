#include "bootstrap/output_json.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/json_bytes.h"
#include "base/secret.h"
#include <stdio.h>
#include <string.h>

json_t *output_json_bytes(const char *bytes) { return json_bytes_new(bytes, strlen(bytes)); }

static json_t *value(const site_t *s, set_id_t id) { return output_json_bytes(settings_str(s->set, id)); }
static json_t *number(const site_t *s, set_id_t id) { return json_integer(settings_int(s->set, id)); }
static json_t *truth(const site_t *s, set_id_t id) { return json_boolean(settings_bool(s->set, id)); }

static const char *ca_or_system(const site_t *s, set_id_t id, bool wanted)
{
    const char *own = settings_str(s->set, id);
    return *own || !wanted ? own : s->ca_bundle;
}

static json_t *db_json(const site_t *s)
{
    bool verifies = strcmp(settings_str(s->set, SET_db_tls), "verify-full") == 0;
    return json_pack("{s:o,s:o,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "type", value(s, SET_db_type), "host",
                     value(s, SET_db_host), "port", settings_db_port(s->set), "name", value(s, SET_db_name),
                     "user", value(s, SET_db_user), "password", value(s, SET_db_password), "prefix",
                     value(s, SET_db_prefix), "tls", value(s, SET_db_tls), "ca",
                     output_json_bytes(ca_or_system(s, SET_db_ca_file, verifies)), "collation",
                     value(s, SET_db_collation), "single_writer", truth(s, SET_db_single_writer));
}

json_t *output_redis_json(const site_t *s)
{
    char prefix[256];
    bool tls = settings_bool(s->set, SET_redis_tls);
    if (!*settings_str(s->set, SET_redis_host)) return json_null();
    /* the plugin hash keeps old and new code from sharing cached objects during a deployment */
    snprintf(prefix, sizeof prefix, "%sm%.8s_", settings_str(s->set, SET_redis_prefix), s->code.hash);
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "host", value(s, SET_redis_host), "port",
                     number(s, SET_redis_port), "database", number(s, SET_redis_database), "user",
                     value(s, SET_redis_user), "password", value(s, SET_redis_password), "tls",
                     json_boolean(tls), "ca", output_json_bytes(ca_or_system(s, SET_redis_ca_file, tls)),
                     "prefix", value(s, SET_redis_prefix), "muc_prefix", output_json_bytes(prefix));
}

static json_t *smtp_json(const site_t *s)
{
    if (!*settings_str(s->set, SET_smtp_host)) return json_null();
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "host", value(s, SET_smtp_host), "port",
                     number(s, SET_smtp_port), "user", value(s, SET_smtp_user), "password",
                     value(s, SET_smtp_password), "protocol", value(s, SET_smtp_protocol));
}

static json_t *path_json(const char *dir, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return output_json_bytes(path);
}

/* Below moodledata, as Moodle wants it, but not shared with other code. coord/cron_prune.c removes those of other releases. */
static json_t *cachedir_json(const site_t *s)
{
    char name[32];
    snprintf(name, sizeof name, "cache/m%.8s", s->code.hash);
    return path_json(settings_str(s->set, SET_data_dir), name);
}

json_t *output_moodle_json(const site_t *s)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:b,s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:o}",
                     "wwwroot", value(s, SET_url), "dirroot", output_json_bytes(s->web_dir), "dataroot",
                     value(s, SET_data_dir), "localcachedir", path_json(s->local_dir, "localcache"),
                     "localrequestdir", path_json(s->local_dir, "request"), "sslproxy",
                     truth(s, SET_sslproxy), "reverseproxy", truth(s, SET_reverseproxy), "trusted",
                     *settings_str(s->set, SET_trusted_proxies) != '\0', "router", s->has_router, "debug",
                     truth(s, SET_debug), "upgradekey", value(s, SET_upgrade_key), "extra_config",
                     value(s, SET_extra_config), "noreply", value(s, SET_noreply), "muc",
                     path_json(s->run_dir, "muc/cacheconfig.php"), "lock_expire",
                     (json_int_t)(settings_int(s->set, SET_request_timeout) / 1000), "db", db_json(s),
                     "redis", output_redis_json(s), "smtp", smtp_json(s), "cachedir", cachedir_json(s));
}

static json_t *site_json(const site_t *s)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name", value(s, SET_site_name), "shortname",
                     value(s, SET_site_shortname), "lang", value(s, SET_lang), "admin_user",
                     value(s, SET_username), "admin_password", value(s, SET_password), "admin_email",
                     value(s, SET_email), "support_email", value(s, SET_support_email));
}

/* An upgrade may go on through most of a stop; then it needs time for its polite end, and process 1 for its own. */
static json_int_t job_patience_ms(const site_t *s)
{
    enum { REST_MS = 10000, LEAST_MS = 1000 };
    int64_t budget = settings_int(s->set, SET_stop_timeout);
    return budget > REST_MS + LEAST_MS ? budget - REST_MS : LEAST_MS;
}

static json_int_t cron_stuck_ms(const site_t *s)
{
    int64_t ms = settings_int(s->set, SET_cron_stuck);
    return ms == SET_NEVER ? 0 : ms;
}

json_t *output_lead_json(const site_t *s)
{
    char member[256];
    const char *release = settings_str(s->set, SET_release);
    settings_member(s->set, member, sizeof member);
    json_t *code = json_pack("{s:s,s:s,s:s,s:s}", "version", s->code.version, "release", s->code.release,
                             "branch", s->code.branch, "hash", s->code.hash);
    return json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:i,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:I,s:o}", "member",
        output_json_bytes(member), "release", output_json_bytes(*release ? release : s->code.release),
        "run_dir", value(s, SET_run_dir), "code_dir", output_json_bytes(s->web_dir), "data_dir",
        value(s, SET_data_dir), "template_dir", output_json_bytes(s->template_dir), "php",
        output_json_bytes(s->php), "php_ini", path_json(s->run_dir, "php.ini"), "web_uid", (int)s->web.uid,
        "web_gid", (int)s->web.gid, "web_home", output_json_bytes(s->home), "code", code, "install",
        value(s, SET_install), "upgrade", value(s, SET_upgrade), "cron", truth(s, SET_cron),
        "cron_keepalive_s", (json_int_t)(settings_int(s->set, SET_cron_keepalive) / 1000), "cron_stuck_ms",
        cron_stuck_ms(s), "adhoc_runners", number(s, SET_adhoc_runners), "watch_ms",
        number(s, SET_watch_interval), "lease_scale", number(s, SET_lease_scale), "job_patience_ms",
        job_patience_ms(s), "site", site_json(s));
}

void output_json_mask(json_t *o)
{
    const char *key;
    json_t *v;
    void *next;
    json_object_foreach_safe(o, next, key, v)
    {
        bool is_empty = json_is_string(v) && json_string_length(v) == 0;
        if (secret_is_key(key) && !is_empty)
            json_object_set_new(o, key, json_string("<secret>"));
        else if (json_is_object(v))
            output_json_mask(v);
    }
}
