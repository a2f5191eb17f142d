/* links: coord base
 * Redis that answers strangely, played by a thread-less child of this test. The real one is in tests/contract. */
#include "base/clock.h"
#include "base/fd.h"
#include "coord/redis_probe.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char host[] = "127.0.0.1", none[] = "", prefix[] = "mdl_";

/* Answers each thing that is sent with `answer`; NULL: silence; "": closes. */
static pid_t server(const char *answer, int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 4), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    pid_t pid = fork();
    if (pid == 0) {
        char chunk[1024];
        for (;;) {
            int c = accept(fd, NULL, NULL);
            while (c >= 0 && read(c, chunk, sizeof chunk) > 0) {
                if (!answer) pause();
                if (!*answer || write(c, answer, strlen(answer)) < 0) break;
            }
            close(c);
        }
    }
    close(fd);
    return pid;
}

static err_id_t probe(const char *answer, bool tls, uint64_t limit)
{
    int port;
    err_t err = {0};
    pid_t pid = server(answer, &port);
    target_redis_t t = {.present = true,
                        .tls = tls,
                        .host = host,
                        .user = none,
                        .ca = none,
                        .prefix = prefix,
                        .port = port,
                        .password = secret_new("top-secret", 10)};
    uint64_t from = clock_ms();
    int rc = redis_probe(&t, limit, &err);
    assert_true(clock_ms() - from < limit + 300);
    assert_int_equal(rc, err.id ? -1 : 0);
    assert_null(strstr(err.msg, "top-secret"));
    secret_free(&t.password);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return err.id;
}

static void strange_answers(void **state)
{
    (void)state;
    assert_int_equal(probe("-WRONGPASS invalid username-password pair\r\n", false, 1000), ERR_REDIS_AUTH);
    assert_int_equal(probe("-ERR invalid password\r\n", false, 1000), ERR_REDIS_AUTH);
    assert_int_equal(probe("-LOADING Redis is loading the dataset in memory\r\n", false, 1000),
                     ERR_REDIS_REPLY);
    assert_int_equal(probe("-READONLY You can't write against a read only replica.\r\n", false, 1000),
                     ERR_REDIS_REPLY);
    assert_int_equal(probe("HTTP/1.1 400 Bad Request\r\n\r\n", false, 1000), ERR_REDIS_REPLY);
    assert_int_equal(probe("+OK\r\n", false, 1000), ERR_REDIS_REPLY); /* to PING too */
    assert_int_equal(probe("", false, 1000), ERR_REDIS_REFUSED);
    assert_int_equal(probe("no TLS here\r\n", true, 1000), ERR_REDIS_TLS);
}

static void silence_ends_at_the_limit(void **state)
{
    (void)state;
    assert_int_equal(probe(NULL, false, 300), ERR_REDIS_TIMEOUT);
    assert_int_equal(probe(NULL, true, 300), ERR_REDIS_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(strange_answers),
                                       cmocka_unit_test(silence_ends_at_the_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
