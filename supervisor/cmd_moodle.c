#include "base/fd.h"
#include "base/nearest.h"
#include "base/secret.h"
#include "supervisor/cmd_table.h"
#include "supervisor/spawn.h"
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* ---- which script ---- */

/* "cron", "cron.php" or "mod/quiz/cli/x.php"; nothing that could lead out of the code. */
static bool is_plain_name(const char *script)
{
    if (!*script || *script == '/' || *script == '-' || *script == '.') return false;
    for (const char *p = script; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!letter && !strchr("_-./", *p)) return false;
        if (*p == '/' && (p[1] == '.' || p[1] == '/')) return false;
    }
    return true;
}

static int script_path(const char *code_dir, const char *script, char *ret_path, size_t size)
{
    size_t len = strlen(script);
    const char *suffix = len > 4 && strcmp(script + len - 4, ".php") == 0 ? "" : ".php";
    const char *folder = strchr(script, '/') ? "" : "admin/cli/";
    if (strchr(script, '/') && !strstr(script, "/cli/")) return -1;
    int n = snprintf(ret_path, size, "%s/%s%s%s", code_dir, folder, script, suffix);
    if (n < 0 || (size_t)n >= size) return -1;
    /* a link out of the tree would run somebody else's code */
    cleanup_free char *real = realpath(ret_path, NULL), *root = realpath(code_dir, NULL);
    struct stat st;
    if (!real || !root || stat(real, &st) < 0 || !S_ISREG(st.st_mode)) return -1;
    size_t under = strlen(root);
    return strncmp(real, root, under) == 0 && real[under] == '/' ? 0 : -1;
}

static void nearest_script(const char *code_dir, const char *script, char *ret_name, size_t size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/admin/cli", code_dir);
    DIR *dir = opendir(path);
    size_t least = SIZE_MAX;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        size_t len = strlen(e->d_name);
        if (len <= 4 || strcmp(e->d_name + len - 4, ".php") != 0) continue;
        e->d_name[len - 4] = '\0';
        size_t d = nearest_distance(script, e->d_name);
        if (d >= least || !nearest_is_near(script, d)) continue;
        least = d;
        snprintf(ret_name, size, "%s", e->d_name);
    }
    if (dir) closedir(dir);
}

static int no_such_script(const char *code_dir, const char *script)
{
    char near[NAME_MAX + 1] = "";
    nearest_script(code_dir, script, near, sizeof near);
    fprintf(stderr, "moodlectl: there is no script \"%s\" in %s\n", script, code_dir);
    if (*near)
        fprintf(stderr, "Did you mean \"moodlectl moodle %s\"?\n", near);
    else
        fprintf(stderr, "Give a name from admin/cli, or a path such as mod/x/cli/y.php inside the code.\n");
    return EXIT_NOT_FOUND;
}

/* ---- as whom, with what ---- */

/* What `prepare` has settled for all of Moodle's scripts. Strings belong to the JSON. */
typedef struct {
    json_t *lead;
    const char *php, *php_ini, *code_dir, *home;
    json_int_t uid, gid;
} site_t;

static int site_read(const char *run_dir, site_t *ret, err_t *err)
{
    cleanup_buf buf_t path = BUF_INIT, text = BUF_INIT;
    buf_printf(&path, "%s/lead.json", run_dir);
    if (path.failed) return err_set(err, ERR_MEMORY, "reading %s", run_dir);
    if (fd_read_file(path.data, 1 << 20, &text, err) < 0) {
        if (err->sys == EACCES) return err_set(err, ERR_CONTROL, "%s may be read by root only", path.data);
        return err_set(err, ERR_NOT_RUNNING, "nothing has been rendered: there is no %s", path.data);
    }
    ret->lead = json_loadb(buf_cstr(&text), text.len, 0, NULL);
    if (json_unpack(ret->lead, "{s:s,s:s,s:s,s:s,s:I,s:I}", "php", &ret->php, "php_ini", &ret->php_ini,
                    "code_dir", &ret->code_dir, "web_home", &ret->home, "web_uid", &ret->uid, "web_gid",
                    &ret->gid) == 0)
        return 0;
    json_decref(ret->lead);
    return err_set(err, ERR_NOT_RUNNING, "%s was rendered by another version", path.data);
}

static int become_web_user(const site_t *site, err_t *err)
{
    gid_t gid = (gid_t)site->gid;
    if (geteuid() != 0) return 0; /* everything belongs to us then */
    if (setgroups(1, &gid) < 0 || setgid(gid) < 0 || setuid((uid_t)site->uid) < 0)
        return err_sys(err, ERR_OS, "become uid %d gid %d", (int)site->uid, (int)gid);
    return 0;
}

static int exec_php(const site_t *site, char *path, const cli_args_t *args)
{
    enum { BEFORE = 4 };
    static char option[] = "-c",
                env_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                lang[] = "LANG=C.UTF-8";
    char home[PATH_MAX + 8], tz[256], program[PATH_MAX], ini[PATH_MAX];
    snprintf(home, sizeof home, "HOME=%s", site->home);
    snprintf(tz, sizeof tz, "TZ=%s", settings_str(args->settings, SET_tz));
    snprintf(program, sizeof program, "%s", site->php);
    snprintf(ini, sizeof ini, "%s", site->php_ini);
    char *env[] = {env_path, lang, home, *settings_str(args->settings, SET_tz) ? tz : NULL, NULL};
    char **argv = calloc((size_t)args->count + BEFORE, sizeof *argv);
    if (!argv) return EXIT_OSERR;
    argv[0] = program;
    argv[1] = option;
    argv[2] = ini;
    argv[3] = path;
    for (int i = 1; i <= args->count; i++) argv[BEFORE + i - 1] = args->words[i]; /* the last one is NULL */
    fflush(NULL);
    execve(program, argv, env);
    int why = errno, status = why == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    free(argv);
    fprintf(stderr, "moodlectl: execute %s: %s\nCheck MOODLECTL_PHP.\n", program, strerror(why));
    return status;
}

int cmd_moodle(const cli_args_t *args)
{
    err_t err = {0};
    site_t site = {0};
    char path[PATH_MAX], what[256];
    const char *script = args->words[0];
    if (site_read(settings_str(args->settings, SET_run_dir), &site, &err) < 0) return cli_fail(&err);
    int status;
    if (!is_plain_name(script) || script_path(site.code_dir, script, path, sizeof path) < 0) {
        status = no_such_script(site.code_dir, script);
    } else {
        snprintf(what, sizeof what, "moodle %s", script);
        cmd_audit(args->settings, what);
        spawn_reset_signals();
        secret_forbid_core();
        umask(007); /* files open to the group, as Moodle's directorypermissions are */
        status = become_web_user(&site, &err) < 0 ? cli_fail(&err) : exec_php(&site, path, args);
    }
    json_decref(site.lead);
    return status;
}
