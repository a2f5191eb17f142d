/* links: coord base
 * What a login says when there is nobody, or somebody strange, at the other end. Listeners of this test; real servers are in
 * tests/contract. */
#include "base/clock.h"
#include "base/fd.h"
#include "coord/db.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char name[] = "moodle", host_ip[] = "127.0.0.1", prefix[] = "mdl_", tls[] = "prefer", none[] = "";

static target_db_t target(const char *type, int port)
{
    return (target_db_t){.type = (char *)(uintptr_t)type,
                         .host = host_ip,
                         .name = name,
                         .user = name,
                         .prefix = prefix,
                         .tls = tls,
                         .ca = none,
                         .port = port,
                         .password = NULL};
}

static int listener(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static err_id_t try_open(const target_db_t *t, uint64_t limit)
{
    err_t err = {0};
    uint64_t from = clock_ms();
    db_t *db = db_open(t, "test", limit, &err);
    assert_null(db);
    assert_true(clock_ms() - from < limit + 500);
    assert_true(err.msg[0] != '\0' && strchr(err.msg, '\n') == NULL);
    return err.id;
}

static const char *const TYPES[] = {"pgsql", "mariadb"};

static void nobody_listens(void **state)
{
    (void)state;
    int port;
    int fd = listener(&port);
    close(fd);
    for (int i = 0; i < 2; i++) {
        target_db_t t = target(TYPES[i], port);
        assert_int_equal(try_open(&t, 2000), ERR_DB_REFUSED);
    }
}

static void somebody_is_silent(void **state)
{
    (void)state;
    int port;
    int fd = listener(&port);
    for (int i = 0; i < 2; i++) {
        target_db_t t = target(TYPES[i], port);
        assert_int_equal(try_open(&t, 400), ERR_DB_TIMEOUT);
    }
    close(fd);
}

static void no_such_name(void **state)
{
    (void)state;
    char host[] = "no-such-host.invalid"; /* RFC 2606: never resolves */
    for (int i = 0; i < 2; i++) {
        target_db_t t = target(TYPES[i], 1);
        t.host = host;
        err_t err = {0};
        assert_null(db_open(&t, "test", 2000, &err));
        assert_int_equal(err.id, ERR_DB_DNS);
    }
}

static void family_by_moodles_names(void **state)
{
    (void)state;
    assert_int_equal(db_family_of("pgsql"), DB_PGSQL);
    assert_int_equal(db_family_of("mysqli"), DB_MYSQL);
    assert_int_equal(db_family_of("mariadb"), DB_MYSQL);
    assert_int_equal(db_family_of("auroramysql"), DB_MYSQL);
}

static void cells(void **state)
{
    (void)state;
    char one[] = "1", t[] = "t", word[] = "x", decimal[] = "12.0", big[] = "99999999999999999999";
    char *all[] = {one, t, NULL, word, decimal, big};
    db_rows_t r = {.rows = 1, .cols = 6, .cells = all};
    assert_true(db_cell_true(&r, 0, 0) && db_cell_true(&r, 0, 1));
    assert_false(db_cell_true(&r, 0, 2) || db_cell_true(&r, 0, 3) || db_cell_true(&r, 1, 0));
    assert_string_equal(db_cell(&r, 0, 2), "");
    assert_int_equal(db_cell_int(&r, 0, 4, 9), 12);
    assert_int_equal(db_cell_int(&r, 0, 3, 9), 9);
    assert_int_equal(db_cell_int(&r, 0, 5, 9), 9);
    assert_int_equal(db_cell_int(&r, 0, 2, 9), 9);
}

int main(void)
{
    db_resolver_limit();
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_listens), cmocka_unit_test(somebody_is_silent),
                                       cmocka_unit_test(no_such_name),
                                       cmocka_unit_test(family_by_moodles_names), cmocka_unit_test(cells)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
