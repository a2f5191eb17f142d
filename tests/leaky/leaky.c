/* moodlectl with a hole (tests/CMakeLists.txt links its own code with one of these in the place of base/redact.c's): what the canary at the
 * start is for. LEAK 1: text passes as it is. LEAK 2: so does a child's JSON object. */
#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>

#if LEAK == 1
bool __wrap_redact_copy(const char *bytes, size_t len, buf_t *ret);
bool __wrap_redact_copy(const char *bytes, size_t len, buf_t *ret)
{
    (void)bytes, (void)len, (void)ret;
    return false;
}
#else
bool __wrap_redact_find(const char *bytes, size_t len);
bool __wrap_redact_find(const char *bytes, size_t len)
{
    (void)bytes, (void)len;
    return false;
}
#endif
