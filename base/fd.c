#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
    int saved = errno;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    errno = saved;
}

void fd_cleanup(int *fd) { fd_close(fd); }

void free_cleanup(void *p)
{
    void *mem = NULL;
    memcpy(&mem, p, sizeof mem);
    free(mem);
}

int fd_write_all(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fd_read_file(const char *path, size_t max, buf_t *ret, err_t *err)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_sys(err, ERR_OS, "open %s", path);
    char chunk[4096];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(err, ERR_OS, "read %s", path);
        if (n == 0) break;
        if (ret->len + (size_t)n > max) return err_set(err, ERR_OS, "%s is larger than %zu bytes", path, max);
        buf_add(ret, chunk, (size_t)n);
    }
    explicit_bzero(chunk, sizeof chunk); /* the file may hold a secret */
    if (ret->failed) return err_set(err, ERR_MEMORY, "reading %s", path);
    return 0;
}

static int write_new(int fd, const void *bytes, size_t len, const file_spec_t *spec)
{
    if (fd_write_all(fd, bytes, len) < 0) return -1;
    if ((spec->uid != (uid_t)-1 || spec->gid != (gid_t)-1) && fchown(fd, spec->uid, spec->gid) < 0) return -1;
    if (fchmod(fd, spec->mode) < 0) return -1;
    return spec->no_sync ? 0 : fsync(fd);
}

int fd_replace_file(const char *path, const void *bytes, size_t len, const file_spec_t *spec, err_t *err)
{
    cleanup_buf buf_t tmp = BUF_INIT;
    buf_printf(&tmp, "%s.new.%d", path, (int)getpid());
    if (tmp.failed) return err_set(err, ERR_MEMORY, "writing %s", path);
    cleanup_fd int fd = open(tmp.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(err, ERR_RENDER_WRITE, "create %s", tmp.data);
    if (write_new(fd, bytes, len, spec) < 0 || rename(tmp.data, path) < 0) {
        err_sys(err, ERR_RENDER_WRITE, "write %s", path);
        unlink(tmp.data);
        return -1;
    }
    return 0;
}

int fd_make_dir(const char *path, const file_spec_t *spec, err_t *err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return err_sys(err, ERR_RENDER_WRITE, "mkdir %s", path);
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_sys(err, ERR_RENDER_WRITE, "open directory %s", path);
    if ((spec->uid != (uid_t)-1 || spec->gid != (gid_t)-1) && fchown(fd, spec->uid, spec->gid) < 0)
        return err_sys(err, ERR_RENDER_WRITE, "chown %s", path);
    if (fchmod(fd, spec->mode) < 0) return err_sys(err, ERR_RENDER_WRITE, "chmod %s", path);
    return 0;
}
