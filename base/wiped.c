#include "base/wiped.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void wiped_free(void *p)
{
    if (p) explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

void *wiped_realloc(void *p, size_t size)
{
    size_t had = malloc_usable_size(p); /* of NULL: 0 */
    if (p && size <= had) return p;
    void *fresh = malloc(size ? size : 1);
    if (!fresh) return NULL;
    if (p) memcpy(fresh, p, had);
    wiped_free(p);
    return fresh;
}
