/* logpath - what the search for secrets costs process 1's log: lines of nginx, PHP-FPM and cron take the way from a read to the
 * write with and without known secrets, by turns, one process, output to /dev/null.
 *
 *     ninja -C build/release bench_logpath && build/release/bench_logpath [SECRETS [ROUNDS]]
 */
#include "base/clock.h"
#include "base/redact.h"
#include "supervisor/logfwd.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, CHUNKS = 400, ROUNDS = 15, SECRETS = 8 };

static int write_line(stream_kind_t kind, char *to, size_t size, int i)
{
    int id = i * 7919 % 100003, line = i * 31 % 4099;
    switch (kind) {
    case STREAM_NGINX:
        return snprintf(
            to, size,
            "{\"remote\":\"10.0.12.%d\",\"method\":\"GET\",\"uri\":\"/mod/quiz/"
            "attempt.php?attempt=%d&cmid=%d\","
            "\"status\":200,\"bytes\":48213,\"seconds\":0.182,\"upstream\":\"0.181\",\"agent\":\"Mozilla/5.0 "
            "(X11; "
            "Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\",\"forwarded\":\"203.0.113.7\"}\n",
            i % 250, id, line);
    case STREAM_PHP:
        return snprintf(to, size,
                        "[25-Nov-2026 07:00:%02d UTC] PHP Notice:  Undefined index: course%d in "
                        "/srv/moodle/lib/moodlelib.php on line %d\n",
                        i % 60, id, line);
    default:
        return snprintf(to, size,
                        "... used %d dbqueries, ... used 0.0%d seconds; sent digest %d of forum %d\n", i % 60,
                        i % 97, id, line);
    }
}

static size_t fill(char *chunk, stream_kind_t kind)
{
    size_t n = 0;
    for (int i = 0; n + 600 < CHUNK; i++) n += (size_t)write_line(kind, chunk + n, CHUNK - n, i);
    return n;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Megabytes of input a second of processor time. */
static double measure(stream_kind_t kind, const char *chunk, size_t len)
{
    double began = now_s();
    for (int i = 0; i < CHUNKS; i++) stream_try(kind, "bench", chunk, len);
    outq_flush();
    return (double)len * CHUNKS / 1e6 / (now_s() - began);
}

static void learn(int secrets)
{
    for (int i = 0; i < secrets; i++) {
        char value[64];
        snprintf(value, sizeof value, "Xk%d\"v/%dQz&7mT+pL%d", i, i * 7919 % 997, i * 31);
        redact_add(value, strlen(value), 1);
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_size);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    static char chunk[CHUNK];
    static const struct {
        const char *name;
        stream_kind_t kind;
    } KINDS[] = {{"nginx access", STREAM_NGINX}, {"PHP notices", STREAM_PHP}, {"cron", STREAM_LINES}};
    int secrets = argc > 1 ? (int)strtol(argv[1], NULL, 10) : SECRETS;
    int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : ROUNDS;
    double *plain = calloc((size_t)rounds, sizeof *plain),
           *searched = calloc((size_t)rounds, sizeof *searched);
    uv_loop_t loop;
    if (!plain || !searched || rounds < 1 || uv_loop_init(&loop) < 0) return 1;
    outq_open(&loop, open("/dev/null", O_WRONLY | O_CLOEXEC));
    logfmt_init(true, LOG_INFO_, "bench");
    printf("%d secrets, median of %d rounds\n%-14s %12s %12s %8s\n", secrets, rounds, "lines of",
           "plain MB/s", "searched", "cost");
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        size_t len = fill(chunk, KINDS[k].kind);
        for (int r = 0; r < rounds; r++) {
            redact_forget(UINT64_MAX);
            plain[r] = measure(KINDS[k].kind, chunk, len);
            learn(secrets);
            searched[r] = measure(KINDS[k].kind, chunk, len);
        }
        double p = median(plain, rounds), s = median(searched, rounds);
        printf("%-14s %12.0f %12.0f %7.1f%%\n", KINDS[k].name, p, s, (p / s - 1) * 100);
    }
    outq_close(0);
    return 0;
}
