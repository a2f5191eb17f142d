#include "bootstrap/wiped_libraries.h"
#include "base/wiped.h"
#include <curl/curl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void *ssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(size);
}

static void *ssl_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return wiped_realloc(p, size);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    wiped_free(p);
}

void wiped_libraries_init(void)
{
    CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free);
    json_set_alloc_funcs(malloc, wiped_free);
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiped_free, wiped_realloc, strdup, calloc);
}
