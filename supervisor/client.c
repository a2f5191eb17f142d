#include "supervisor/client.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPLY_MAX = 1 << 20 };

/* Waits until the socket is ready for `events`; the deadline is absolute. */
static int await(int fd, short events, uint64_t until_ms, err_t *err)
{
    for (;;) {
        uint64_t now = clock_ms();
        if (now >= until_ms)
            return err_set(err, ERR_NOT_RUNNING, "the running instance does not answer in time");
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, (int)(until_ms - now));
        if (n > 0) return 0;
        if (n < 0 && errno != EINTR) return err_sys(err, ERR_OS, "poll");
    }
}

static int connect_to(int fd, const char *run_dir, uint64_t until_ms, err_t *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int len = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/control.sock", run_dir);
    if (len < 0 || (size_t)len >= sizeof addr.sun_path)
        return err_set(err, ERR_NOT_RUNNING, "%s/control.sock is too long for a socket's name", run_dir);
    while (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        if (errno == EACCES || errno == EPERM)
            return err_sys(err, ERR_CONTROL, "connect to %s", addr.sun_path);
        if (errno != EAGAIN && errno != EINTR)
            return err_sys(err, ERR_NOT_RUNNING, "connect to %s", addr.sun_path);
        /* EAGAIN: the queue of a listening local socket is full; there is nothing to poll for, unix(7) */
        if (clock_ms() >= until_ms) return err_set(err, ERR_NOT_RUNNING, "%s is too busy", addr.sun_path);
        clock_sleep_ms(20);
    }
    return 0;
}

static int send_line(int fd, const char *line, size_t len, uint64_t until_ms, err_t *err)
{
    while (len > 0) {
        ssize_t n = send(fd, line, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (await(fd, POLLOUT, until_ms, err) < 0) return -1;
        } else if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            return 0; /* refused at the door: the reason may wait to be read */
        } else if (n < 0 && errno != EINTR) {
            return err_sys(err, ERR_CONTROL, "write to the control socket");
        } else if (n > 0) {
            line += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int read_line(int fd, uint64_t until_ms, buf_t *ret_line, err_t *err)
{
    char chunk[8192];
    for (;;) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n < 0 && errno == EAGAIN) {
            if (await(fd, POLLIN, until_ms, err) < 0) return -1;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(err, ERR_CONTROL, "read from the control socket");
        if (n == 0) return err_set(err, ERR_CONTROL, "the control socket was closed without an answer");
        buf_add(ret_line, chunk, (size_t)n);
        if (ret_line->failed) return err_set(err, ERR_MEMORY, "the answer");
        if (memchr(chunk, '\n', (size_t)n)) return 0;
        if (ret_line->len > REPLY_MAX) return err_set(err, ERR_CONTROL, "the answer is too long");
    }
}

static int judge(const json_t *reply, err_t *err)
{
    if (!json_is_object(reply)) return err_set(err, ERR_CONTROL, "the answer is not a JSON object");
    if (json_is_true(json_object_get(reply, "ok"))) return 0;
    const char *id = json_string_value(json_object_get(reply, "id"));
    const char *msg = json_string_value(json_object_get(reply, "msg"));
    err_id_t known = id ? err_find(id) : ERR_NONE;
    return err_set(err, known ? known : ERR_CONTROL, "%s", msg ? msg : "refused without a reason");
}

int client_call(const char *run_dir, json_t *request, uint64_t timeout_ms, json_t **ret_reply, err_t *err)
{
    cleanup_free char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    cleanup_buf buf_t line = BUF_INIT, answer = BUF_INIT;
    if (text) buf_printf(&line, "%s\n", text);
    if (!text || line.failed) return err_set(err, ERR_MEMORY, "the request");
    uint64_t until = clock_ms() + timeout_ms;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_sys(err, ERR_OS, "socket");
    if (connect_to(fd, run_dir, until, err) < 0) return -1;
    if (send_line(fd, line.data, line.len, until, err) < 0) return -1;
    if (read_line(fd, until, &answer, err) < 0) return -1;
    json_t *reply = json_loadb(answer.data, answer.len, JSON_DISABLE_EOF_CHECK, NULL);
    if (judge(reply, err) < 0) {
        json_decref(reply);
        return -1;
    }
    *ret_reply = reply;
    return 0;
}
