#include "bootstrap/output.h"
#include "base/secret.h"
#include "base/stop_plan.h"
#include "bootstrap/output_json.h"
#include "bootstrap/render.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEMPLATE_MAX = 1 << 20,
    CA_MAX = 4 << 20,
    VALUES_MAX = 40,
    TEXT_MAX = PATH_MAX + 16,
    NGINX_CONNECTIONS = 2048, /* a request to PHP uses two of them */
    FPM_BACKLOG = 4096,
};

typedef struct {
    render_value_t value[VALUES_MAX];
    size_t count;
    char ca[TEXT_MAX], fpm_pass[TEXT_MAX], load_listen[TEXT_MAX], setup_php[TEXT_MAX];
} values_t;

static output_t *add_output(outputs_t *o, const site_t *s, const char *name, mode_t mode)
{
    output_t *out = &o->item[o->count++];
    out->name = name;
    out->spec = (file_spec_t){
        .uid = s->is_root ? 0 : (uid_t)-1, .gid = s->is_root ? s->web.gid : (gid_t)-1, .mode = mode};
    return out;
}

static void add_text(values_t *v, const char *name, const char *text)
{
    v->value[v->count++] = (render_value_t){.name = name, .type = RV_TEXT, .text = text};
}

static void add_number(values_t *v, const char *name, int64_t number)
{
    v->value[v->count++] = (render_value_t){.name = name, .type = RV_NUMBER, .number = number};
}

static void add_flag(values_t *v, const char *name, bool on)
{
    v->value[v->count++] = (render_value_t){.name = name, .type = RV_FLAG, .number = on};
}

/* From the very plan that process 1 goes by. PHP-FPM counts in whole seconds. */
static void values_stop(const settings_t *set, values_t *v)
{
    stop_plan_t plan = stop_plan_make((uint64_t)settings_int(set, SET_stop_timeout),
                                      (uint64_t)settings_int(set, SET_lame_duck));
    uint64_t quiesce = stop_plan_length(&plan, SP_QUIESCE), finish = stop_plan_length(&plan, SP_FINISH);
    uint64_t whole_s = (quiesce + finish) / 1000;
    add_number(v, "quiesce_ms", (int64_t)quiesce);
    add_number(v, "php_stop_s", whole_s ? (int64_t)whole_s : 1);
}

static bool has_own_ca(const site_t *s)
{
    return *settings_str(s->set, SET_db_ca_file) || *settings_str(s->set, SET_redis_ca_file);
}

static void values_paths(const site_t *s, values_t *v)
{
    snprintf(v->ca, sizeof v->ca, "%s%s", has_own_ca(s) ? s->run_dir : s->ca_bundle,
             has_own_ca(s) ? "/ca.pem" : "");
    snprintf(v->fpm_pass, sizeof v->fpm_pass, "unix:%s/fpm.sock", s->run_dir);
    snprintf(v->load_listen, sizeof v->load_listen, "unix:%s/nginx.sock", s->run_dir);
    snprintf(v->setup_php, sizeof v->setup_php, "%s/lib/setup.php", s->web_dir);
    add_text(v, "run_dir", s->run_dir);
    add_text(v, "local_dir", s->local_dir);
    add_text(v, "data_dir", s->data_dir);
    add_text(v, "web_dir", s->web_dir);
    add_text(v, "setup_php", v->setup_php);
    add_text(v, "fpm_pass", v->fpm_pass);
    add_text(v, "load_listen", v->load_listen);
    add_text(v, "ca_bundle", v->ca);
}

static void values_make(const site_t *s, values_t *v)
{
    const settings_t *set = s->set;
    int64_t request_s = settings_int(set, SET_request_timeout) / 1000;
    values_paths(s, v);
    add_flag(v, "as_root", s->is_root);
    add_text(v, "user", s->user);
    add_text(v, "group", s->group);
    add_text(v, "listen", settings_str(set, SET_listen));
    add_text(v, "tz", settings_str(set, SET_tz));
    add_flag(v, "debug", settings_bool(set, SET_debug));
    add_flag(v, "router", s->has_router);
    add_number(v, "nginx_workers", s->nginx_workers);
    add_number(v, "nginx_connections", NGINX_CONNECTIONS);
    add_number(v, "nginx_read_s", request_s + 5); /* PHP-FPM ends it first and says so in its log */
    add_number(v, "request_s", request_s);
    values_stop(set, v);
    add_number(v, "upload_bytes", settings_int(set, SET_upload_limit));
    add_number(v, "php_memory", settings_int(set, SET_php_memory));
    add_number(v, "fpm_children", s->fpm_children);
    add_number(v, "fpm_backlog", FPM_BACKLOG);
    v->value[v->count++] =
        (render_value_t){.name = "trusted", .type = RV_LIST, .text = settings_str(set, SET_trusted_proxies)};
}

