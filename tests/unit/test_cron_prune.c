/* links: coord base */
#include "coord/cron_prune.h"
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void put(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/cache/%s", dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static bool needed(void) { return cron_prune_needed(dir, "0123456789abcdef0123"); }

static void only_other_releases_count(void **state)
{
    (void)state;
    char place[] = "/tmp/prune-XXXXXX";
    snprintf(dir, sizeof dir, "%s", mkdtemp(place));
    assert_false(needed()); /* no cache yet */
    char cache[80];
    snprintf(cache, sizeof cache, "%s/cache", dir);
    mkdir(cache, 0700);
    static const char *const kept[] = {"m01234567", "m0123456", "mABCDEF01", "cachestore_file", "mod_quiz_"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) put(kept[i]);
    assert_false(needed());
    put("mfedcba98");
    assert_true(needed());
    static const char *const all[] = {"m01234567",       "m0123456",  "mABCDEF01",
                                      "cachestore_file", "mod_quiz_", "mfedcba98"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/cache/%s", dir, all[i]);
        rmdir(path);
    }
    rmdir(cache);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_other_releases_count)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
