#include "base/environment.h"
#include "base/fd.h"
#include "base/secret.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

extern char **environ;

enum { ALL_MAX = 16 << 20, STRINGS = 64 };

/* Many strings with each call, and no copy of them in memory. */
static int write_strings(int fd, char *const *envp)
{
    struct iovec parts[STRINGS];
    while (*envp) {
        int n = 0;
        size_t all = 0;
        for (; n < STRINGS && *envp; n++, envp++) {
            parts[n] = (struct iovec){*envp, strlen(*envp) + 1};
            all += parts[n].iov_len;
        }
        if (writev(fd, parts, n) != (ssize_t)all) return -1; /* a memory file takes all or has no memory */
    }
    return 0;
}

int environment_pack(char *const *envp, err_t *err)
{
    cleanup_fd int fd = memfd_create("environment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return err_sys(err, ERR_OS, "memfd_create");
    if (write_strings(fd, envp) < 0) return err_sys(err, ERR_OS, "writing a memory file");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return err_sys(err, ERR_OS, "sealing a memory file");
    int ret = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); /* whatever of 0 to 2 we were started without */
    return ret < 0 ? err_sys(err, ERR_OS, "a descriptor for the environment") : ret;
}

char **environment_unpack(int fd, err_t *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size > ALL_MAX) {
        err_sys(err, ERR_OS, "descriptor %d holds no environment", fd);
        return NULL;
    }
    size_t size = (size_t)st.st_size, count = 0;
    char *all = calloc(1, size + 1);
    if (!all || pread(fd, all, size, 0) != (ssize_t)size) {
        err_sys(err, ERR_OS, "reading the environment");
        free(all);
        return NULL;
    }
    for (size_t i = 0; i < size; i++) count += all[i] == '\0';
    char **envp = calloc(count + 1, sizeof *envp);
    if (!envp) {
        err_set(err, ERR_MEMORY, "the environment");
        free(all);
        return NULL;
    }
    char *at = all;
    for (size_t i = 0; i < count; at += strlen(at) + 1) envp[i++] = at;
    return envp;
}

int environment_take(int fd, err_t *err)
{
    char **all = environment_unpack(fd, err);
    close(fd);
    if (all) environ = all;
    return all ? 0 : -1;
}

int environment_take_option(int argc, char **argv, err_t *err)
{
    bool given = argc == 3 && strcmp(argv[1], "--environment") == 0;
    return given ? environment_take((int)strtol(argv[2], NULL, 10), err) : 0;
}

void environment_wipe(char **envp)
{
    for (; *envp; envp++) secret_wipe(*envp, strlen(*envp));
}

const char *environment_find(char *const *envp, const char *name)
{
    size_t n = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=') return (*envp)[n + 1] ? *envp + n + 1 : NULL;
    return NULL;
}

bool environment_mentions(char *const *envp, const char *name)
{
    size_t n = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0) return true;
    return false;
}

bool environment_is_empty(char *const *envp, const char *name)
{
    size_t n = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0 && strcmp(*envp + n, "=") == 0) return true;
    return false;
}
