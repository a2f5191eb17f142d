/* secret.h - a value that must not be seen. There is no way to format it; look at every use of secret_bytes(). */
#ifndef MOODLECTL_BASE_SECRET_H
#define MOODLECTL_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

typedef struct secret secret_t;

secret_t *secret_new(const char *bytes, size_t len); /* copies; NULL when out of memory */
void secret_free(secret_t **s);                      /* wipes; NULL-safe; sets *s to NULL */
const char *secret_bytes(const secret_t *s);         /* NUL-terminated; "" for NULL */
size_t secret_len(const secret_t *s);
void secret_wipe(void *p, size_t len); /* explicit_bzero */

#endif