static int read_template(const site_t *s, const char *name, buf_t *ret, err_t *err)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", s->template_dir, name);
    if (fd_read_file(path, TEMPLATE_MAX, ret, err) == 0) return 0;
    if (err) err->id = ERR_TEMPLATE;
    return -1;
}

/* `name`.tmpl rendered. */
static int add_rendered(outputs_t *o, const site_t *s, const char *name, err_t *err)
{
    char template[64], path[PATH_MAX + 128];
    values_t v = {.count = 0};
    cleanup_buf buf_t text = BUF_INIT;
    snprintf(template, sizeof template, "%s.tmpl", name);
    snprintf(path, sizeof path, "%s/%s", s->template_dir, template);
    if (read_template(s, template, &text, err) < 0) return -1;
    values_make(s, &v);
    return render_template(path, buf_cstr(&text), text.len, v.value, &add_output(o, s, name, 0440)->bytes,
                           err);
}

/* A template that is copied as it is. */
static int add_copy(outputs_t *o, const site_t *s, const char *name, err_t *err)
{
    return read_template(s, name, &add_output(o, s, name, 0440)->bytes, err);
}

static int add_ca_file(buf_t *out, const char *path, err_t *err)
{
    if (!*path) return 0;
    if (fd_read_file(path, CA_MAX, out, err) < 0) {
        if (err) err->id = ERR_SET_FILE;
        return -1;
    }
    buf_str(out, "\n");
    return 0;
}

/* PHP knows one file of CAs for the whole process (openssl.cafile): the system's and ours together. */
static int add_ca(outputs_t *o, const site_t *s, err_t *err)
{
    if (!has_own_ca(s)) return 0;
    buf_t *out = &add_output(o, s, "ca.pem", 0444)->bytes;
    if (add_ca_file(out, s->ca_bundle, err) < 0) return -1;
    if (add_ca_file(out, settings_str(s->set, SET_db_ca_file), err) < 0) return -1;
    return add_ca_file(out, settings_str(s->set, SET_redis_ca_file), err);
}

int output_render_boot(const site_t *s, outputs_t *ret, err_t *err)
{
    static const char *const names[] = {"nginx.conf", "php-fpm.conf", "php.ini"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (add_rendered(ret, s, names[i], err) < 0) return -1;
    return add_ca(ret, s, err);
}

static int dump_json(buf_t *out, json_t *o, err_t *err)
{
    char *text = o ? json_dumps(o, JSON_INDENT(1) | JSON_ENCODE_ANY) : NULL;
    json_decref(o);
    if (!text) return err_set(err, ERR_MEMORY, "no memory for a JSON file");
    buf_str(out, text);
    buf_str(out, "\n");
    secret_wipe(text, strlen(text));
    free(text);
    return out->failed ? err_set(err, ERR_MEMORY, "no memory for a JSON file") : 0;
}

/* Moodle writes its cache definitions into cacheconfig.php, so it is replaced only when what it began from has changed. */
static int add_cache(outputs_t *o, const site_t *s, err_t *err)
{
    cleanup_buf buf_t cause = BUF_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (add_copy(o, s, "muc-stores.php", err) < 0) return -1;
    buf_t *stores = &o->item[o->count - 1].bytes;
    buf_add(&cause, stores->data, stores->len);
    output_t *config = add_output(o, s, "muc/cacheconfig.php", 0660);
    if (s->is_root) config->spec.uid = s->web.uid;
    config->once = true;
    if (read_template(s, "cacheconfig.php", &config->bytes, err) < 0) return -1;
    buf_add(&cause, config->bytes.data, config->bytes.len);
    if (dump_json(&cause, output_redis_json(s), err) < 0) return -1;
    if (cause.failed || EVP_Digest(cause.data, cause.len, digest, &len, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_MEMORY, "no memory for the cache's configuration");
    output_t *sum = add_output(o, s, "muc.sum", 0400);
    for (unsigned i = 0; i < len; i++) buf_printf(&sum->bytes, "%02x", digest[i]);
    return 0;
}

int output_render_all(const site_t *s, outputs_t *ret, err_t *err)
{
    output_t *moodle = add_output(ret, s, "moodle.json", 0440), *lead = add_output(ret, s, "lead.json", 0400);
    moodle->has_secrets = lead->has_secrets = true;
    if (s->is_root) lead->spec.gid = 0;
    if (dump_json(&moodle->bytes, output_moodle_json(s), err) < 0) return -1;
    if (dump_json(&lead->bytes, output_lead_json(s), err) < 0) return -1;
    if (add_rendered(ret, s, "config.php", err) < 0 || add_cache(ret, s, err) < 0) return -1;
    return add_copy(ret, s, "warm.php", err) < 0 || add_copy(ret, s, "fence.php", err) < 0 ? -1 : 0;
}

void output_free(outputs_t *o)
{
    for (size_t i = 0; i < o->count; i++) buf_free(&o->item[i].bytes);
    o->count = 0;
}
