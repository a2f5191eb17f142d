#include "base/nearest.h"
#include <ctype.h>
#include <stdint.h>
#include <string.h>

static int lower(char c) { return tolower((unsigned char)c); }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Optimal string alignment with three rows. */
size_t nearest_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > NEAREST_MAX || lb > NEAREST_MAX) return SIZE_MAX;
    size_t rows[3][NEAREST_MAX + 1] = {0};
    size_t *before = rows[0], *prev = rows[1], *cur = rows[2];
    for (size_t j = 0; j <= lb; j++) prev[j] = j;
    for (size_t i = 1; i <= la; i++) {
        cur[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t same = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            cur[j] = least(least(prev[j], cur[j - 1]) + 1, prev[j - 1] + same);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                cur[j] = least(cur[j], before[j - 2] + 1);
        }
        size_t *t = before;
        before = prev;
        prev = cur;
        cur = t;
    }
    return prev[lb];
}

int nearest_is_near(const char *typed, size_t distance) { return distance <= 1 + strlen(typed) / 5; }
