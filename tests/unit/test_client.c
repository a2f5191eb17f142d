/* links: supervisor base */
#include "base/clock.h"
#include "supervisor/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/test-client-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char path[sizeof dir + 16];
    snprintf(path, sizeof path, "%s/control.sock", dir);
    unlink(path);
    return rmdir(dir);
}

/* A server for one connection in a child process: reads one line, sends `pieces` with pauses, closes. */
static pid_t serve(const char *const *pieces, bool silent)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/control.sock", dir);
    unlink(addr.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 1), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        close(fd);
        return pid;
    }
    int c = accept(fd, NULL, NULL);
    char request[512];
    ssize_t n = recv(c, request, sizeof request, 0);
    if (n <= 0 || request[n - 1] != '\n' || !strstr(request, "\"cmd\":\"status\"")) _exit(1);
    if (silent) pause();
    for (; *pieces; pieces++) {
        clock_sleep_ms(20);
        if (send(c, *pieces, strlen(*pieces), MSG_NOSIGNAL) < 0) _exit(2);
    }
    _exit(0);
}

static int call(uint64_t timeout_ms, json_t **reply, err_t *err)
{
    *err = (err_t){0};
    return client_call(dir, json_pack("{s:s}", "cmd", "status"), timeout_ms, reply, err);
}

static void served_well(pid_t pid)
{
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void nobody_there(void **state)
{
    (void)state;
    err_t err;
    json_t *reply = NULL;
    assert_int_equal(call(500, &reply, &err), -1);
    assert_int_equal(err.id, ERR_NOT_RUNNING);
    assert_null(reply);
}

static void answer_in_pieces(void **state)
{
    (void)state;
    static const char *const PIECES[] = {"{\"ok\":tr", "ue,\"phase\":\"serve\"}", "\n", NULL};
    pid_t pid = serve(PIECES, false);
    err_t err;
    json_t *reply = NULL;
    assert_int_equal(call(3000, &reply, &err), 0);
    assert_string_equal(json_string_value(json_object_get(reply, "phase")), "serve");
    json_decref(reply);
    served_well(pid);
}

static void refused_with_an_id(void **state)
{
    (void)state;
    static const char *const PIECES[] = {"{\"ok\":false,\"id\":\"E-LOCK-BUSY\",\"msg\":\"held by m2\"}\n",
                                         NULL};
    pid_t pid = serve(PIECES, false);
    err_t err;
    json_t *reply = NULL;
    assert_int_equal(call(3000, &reply, &err), -1);
    assert_int_equal(err.id, ERR_LOCK_BUSY);
    assert_string_equal(err.msg, "held by m2");
    served_well(pid);
}

static void strange_answers(void **state)
{
    (void)state;
    static const char *const ANSWERS[][2] = {
        {"nonsense\n", NULL}, {"[1]\n", NULL}, {"{\"ok\":false}\n", NULL}, {"{\"ok\"", NULL}, {"", NULL}};
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        pid_t pid = serve(ANSWERS[i], false);
        err_t err;
        json_t *reply = NULL;
        assert_int_equal(call(3000, &reply, &err), -1);
        assert_int_equal(err.id, ERR_CONTROL);
        assert_null(reply);
        served_well(pid);
    }
}

static void silence_ends_in_time(void **state)
{
    (void)state;
    pid_t pid = serve(NULL, true);
    err_t err;
    json_t *reply = NULL;
    uint64_t start = clock_ms();
    assert_int_equal(call(150, &reply, &err), -1);
    assert_int_equal(err.id, ERR_NOT_RUNNING);
    uint64_t took = clock_ms() - start;
    assert_true(took >= 150 && took < 3000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void long_directory(void **state)
{
    (void)state;
    char name[200];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    err_t err = {0};
    json_t *reply = NULL;
    assert_int_equal(client_call(name, json_object(), 100, &reply, &err), -1);
    assert_int_equal(err.id, ERR_NOT_RUNNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_there),         cmocka_unit_test(answer_in_pieces),
        cmocka_unit_test(refused_with_an_id),   cmocka_unit_test(strange_answers),
        cmocka_unit_test(silence_ends_in_time), cmocka_unit_test(long_directory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
