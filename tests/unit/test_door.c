/* links: supervisor base */
#include "supervisor/door.h"
#include "test.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in address;

/* A process that listens, as nginx does; the socket is its own alone. */
static pid_t start_listener(void)
{
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), pipes[2];
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[1]);
        char c;
        if (read(pipes[0], &c, 1) < 0) _exit(1); /* until the test ends */
        _exit(0);
    }
    close(pipes[0]);
    close(fd);
    return pid;
}

/* TCP_ESTABLISHED, or TCP_SYN_SENT when nobody answers: over loopback the answer is there before connect(2) returns. */
static int try_to_connect(int *ret_fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)!connect(*ret_fd, (struct sockaddr *)&address, sizeof address);
    assert_int_equal(getsockopt(*ret_fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_state;
}

static void test_a_shut_door_lets_nobody_new_in(void **state)
{
    (void)state;
    int before, after;
    pid_t pid = start_listener();
    assert_int_equal(try_to_connect(&before), TCP_ESTABLISHED);
    int process = (int)syscall(SYS_pidfd_open, pid, 0),
        borrowed = (int)syscall(SYS_pidfd_getfd, process, 0, 0);
    if (borrowed < 0) {
        kill(pid, SIGKILL);
        skip(); /* forbidden here, as in some containers */
    }
    assert_true(door_shut(pid));
    assert_int_equal(try_to_connect(&after), TCP_SYN_SENT);
    assert_int_equal(write(before, "x", 1), 1); /* who was in before stays in */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    int fds[] = {before, after, process, borrowed};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) close(fds[i]);
}

static void test_a_process_that_is_gone_has_no_door(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
    assert_false(door_shut(pid));
    assert_false(door_shut(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_shut_door_lets_nobody_new_in),
                                       cmocka_unit_test(test_a_process_that_is_gone_has_no_door)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
