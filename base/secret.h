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

/* No core file of this process and of its children, whatever they become: size limit 0, and for one that is lifted from outside
 * an empty coredump_filter, so that a core holds no memory (core(5); both survive fork and exec). Call before secret_hide(). */
void secret_forbid_core(void);
void secret_hide(
    void); /* nobody else reads our memory or environment in /proc, or traces us (prctl(2)); ends at exec */

bool secret_is_key(const char *json_key); /* a member of the rendered JSON files whose value is a secret */

#endif
