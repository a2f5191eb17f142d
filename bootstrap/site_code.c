#include "base/fd.h"
#include "bootstrap/site.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { CODE_MAX = 1 << 16, CODE_MS = 30000 };

static int take(const json_t *o, const char *key, char *buf, size_t size, err_t *err)
{
    const char *v = json_string_value(json_object_get(o, key));
    if (!v || !*v || strlen(v) >= size)
        return err_set(err, ERR_CODE_INFO, "\"%s\" is missing or too long", key);
    snprintf(buf, size, "%s", v);
    return 0;
}

static int take_all(const json_t *o, const char *dirroot, site_code_t *ret, err_t *err)
{
    const char *dir = json_string_value(json_object_get(o, "dirroot"));
    if (!dir) return err_set(err, ERR_CODE_INFO, "not a JSON object with \"dirroot\"");
    if (strcmp(dir, dirroot) != 0) return err_set(err, ERR_CODE_INFO, "it is about %s, not %s", dir, dirroot);
    if (take(o, "version", ret->version, sizeof ret->version, err) < 0 ||
        take(o, "release", ret->release, sizeof ret->release, err) < 0 ||
        take(o, "branch", ret->branch, sizeof ret->branch, err) < 0 ||
        take(o, "hash", ret->hash, sizeof ret->hash, err) < 0)
        return -1;
    if (strlen(ret->hash) != 40 || strspn(ret->hash, "0123456789abcdef") != 40)
        return err_set(err, ERR_CODE_INFO, "\"hash\" is not a SHA-1");
    if (ret->version[strspn(ret->version, "0123456789.")])
        return err_set(err, ERR_CODE_INFO, "\"version\" is not a number");
    return 0;
}

int site_code_parse(const char *json, size_t len, const char *dirroot, site_code_t *ret, err_t *err)
{
    json_t *o = json_loadb(json, len, JSON_DISABLE_EOF_CHECK, NULL);
    int rc = take_all(o, dirroot, ret, err);
    json_decref(o);
    return rc;
}

/* The last lines of what a program wrote, as one. */
static void last_words(const buf_t *b, char *buf, size_t size)
{
    const char *text = buf_cstr(b);
    size_t n = b->len, most = size - 1;
    while (n && text[n - 1] == '\n') n--;
    snprintf(buf, size, "%.*s", (int)(n < most ? n : most), text + (n < most ? 0 : n - most));
    for (char *c = buf; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
}

int site_run_code_info(const site_t *s, buf_t *ret_json, err_t *err)
{
    char php[PATH_MAX], script[PATH_MAX + 32], dir[PATH_MAX], words[300];
    char opt[] = "-d", limit[] = "memory_limit=256M";
    cleanup_buf buf_t errors = BUF_INIT;
    snprintf(php, sizeof php, "%s", s->php);
    snprintf(script, sizeof script, "%s/code-info.php", s->template_dir);
    snprintf(dir, sizeof dir, "%s", s->web_dir);
    char *argv[] = {php, opt, limit, script, dir, NULL};
    int status = runner_program(argv, &s->web, CODE_MS, ret_json, &errors, err);
    if (status < 0) return -1;
    if (status == 0 && ret_json->len) return 0;
    last_words(errors.len ? &errors : ret_json, words, sizeof words);
    return err_set(err, ERR_CODE_INFO, "php %s %s: exit status %d: %s", script, dir, status, words);
}

/* A later layer may have changed the code below the file that the build made. */
static bool is_stale(const site_t *s)
{
    char path[PATH_MAX + 16];
    cleanup_buf buf_t b = BUF_INIT;
    snprintf(path, sizeof path, "%s/version.php", s->web_dir);
    return fd_read_file(path, CODE_MAX, &b, NULL) < 0 || !strstr(buf_cstr(&b), s->code.version);
}

int site_read_code(site_t *s, err_t *err)
{
    cleanup_buf buf_t baked = BUF_INIT, fresh = BUF_INIT;
    err_t why = {0};
    if (fd_read_file(SITE_CODE_BAKED, CODE_MAX, &baked, &why) == 0 &&
        site_code_parse(buf_cstr(&baked), baked.len, s->web_dir, &s->code, &why) == 0 && !is_stale(s))
        return 0;
    if (site_run_code_info(s, &fresh, err) < 0) return -1;
    if (site_code_parse(buf_cstr(&fresh), fresh.len, s->web_dir, &s->code, err) == 0) return 0;
    return err_wrap(err, "code-info.php");
}
