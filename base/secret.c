#include "base/secret.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct secret {
    size_t len;
    char bytes[];
};

secret_t *secret_new(const char *bytes, size_t len)
{
    secret_t *s = malloc(sizeof *s + len + 1);
    if (!s) return NULL;
    s->len = len;
    if (len) memcpy(s->bytes, bytes, len);
    s->bytes[len] = '\0';
    return s;
}

void secret_free(secret_t **s)
{
    if (!*s) return;
    secret_wipe(*s, sizeof **s + (*s)->len + 1);
    free(*s);
    *s = NULL;
}

const char *secret_bytes(const secret_t *s) { return s ? s->bytes : ""; }
size_t secret_len(const secret_t *s) { return s ? s->len : 0; }
void secret_wipe(void *p, size_t len) { explicit_bzero(p, len); }

void secret_forbid_core(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return; /* a kernel without it: the limit remains */
    ssize_t n = write(fd, "0", 1);
    (void)n;
    close(fd);
}

void secret_hide(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

bool secret_is_key(const char *json_key)
{
    static const char *const keys[] = {"password", "admin_password", "upgradekey"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(json_key, keys[i]) == 0) return true;
    return false;
}
