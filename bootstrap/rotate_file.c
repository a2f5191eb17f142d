#include "bootstrap/rotate_file.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JSON_MAX = 1 << 20 };

static void path_of(const char *run_dir, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", run_dir, name);
}

json_t *rotate_file_read(const char *run_dir, const char *name, err_t *err)
{
    char path[PATH_MAX];
    cleanup_buf buf_t text = BUF_INIT;
    path_of(run_dir, name, path);
    if (fd_read_file(path, JSON_MAX, &text, err) < 0) return NULL;
    json_t *o = json_loadb(buf_cstr(&text), text.len, 0, NULL); /* its error text could quote a secret */
    if (json_is_object(o)) return o;
    json_decref(o);
    err_set(err, ERR_RENDER_WRITE, "%s is not a JSON object", path);
    return NULL;
}

int rotate_file_write(const char *run_dir, const char *name, const json_t *content, err_t *err)
{
    char path[PATH_MAX];
    struct stat st;
    path_of(run_dir, name, path);
    if (stat(path, &st) < 0) return err_sys(err, ERR_OS, "stat %s", path);
    file_spec_t spec = {.uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode & 07777, .no_sync = true};
    char *text = json_dumps(content, JSON_INDENT(1));
    if (!text) return err_set(err, ERR_MEMORY, "no memory for %s", name);
    size_t len = strlen(text);
    text[len] = '\n'; /* in the place of the zero byte */
    int rc = fd_replace_file(path, text, len + 1, &spec, err);
    secret_wipe(text, len);
    free(text);
    return rc;
}

/* The head of a file that the web user may have replaced by anything. */
static ssize_t read_head(const char *path, char *buf, size_t size, struct stat *ret_st, err_t *err)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, ret_st) < 0) return err_sys(err, ERR_OS, "open %s", path);
    if (!S_ISREG(ret_st->st_mode)) return err_set(err, ERR_OS, "%s is not a file", path);
    ssize_t n = read(fd, buf, size);
    return n < 0 ? err_sys(err, ERR_OS, "read %s", path) : n;
}

static int write_stores(const char *run_dir, const char *old_name, const struct stat *old, json_t *moodle,
                        err_t *err)
{
    char path[PATH_MAX], name[64];
    cleanup_buf buf_t php = BUF_INIT;
    file_spec_t spec = {.uid = old->st_uid, .gid = old->st_gid, .mode = 0660, .no_sync = true};
    snprintf(name, sizeof name, "muc/cacheconfig.%llu.php", (unsigned long long)clock_wall_ms());
    path_of(run_dir, name, path);
    buf_printf(&php,
               "<?php // moodlectl: a password was rotated\n"
               "defined('MOODLE_INTERNAL') || die();\n"
               "require __DIR__ . '/%s';\n"
               "$configuration['stores'] = (require __DIR__ . '/../muc-stores.php')()['stores'] + "
               "$configuration['stores'];\n",
               old_name);
    if (php.failed) return err_set(err, ERR_MEMORY, "no memory for %s", name);
    if (fd_replace_file(path, php.data, php.len, &spec, err) < 0) return -1;
    return json_object_set_new(moodle, "muc", json_string(path)) < 0
               ? err_set(err, ERR_MEMORY, "no memory for moodle.json")
               : 0;
}

int rotate_file_follow_stores(const char *run_dir, json_t *moodle, err_t *err)
{
    char dir[PATH_MAX], head[2048];
    struct stat st;
    const char *path = json_string_value(json_object_get(moodle, "muc"));
    path_of(run_dir, "muc/", dir);
    size_t n = strlen(dir);
    if (!path || strncmp(path, dir, n) != 0 ||
        strspn(path + n, "abcdefghijklmnopqrstuvwxyz0123456789.") != strlen(path + n))
        return 0; /* not a file of ours */
    ssize_t got = read_head(path, head, sizeof head, &st, err);
    if (got < 0) return -1;
    if (memmem(head, (size_t)got, "muc-stores.php", 14)) return 0; /* follows by itself */
    return write_stores(run_dir, path + n, &st, moodle, err);
}
