#include "base/clock.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t clock_ms(void) { return read_ms(CLOCK_BOOTTIME); }
uint64_t clock_wall_ms(void) { return read_ms(CLOCK_REALTIME); }

void clock_rfc3339(uint64_t wall_ms, char buf[32])
{
    time_t sec = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&sec, &tm);
    size_t n = strftime(buf, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, 32 - n, ".%03uZ", (unsigned)(wall_ms % 1000));
}

void clock_sleep_ms(uint64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (clock_nanosleep(CLOCK_BOOTTIME, 0, &t, &t) == EINTR) {
    }
}

int64_t clock_watch(clock_watch_t *w, uint64_t boot_ms, uint64_t wall_ms)
{
    enum { STEP_MS = 1000 };
    int64_t step = (int64_t)(wall_ms - w->wall_ms) - (int64_t)(boot_ms - w->boot_ms);
    bool first = w->boot_ms == 0;
    *w = (clock_watch_t){boot_ms, wall_ms};
    return first || (step < STEP_MS && step > -STEP_MS) ? 0 : step;
}

uint64_t clock_jitter_ms(uint64_t ms)
{
    unsigned char r = 128;
    if (getrandom(&r, 1, GRND_NONBLOCK) != 1) r = 128;
    return ms * (192 + r / 2) / 256;
}
