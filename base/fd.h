/* fd.h - descriptors: close-on-exec from birth. */
#ifndef MOODLECTL_BASE_FD_H
#define MOODLECTL_BASE_FD_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

void fd_close(int *fd); /* closes if >= 0, sets to -1, keeps errno */
void fd_cleanup(int *fd);
void free_cleanup(void *p);
#define cleanup_fd   __attribute__((cleanup(fd_cleanup)))
#define cleanup_free __attribute__((cleanup(free_cleanup)))
#define cleanup_buf  __attribute__((cleanup(buf_free)))

int fd_write_all(int fd, const void *bytes, size_t len); /* blocks; 0 or -1 with errno */
int fd_read_file(const char *path, size_t max, buf_t *ret,
                 err_t *err); /* whole file; error above max bytes */

typedef struct file_spec {
    uid_t uid; /* (uid_t)-1: leave */
    gid_t gid; /* (gid_t)-1: leave */
    mode_t mode;
    bool no_sync; /* do not wait for the disk: for state that a restart makes anew */
} file_spec_t;
/* Temporary file beside `path`, fsync (unless no_sync), owner, mode, rename: a reader sees the old or the new bytes, never a mixture. */
int fd_replace_file(const char *path, const void *bytes, size_t len, const file_spec_t *spec, err_t *err);
/* mkdir unless it is there, then owner and mode of that one directory; never its contents. */
int fd_make_dir(const char *path, const file_spec_t *spec, err_t *err);

#endif
