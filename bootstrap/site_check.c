#include "base/fd.h"
#include "bootstrap/site.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_MS = 20000, FILE_MAX = 1 << 16 };

static void check_program(const char *path, const char *what, const char *setting, problems_t *problems)
{
    if (!*path)
        problems_add(problems, ERR_PROGRAM_MISSING, "no %s found; %s names one", what, setting);
    else if (access(path, X_OK) < 0)
        problems_add(problems, ERR_PROGRAM_MISSING, "%s %s: %s (%s)", what, path, strerror(errno), setting);
}

void site_check_programs(const site_t *s, problems_t *problems)
{
    check_program(s->nginx, "nginx", "MOODLECTL_NGINX", problems);
    check_program(s->php_fpm, "PHP-FPM", "MOODLECTL_PHP_FPM", problems);
    check_program(s->php, "PHP command line", "MOODLECTL_PHP", problems);
}

/* In a child as the web user: a file is made, filled, renamed and removed. The exit status says which step failed. */
static int try_write(void *arg)
{
    enum { CREATE = 1, WRITE, RENAME, REMOVE };
    char path[PATH_MAX], other[PATH_MAX];
    snprintf(path, sizeof path, "%s/.moodlectl-test-%ld-XXXXXX", (const char *)arg, (long)getpid());
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return CREATE;
    snprintf(other, sizeof other, "%.*s-renamed", (int)sizeof other - 16, path);
    bool written = write(fd, "moodlectl\n", 10) == 10 && fsync(fd) == 0;
    if (close(fd) < 0 || !written) {
        unlink(path);
        return WRITE;
    }
    if (rename(path, other) < 0) {
        unlink(path);
        return RENAME;
    }
    return unlink(other) < 0 ? REMOVE : 0;
}

void site_check_data(const site_t *s, problems_t *problems)
{
    static const char *const steps[] = {"", "create", "write", "rename", "remove"};
    struct stat st;
    err_t err = {0};
    char dir[PATH_MAX];
    if (stat(s->data_dir, &st) < 0) {
        problems_add(problems, ERR_DATA_MISSING, "%s: %s", s->data_dir, strerror(errno));
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        problems_add(problems, ERR_DATA_MISSING, "%s is not a directory", s->data_dir);
        return;
    }
    snprintf(dir, sizeof dir, "%s", s->data_dir);
    int status = runner_call(try_write, dir, &s->web, WRITE_MS, &err);
    if (status < 0) {
        err.id = ERR_DATA_WRITE;
        problems_take(problems, &err);
    } else if (status > 0) {
        problems_add(problems, ERR_DATA_WRITE,
                     "uid %d, gid %d cannot %s a file in %s (it belongs to uid %d, gid %d, mode %04o)",
                     (int)s->web.uid, (int)s->web.gid, steps[status < 5 ? status : 1], s->data_dir,
                     (int)st.st_uid, (int)st.st_gid, st.st_mode & 07777);
    }
}

/* config.php of the code tree: 0 ours, 1 none, 2 ours from another release, -1 not ours or unreadable. */
static int classify_config(const char *path, const buf_t *stub)
{
    static const char marker[] = "/* moodlectl: this config.php is a constant.";
    cleanup_buf buf_t b = BUF_INIT;
    err_t err = {0};
    if (access(path, F_OK) < 0) return errno == ENOENT ? 1 : -1;
    if (fd_read_file(path, FILE_MAX, &b, &err) < 0) return -1;
    if (b.len == stub->len && memcmp(buf_cstr(&b), stub->data, b.len) == 0) return 0;
    return strstr(buf_cstr(&b), marker) ? 2 : -1;
}

static void check_config(const site_t *s, problems_t *problems)
{
    char path[PATH_MAX + 16], template[PATH_MAX + 32];
    cleanup_buf buf_t stub = BUF_INIT;
    err_t err = {0};
    file_spec_t spec = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0444};
    snprintf(path, sizeof path, "%s/config.php", s->code_dir);
    snprintf(template, sizeof template, "%s/config-stub.php", s->template_dir);
    if (fd_read_file(template, FILE_MAX, &stub, &err) < 0) {
        err.id = ERR_TEMPLATE;
        problems_take(problems, &err);
        return;
    }
    int kind = classify_config(path, &stub);
    if (kind == 0) return;
    if (kind < 0) {
        problems_add(problems, ERR_CODE_CONFIG, "%s is not moodlectl's config.php", path);
    } else if (fd_replace_file(path, stub.data, stub.len, &spec, &err) < 0) {
        problems_add(problems, ERR_CODE_CONFIG, "%s %s and cannot be written: %s", path,
                     kind == 1 ? "does not exist" : "is of another moodlectl", err.msg);
    }
}

void site_check_code(const site_t *s, problems_t *problems)
{
    static const char *const needed[] = {"version.php", "lib/setup.php", "lib/classes/component.php"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/%s", s->web_dir, needed[i]);
        if (access(path, R_OK) == 0) continue;
        problems_add(problems, ERR_CODE_MISSING, "%s: %s", path, strerror(errno));
        return;
    }
    check_config(s, problems);
}
