#include "base/settings.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/fd.h"
#include "base/nearest.h"
#include "base/redact.h"
#include "base/secret.h"
#include "base/set_value.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_MAX_BYTES = 1 << 16, NAME_MAX_BYTES = 128 };

const set_row_t SETTINGS[SET_COUNT_] = {
#define SETTING(ident, name, type, def, flags, hint, help)                                                   \
    [SET_##ident] = {name, ST_##type, def, flags, hint, help},
#include "base/settings.def"
#undef SETTING
};

typedef struct {
    const char *name;
    set_id_t id;
} alias_t;

static const alias_t ALIASES[] = {
#define ALIAS(name, ident) {name, SET_##ident},
#include "base/aliases.def"
#undef ALIAS
};
enum { ALIAS_COUNT = sizeof ALIASES / sizeof *ALIASES };

/* Variables that moodlectl itself gives to its children, and that an image may carry. No settings, no misspellings. */
static const char *const OWN_NAMES[] = {"MOODLECTL_FENCE", "MOODLECTL_VERSION"};

typedef struct {
    secret_t *value;  /* NULL: the default. All values are wiped, secret or not */
    char *arn, *file; /* where it comes from; NULL: it does not */
    int64_t num;
    set_origin_t origin;
    char origin_name[NAME_MAX_BYTES];
    bool is_given, is_resolved;
} entry_t;

struct settings {
    entry_t entry[SET_COUNT_];
    set_issue_t *issues;
    size_t issue_count, issue_cap;
    char *const *envp; /* during the load only */
};

/* ---- issues ---- */

__attribute__((format(printf, 4, 5))) static void issue_add(settings_t *s, set_severity_t severity,
                                                            err_id_t id, const char *fmt, ...)
{
    if (s->issue_count == s->issue_cap) {
        size_t cap = s->issue_cap ? s->issue_cap * 2 : 16;
        set_issue_t *more = realloc(s->issues, cap * sizeof *more);
        if (!more) return; /* the issues before it stand */
        s->issues = more;
        s->issue_cap = cap;
    }
    set_issue_t *i = &s->issues[s->issue_count++];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(i->msg, sizeof i->msg, fmt, ap);
    va_end(ap);
    i->severity = severity;
    i->id = id;
}

static int keep_value(entry_t *e, const char *bytes, size_t len)
{
    secret_t *v = secret_new(bytes, len);
    if (!v) return -1;
    secret_free(&e->value);
    e->value = v;
    return 0;
}

/* ---- one value ---- */

/* What came from a file or a secret is not quoted in messages, whatever its row says. */
static int value_take(settings_t *s, set_id_t id, const char *text, bool is_hidden, err_t *err)
{
    cleanup_buf buf_t canonical = BUF_INIT;
    int64_t num = 0;
    if (set_value_parse(id, text, is_hidden, &canonical, &num, err) < 0) return -1;
    if (canonical.failed || keep_value(&s->entry[id], buf_cstr(&canonical), canonical.len) < 0)
        return err_set(err, ERR_MEMORY, "no memory for its value");
    s->entry[id].num = num;
    if (SETTINGS[id].flags & SF_SECRET) redact_add(buf_cstr(&canonical), canonical.len, clock_ms());
    return 0;
}

static void value_default(settings_t *s, set_id_t id)
{
    entry_t *e = &s->entry[id];
    err_t err = {0};
    snprintf(e->origin_name, sizeof e->origin_name, "default");
    if (*SETTINGS[id].def && value_take(s, id, SETTINGS[id].def, false, &err) < 0)
        issue_add(s, SI_ERROR, ERR_BUG, "%s: its default: %s", SETTINGS[id].name, err.msg);
}

/* ---- the environment ---- */

typedef enum { FORM_PLAIN, FORM_FILE, FORM_ARN, FORM_COUNT_ } form_t;
static const char *const FORM_SUFFIX[FORM_COUNT_] = {"", "_FILE", "_ARN"};

typedef struct {
    char name[NAME_MAX_BYTES]; /* the variable's whole name */
    const char *text;
    form_t form;
    bool is_alias;
} found_t;

/* Looks for the forms of one name. Number found; the first one in *ret. Two at once: an issue. */
static int forms_find(settings_t *s, const char *name, bool plain_only, found_t *ret)
{
    int count = 0;
    if (!environment_mentions(s->envp, name)) return 0;
    for (int f = FORM_PLAIN; f < (plain_only ? FORM_FILE : FORM_COUNT_); f++) {
        found_t here = {.form = (form_t)f};
        snprintf(here.name, sizeof here.name, "%s%s", name, FORM_SUFFIX[f]);
        here.text = environment_find(s->envp, here.name);
        if (!here.text) continue;
        if (count++)
            issue_add(s, SI_ERROR, ERR_SET_CONFLICT, "%s and %s are both given: keep one", ret->name,
                      here.name);
        else
            *ret = here;
    }
    return count;
}

/* Somebody may have given the secret itself in place of its path or ARN: then it is not quoted. */
static int file_read(const char *path, bool is_secret, buf_t *ret, err_t *err)
{
    if (path[0] != '/' && is_secret)
        return err_set(err, ERR_SET_FILE, "not an absolute path (not shown here)");
    if (path[0] != '/') return err_set(err, ERR_SET_FILE, "\"%.200s\" is not an absolute path", path);
    if (fd_read_file(path, VALUE_MAX_BYTES, ret, err) < 0) {
        if (err->id == ERR_OS) err->id = ERR_SET_FILE;
        return -1;
    }
    if (ret->len && ret->data[ret->len - 1] == '\n') ret->data[--ret->len] = '\0'; /* exactly one */
    if (memchr(buf_cstr(ret), '\0', ret->len))
        return err_set(err, ERR_SET_FILE, "%s holds a zero byte", path);
    if (ret->len == 0) return err_set(err, ERR_SET_FILE, "%s is empty", path);
    return 0;
}

static int arn_take(entry_t *e, const char *text, bool is_secret, err_t *err)
{
    const char *rest = strncmp(text, "arn:", 4) == 0 ? strchr(text + 4, ':') : NULL;
    bool is_secret_arn = rest && strncmp(rest, ":secretsmanager:", 16) == 0 && strstr(rest, ":secret:");
    bool is_parameter = rest && strncmp(rest, ":ssm:", 5) == 0 && strstr(rest, ":parameter/");
    if (!is_secret_arn && !is_parameter)
        return is_secret && !rest
                   ? err_set(err, ERR_SEC_ARN, "not the ARN of a Secrets Manager secret (not shown here)")
                   : err_set(err, ERR_SEC_ARN, "\"%.150s\" is not the ARN of a Secrets Manager secret", text);
    e->arn = strdup(text);
    return e->arn ? 0 : err_set(err, ERR_MEMORY, "no memory for its ARN");
}

static void found_take(settings_t *s, set_id_t id, const found_t *f)
{
    static const set_origin_t origins[] = {SO_ENV, SO_FILE, SO_ARN};
    entry_t *e = &s->entry[id];
    err_t err = {0};
    int rc = 0;
    e->is_given = true;
    if (f->form == FORM_FILE) {
        e->file = strdup(f->text);
        cleanup_buf buf_t b = BUF_INIT;
        rc = file_read(f->text, SETTINGS[id].flags & SF_SECRET, &b, &err);
        if (rc == 0) rc = value_take(s, id, buf_cstr(&b), true, &err);
    } else {
        rc = f->form == FORM_ARN ? arn_take(e, f->text, SETTINGS[id].flags & SF_SECRET, &err)
                                 : value_take(s, id, f->text, false, &err);
    }
    if (rc < 0) {
        issue_add(s, SI_ERROR, err.id, "%s%s%s%s: %s", f->name, f->is_alias ? " (" : "",
                  f->is_alias ? SETTINGS[id].name : "", f->is_alias ? ")" : "", err.msg);
        return;
    }
    e->origin = f->is_alias && f->form == FORM_PLAIN ? SO_ALIAS : origins[f->form];
    snprintf(e->origin_name, sizeof e->origin_name, "%.100s%s", f->name, f->is_alias ? " (alias)" : "");
}

/* Aliases of one setting. The first one given counts, when the setting's own name is not given. */
static void aliases_find(settings_t *s, set_id_t id, bool own_given, const char *own_name)
{
    found_t first = {0};
    for (size_t a = 0; a < ALIAS_COUNT; a++) {
        if (ALIASES[a].id != id) continue;
        found_t f = {0};
        if (forms_find(s, ALIASES[a].name, false, &f) == 0) continue;
        f.is_alias = true;
        if (own_given) {
            issue_add(s, SI_NOTICE, ERR_NONE, "%s is ignored, because %s is given", f.name, own_name);
        } else if (!first.text) {
            issue_add(s, SI_NOTICE, ERR_NONE, "%s is read as %s%s; please rename it", f.name,
                      SETTINGS[id].name, FORM_SUFFIX[f.form]);
            first = f;
        } else if (first.form != f.form || strcmp(first.text, f.text) != 0) {
            issue_add(s, SI_ERROR, ERR_SET_CONFLICT, "%s and %s both mean %s and differ: keep one",
                      first.name, f.name, SETTINGS[id].name);
        }
    }
    if (first.text) found_take(s, id, &first);
}

/* Elsewhere an empty value means the default. Here it may be meant: a site without a prefix (MySQL allows it) would get a second
 * Moodle beside its own tables. */
static void empty_prefix_refuse(settings_t *s)
{
    const char *name =
        environment_is_empty(s->envp, SETTINGS[SET_db_prefix].name) ? SETTINGS[SET_db_prefix].name : NULL;
    for (size_t a = 0; a < ALIAS_COUNT && !name; a++)
        if (ALIASES[a].id == SET_db_prefix && environment_is_empty(s->envp, ALIASES[a].name))
            name = ALIASES[a].name;
    if (name)
        issue_add(s, SI_ERROR, ERR_DB_PREFIX, "%s is empty: leave it out to mean %s", name,
                  SETTINGS[SET_db_prefix].def);
}

bool settings_uses_iam(const settings_t *s) { return strcmp(settings_str(s, SET_db_auth), "iam") == 0; }

static void setting_load(settings_t *s, set_id_t id)
{
    const set_row_t *row = &SETTINGS[id];
    found_t own = {0};
    int count = forms_find(s, row->name, row->flags & SF_ENV, &own);
    value_default(s, id);
    if (count == 1) found_take(s, id, &own);
    if (count > 1) s->entry[id].is_given = true; /* wrong, but not missing */
    aliases_find(s, id, count > 0, own.name);
    if (id == SET_db_prefix) empty_prefix_refuse(s);
    if (id == SET_db_password && settings_uses_iam(s)) return;
    bool is_in_secret = id == SET_db_type || id == SET_db_host || id == SET_db_user || id == SET_db_password;
    if (is_in_secret && s->entry[SET_db_secret].is_given) return; /* secrets_database.c looks */
    if (row->flags & SF_REQUIRED && !s->entry[id].is_given)
        issue_add(s, SI_ERROR, ERR_SET_MISSING, "%s is not set (nor %s_FILE nor %s_ARN)", row->name,
                  row->name, row->name);
}

/* ---- names that are no settings ---- */

/* Length of `name` without _FILE or _ARN; *ret_suffix is what was cut. */
static size_t stem_len(const char *name, const char **ret_suffix)
{
    size_t n = strlen(name);
    for (int f = FORM_FILE; f < FORM_COUNT_; f++) {
        size_t m = strlen(FORM_SUFFIX[f]);
        if (n > m && strcmp(name + n - m, FORM_SUFFIX[f]) == 0) {
            *ret_suffix = FORM_SUFFIX[f];
            return n - m;
        }
    }
    *ret_suffix = "";
    return n;
}

static bool name_is_known(const char *name)
{
    const char *suffix = "";
    size_t stem = stem_len(name, &suffix), whole = strlen(name);
    for (int i = 0; i < SET_COUNT_; i++) {
        const char *own = SETTINGS[i].name;
        if (strcmp(own, name) == 0) return true; /* a setting may itself end in _FILE */
        if (stem < whole && !(SETTINGS[i].flags & SF_ENV) && strlen(own) == stem &&
            strncmp(own, name, stem) == 0)
            return true;
    }
    for (size_t i = 0; i < ALIAS_COUNT; i++) {
        size_t n = strlen(ALIASES[i].name);
        if ((n == stem || n == whole) && strncmp(ALIASES[i].name, name, n) == 0) return true;
    }
    for (size_t i = 0; i < sizeof OWN_NAMES / sizeof *OWN_NAMES; i++)
        if (strcmp(OWN_NAMES[i], name) == 0) return true;
    return false;
}

static void unknown_report(settings_t *s, const char *variable)
{
    char name[NAME_MAX_BYTES], stem[NAME_MAX_BYTES];
    size_t n = strcspn(variable, "=");
    if (n >= sizeof name) return;
    snprintf(name, sizeof name, "%.*s", (int)n, variable);
    if (name_is_known(name)) return;
    const char *suffix = "";
    snprintf(stem, sizeof stem, "%.*s", (int)stem_len(name, &suffix), name);
    const char *near = settings_nearest(stem);
    if (!near && *suffix) { /* a name of ours that ends in _FILE itself */
        near = settings_nearest(name);
        suffix = "";
    }
    if (near)
        issue_add(s, SI_WARNING, ERR_SET_UNKNOWN, "%s is not a setting; did you mean %s%s?", name, near,
                  suffix);
    else
        issue_add(s, SI_WARNING, ERR_SET_UNKNOWN, "%s is not a setting", name);
}

const char *settings_nearest(const char *name)
{
    const char *best = NULL;
    size_t distance = SIZE_MAX;
    for (int i = 0; i < SET_COUNT_; i++) {
        if (SETTINGS[i].flags & SF_ENV) continue;
        size_t d = nearest_distance(name, SETTINGS[i].name);
        if (d >= distance || !nearest_is_near(name, d)) continue;
        distance = d;
        best = SETTINGS[i].name;
    }
    return best;
}

/* ---- load and free ---- */

static set_issue_t no_memory_issue = {SI_ERROR, ERR_MEMORY, "no memory for the settings"};
static settings_t no_memory; /* all values "" */

settings_t *settings_load(char *const *envp)
{
    settings_t *s = calloc(1, sizeof *s);
    if (!s) {
        no_memory.issues = &no_memory_issue;
        no_memory.issue_count = 1;
        return &no_memory;
    }
    s->envp = envp;
    for (int i = 0; i < SET_COUNT_; i++) setting_load(s, (set_id_t)i);
    for (; *envp; envp++)
        if (strncmp(*envp, "MOODLE_", 7) == 0 || strncmp(*envp, "MOODLECTL_", 10) == 0)
            unknown_report(s, *envp);
    s->envp = NULL;
    return s;
}

void settings_free(settings_t **s)
{
    if (*s == &no_memory) *s = NULL;
    if (!*s) return;
    for (int i = 0; i < SET_COUNT_; i++) {
        secret_free(&(*s)->entry[i].value);
        free((*s)->entry[i].arn);
        free((*s)->entry[i].file);
    }
    free((*s)->issues);
    free(*s);
    *s = NULL;
}

/* ---- reading ---- */

size_t settings_issue_count(const settings_t *s) { return s->issue_count; }
const set_issue_t *settings_issue(const settings_t *s, size_t i) { return &s->issues[i]; }

size_t settings_error_count(const settings_t *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->issue_count; i++) n += s->issues[i].severity == SI_ERROR;
    return n;
}

