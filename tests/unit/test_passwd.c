/* links: base */
#include "test.h"

#include "base/passwd.h"
#include <unistd.h>

static void test_by_name_and_number(void **state)
{
    (void)state;
    uid_t uid = 7;
    gid_t gid = 7;
    err_t err = {0};
    if (geteuid() != 0) { /* the own ids, whatever the name */
        assert_int_equal(passwd_find("no-such-user", &uid, &gid, &err), 0);
        assert_int_equal(uid, geteuid());
        assert_int_equal(gid, getegid());
        return;
    }
    assert_int_equal(passwd_find("root", &uid, &gid, &err), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(passwd_find("daemon", &uid, &gid, &err), 0);
    assert_int_equal(uid, 1);
    assert_int_equal(gid, 1);
    assert_int_equal(passwd_find("1", &uid, &gid, &err), 0);
    assert_int_equal(gid, 1);
    assert_int_equal(passwd_find("54321", &uid, &gid, &err), 0); /* no entry: the same number */
    assert_int_equal(uid, 54321);
    assert_int_equal(gid, 54321);
    assert_int_equal(passwd_find("no-such-user", &uid, &gid, &err), -1);
    assert_int_equal(err.id, ERR_USER);
    assert_int_equal(passwd_find("", &uid, &gid, &err), -1);
    assert_int_equal(passwd_find("99999999999", &uid, &gid, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_name_and_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
