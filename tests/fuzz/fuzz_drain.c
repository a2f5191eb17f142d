/* fuzz_drain - what a stop reads from outside: nginx's access lines with a client's words in them, nginx's counts, the kernel's table. */
#include "supervisor/drain_tally.h"
#include "supervisor/nginx_load.h"
#include "supervisor/tcp_resets.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    drain_tally_t t = {0};
    nginx_load_t load;
    char *bytes =
        malloc(size + 1); /* no NUL behind the bytes that are given with a length: a read too far is seen */
    char *text = malloc(size + 1);
    if (!bytes || !text) abort();
    char *exact = realloc(bytes, size ? size : 1);
    memcpy(exact, data, size);
    drain_tally_line(&t, exact, size, size % 2);
    assert(t.completed + t.aborted + t.cut == 1 && t.errors <= t.completed);
    if (nginx_load_parse(exact, size, &load)) assert(load.in_flight >= 0 && load.keep_alive >= 0);
    memcpy(text, data, size);
    text[size] = '\0';
    tcp_resets_parse(text);
    free(exact);
    free(text);
    return 0;
}
