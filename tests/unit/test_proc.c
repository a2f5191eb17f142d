/* links: base */
#include "base/proc.h"
#include "test.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void names_may_hold_anything(void **state)
{
    (void)state;
    proc_stat_t p;
    assert_true(proc_stat_parse("42 (a) b (c) S 7 42 42 0", &p));
    assert_string_equal(p.name, "a) b (c");
    assert_int_equal(p.state, 'S');
    assert_int_equal(p.ppid, 7);
    assert_false(proc_stat_parse("", &p));
    assert_false(proc_stat_parse("42 (x", &p));
    assert_false(proc_stat_parse("42 )(", &p));
    assert_false(proc_stat_parse("42 (x) S", &p));
}

static void note(pid_t pid, const proc_stat_t *p, void *arg)
{
    (void)p;
    *(pid_t *)arg = pid;
}

static void children_without_zombies(void **state)
{
    (void)state;
    pid_t seen = 0, child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(proc_children(note, &seen), 1);
    assert_int_equal(seen, child);
    kill(child, SIGKILL);
    siginfo_t si;
    waitid(P_PID, (id_t)child, &si, WEXITED | WNOWAIT); /* dead, not reaped */
    assert_int_equal(proc_children(note, &seen), 0);
    waitpid(child, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_may_hold_anything),
                                       cmocka_unit_test(children_without_zombies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
