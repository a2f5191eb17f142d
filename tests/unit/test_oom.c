/* links: coord base */
#include "coord/oom.h"
#include "test.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t counted(const char *text)
{
    char path[] = "/tmp/oom-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    uint64_t n = oom_kills(path);
    unlink(path);
    return n;
}

static void the_kernels_counter(void **state)
{
    (void)state;
    assert_int_equal(counted("low 0\nhigh 0\nmax 812\noom 9\noom_kill 7\noom_group_kill 2\n"), 7);
    assert_int_equal(counted("low 0\noom 9\n"), 0);
    assert_int_equal(counted(""), 0);
    assert_int_equal(counted("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), 3); /* version 1 */
    assert_int_equal(oom_kills("/no/such/file"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_kernels_counter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