const char *settings_str(const settings_t *s, set_id_t id) { return secret_bytes(s->entry[id].value); }
int64_t settings_int(const settings_t *s, set_id_t id) { return s->entry[id].num; }

bool settings_bool(const settings_t *s, set_id_t id)
{
    int64_t num = s->entry[id].num;
    if (num != SET_BOOL_AUTO) return num != 0;
    return strncasecmp(settings_str(s, SET_url), "https:", 6) == 0; /* sslproxy is the only row with auto */
}

bool settings_is_set(const settings_t *s, set_id_t id) { return s->entry[id].is_given; }
set_origin_t settings_origin(const settings_t *s, set_id_t id) { return s->entry[id].origin; }
const char *settings_origin_name(const settings_t *s, set_id_t id) { return s->entry[id].origin_name; }

const char *settings_arn(const settings_t *s, set_id_t id)
{
    return s->entry[id].is_resolved ? NULL : s->entry[id].arn;
}

const char *settings_source(const settings_t *s, set_id_t id)
{
    const entry_t *e = &s->entry[id];
    return e->arn ? e->arn : e->file ? e->file : "";
}

bool settings_has_sources(const settings_t *s)
{
    if (settings_uses_iam(s)) return true;
    for (int i = 0; i < SET_COUNT_; i++)
        if (*settings_source(s, (set_id_t)i)) return true;
    return false;
}

