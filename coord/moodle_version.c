#include "coord/moodle_version.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 15 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool moodle_version_parse(const char *text, int64_t *ret)
{
    int64_t v = 0;
    int whole = 0, fraction = 0;
    for (; is_digit(*text); text++, whole++) {
        if (whole == DIGITS_MAX) return false;
        v = v * 10 + (*text - '0');
    }
    if (whole == 0) return false;
    v *= 100;
    if (*text == '.') {
        for (text++; is_digit(*text); text++, fraction++) {
            if (fraction == 2) return false;
            v += (*text - '0') * (fraction == 0 ? 10 : 1);
        }
        if (fraction == 0) return false;
    }
    *ret = v;
    return *text == '\0';
}

void moodle_version_format(int64_t version, char *buf, size_t size)
{
    int cents = (int)(version % 100);
    if (cents)
        snprintf(buf, size, "%" PRId64 ".%02d", version / 100, cents);
    else
        snprintf(buf, size, "%" PRId64, version / 100);
}
