/* wiped.h - memory for libraries that pass secrets through their own buffers: what is given back is overwritten first. They are told to
 * use it at their start (jansson json_set_alloc_funcs, curl_global_init_mem(3), CRYPTO_set_mem_functions(3)).
 * As malloc(3) otherwise; a size of 0 frees nothing. */
#ifndef MOODLECTL_BASE_WIPED_H
#define MOODLECTL_BASE_WIPED_H

#include <stddef.h>

void wiped_free(void *p);
void *wiped_realloc(void *p, size_t size); /* never in place when it grows: the old bytes are wiped */

#endif