int settings_resolve(settings_t *s, set_id_t id, const char *value, err_t *err)
{
    entry_t *e = &s->entry[id];
    if (!e->arn) return err_set(err, ERR_BUG, "%s has no ARN to resolve", SETTINGS[id].name);
    if (!*value) return err_set(err, ERR_SEC_FORMAT, "the secret's value is empty");
    if (value_take(s, id, value, true, err) < 0) return -1;
    e->is_resolved = true;
    return 0;
}

int settings_supply(settings_t *s, set_id_t id, const char *value, err_t *err)
{
    return value_take(s, id, value, true, err);
}

/* ---- rules over several settings ---- */

static bool has_value(const settings_t *s, set_id_t id)
{
    return *settings_str(s, id) || settings_arn(s, id);
}

/* Moodle pastes them into a conninfo string without escaping (pgsql_native_moodle_database::raw_connect). */
static void check_conninfo(settings_t *s)
{
    static const set_id_t pasted[] = {SET_db_host, SET_db_user, SET_db_name};
    if (strcmp(settings_str(s, SET_db_type), "pgsql") != 0) return;
    for (size_t i = 0; i < sizeof pasted / sizeof *pasted; i++) {
        const char *v = settings_str(s, pasted[i]);
        if (strpbrk(v, "'\"\\ \t\r\n\f\v"))
            issue_add(
                s, SI_ERROR, ERR_SET_INVALID,
                "%s may not hold quotes, backslashes or blanks: Moodle does not escape it for PostgreSQL",
                s->entry[pasted[i]].is_given ? s->entry[pasted[i]].origin_name : SETTINGS[pasted[i]].name);
    }
}

