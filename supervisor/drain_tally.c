#include "supervisor/drain_tally.h"
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 1000000000 };

/* The number behind "key": of the format's own text; a client's words stand inside quotes, where a quote is written \". */
static double number_of(const char *json, size_t len, const char *key)
{
    char digits[24] = "";
    const char *at = memmem(json, len, key, strlen(key));
    if (!at) return 0;
    at += strlen(key);
    size_t n = len - (size_t)(at - json);
    memcpy(digits, at, n < sizeof digits - 1 ? n : sizeof digits - 1);
    double number = strtod(digits, NULL);
    return number >= 0 && number < NUMBER_MAX ? number : 0; /* not what nginx writes, nor is nan */
}

void drain_tally_line(drain_tally_t *t, const char *json, size_t len, bool time_is_up)
{
    uint64_t ms = (uint64_t)(number_of(json, len, "\"seconds\":") * 1000 + 0.5);
    if (ms > t->longest_ms) t->longest_ms = ms;
    if (memmem(json, len, "\"completed\":true", 16)) {
        t->completed++;
        t->errors += number_of(json, len, "\"status\":") >= 500;
    } else if (time_is_up) {
        t->cut++;
    } else {
        t->aborted++;
    }
}
