#include "base/secret.h"
#include <stdlib.h>
#include <string.h>

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