static void check_short_secrets(settings_t *s)
{
    for (int i = 0; i < SET_COUNT_; i++) {
        size_t len = secret_len(s->entry[i].value);
        if (SETTINGS[i].flags & SF_SECRET && len > 0 && len < REDACT_LEAST)
            issue_add(s, SI_WARNING, ERR_SEC_SHORT,
                      "%s is shorter than %d characters: log lines are not searched for it", SETTINGS[i].name,
                      REDACT_LEAST);
    }
}

static void check_needs(settings_t *s, set_id_t what, set_id_t needed)
{
    if (has_value(s, what) && s->entry[what].is_given && !has_value(s, needed))
        issue_add(s, SI_ERROR, ERR_SET_MISSING, "%s needs %s", SETTINGS[what].name, SETTINGS[needed].name);
}

/* The token is a password in clear text to a MySQL server. */
static void check_iam(settings_t *s)
{
    const char *tls = settings_str(s, SET_db_tls);
    if (!settings_uses_iam(s)) return;
    if (s->entry[SET_db_password].is_given)
        issue_add(s, SI_ERROR, ERR_SET_CONFLICT, "MOODLE_DATABASE_AUTH is iam, but %s is given: keep one",
                  s->entry[SET_db_password].origin_name);
    if (strcmp(tls, "require") != 0 && strcmp(tls, "verify-full") != 0)
        issue_add(
            s, SI_ERROR, ERR_SET_CONFLICT,
            "MOODLE_DATABASE_AUTH is iam, which needs MOODLE_DATABASE_TLS to be verify-full or require");
}

void settings_check(settings_t *s)
{
    check_iam(s);
    check_conninfo(s);
    check_short_secrets(s);
    check_needs(s, SET_redis_user, SET_redis_password);
    check_needs(s, SET_redis_password, SET_redis_host);
    check_needs(s, SET_redis_ca_file, SET_redis_host);
    check_needs(s, SET_smtp_user, SET_smtp_host);
    if (settings_bool(s, SET_sslproxy) && strncasecmp(settings_str(s, SET_url), "http:", 5) == 0)
        issue_add(s, SI_ERROR, ERR_SET_CONFLICT, "MOODLE_SSLPROXY is on but MOODLE_URL is not https");
    if (settings_int(s, SET_lame_duck) >= settings_int(s, SET_stop_timeout))
        issue_add(s, SI_WARNING, ERR_SET_CONFLICT,
                  "MOODLECTL_LAME_DUCK uses up MOODLECTL_STOP_TIMEOUT: half of it is used");
    if (strcmp(settings_str(s, SET_run_dir), settings_str(s, SET_local_dir)) == 0)
        issue_add(s, SI_ERROR, ERR_SET_CONFLICT, "MOODLECTL_RUN_DIR and MOODLECTL_LOCAL_DIR are the same");
}
