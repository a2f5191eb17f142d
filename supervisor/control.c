#include "supervisor/control.h"
#include "base/fd.h"
#include "supervisor/drain.h"
#include "supervisor/lifecycle.h"
#include "supervisor/reload.h"
#include "supervisor/rotation.h"
#include "supervisor/status.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS_MAX = 32, REQUEST_MAX = 4096, CLIENT_MS = 5000 };

typedef struct client {
    uv_poll_t poll;
    uv_timer_t timer; /* a client that says nothing is let go */
    int fd, handles;
    char request[REQUEST_MAX];
    size_t len;
    member_t *member;
} client_t;

static uv_poll_t listener;
static int listen_fd = -1;
static unsigned clients;

static json_t *refuse(err_id_t id, const char *msg)
{
    return json_pack("{s:b,s:s,s:s}", "ok", 0, "id", err_name(id), "msg", msg);
}
static json_t *done(const char *msg) { return json_pack("{s:b,s:s}", "ok", 1, "msg", msg); }

static json_t *do_status(member_t *m, const json_t *request)
{
    (void)request;
    return status_json(m);
}

static json_t *do_health(member_t *m, const json_t *request)
{
    const char *what = json_string_value(json_object_get(request, "what"));
    if (!what) return refuse(ERR_USAGE, "health needs \"what\": live, ready or startup");
    return json_pack("{s:b,s:b,s:s,s:s}", "ok", 1, "healthy", status_is_healthy(m, what), "phase",
                     lifecycle_phase_name(m->phase), "reason", m->reason);
}

static json_t *do_upgrade(member_t *m, const json_t *request)
{
    (void)request;
    if (!child_send(&m->children[SV_LEAD], "{\"cmd\":\"upgrade\"}\n"))
        return refuse(ERR_NOT_RUNNING, "the role that upgrades is not running in this phase");
    return done("Asked for. \"moodlectl status\" shows how it goes.");
}

static json_t *do_cron_run(member_t *m, const json_t *request)
{
    (void)request;
    if (!m->cron.holder)
        return refuse(ERR_LOCK_BUSY,
                      "this member does not run cron; \"moodlectl cron status\" names the one that does");
    if (!child_send(&m->children[SV_CRON], "{\"cmd\":\"run-now\"}\n"))
        return refuse(ERR_NOT_RUNNING, "the cron role is not running");
    return done("Asked for. \"moodlectl cron status\" shows when it ran.");
}

static json_t *do_drain(member_t *m, const json_t *request)
{
    if (json_is_true(json_object_get(request, "simulate"))) return drain_plan_json(m);
    lifecycle_stop(m, "moodlectl drain");
    return done("Draining; this member stops when its work is done.");
}

static const char CANNOT_RELOAD[] = "nothing can be reloaded in this phase, or while a reload is under way";

static json_t *do_reload(member_t *m, const json_t *request)
{
    (void)request;
    if (!reload_start(m, false, false)) return refuse(ERR_NOT_RUNNING, CANNOT_RELOAD);
    return done("Reloading: files are rendered anew and the services follow.");
}

static json_t *do_restart(member_t *m, const json_t *request)
{
    const char *what = json_string_value(json_object_get(request, "what"));
    bool nginx = what && strcmp(what, "nginx") == 0, php = what && strcmp(what, "php-fpm") == 0;
    if (!nginx && !php) return refuse(ERR_USAGE, "restart needs \"what\": nginx or php-fpm");
    if (!reload_start(m, nginx, php)) return refuse(ERR_NOT_RUNNING, CANNOT_RELOAD);
    return done("Restarting.");
}

static json_t *do_secrets(member_t *m, const json_t *request)
{
    (void)request;
    return rotation_json(m);
}

static json_t *ask_secrets(member_t *m, const char *cmd)
{
    json_int_t ticket = rotation_ask(m, cmd);
    if (ticket) return json_pack("{s:b,s:I}", "ok", 1, "ticket", ticket);
    return refuse(ERR_NOT_RUNNING,
                  rotation_is_wanted(m)
                      ? "the role that follows secrets is not running in this phase"
                      : "no setting comes from a file or from AWS: there is nothing to follow");
}

static json_t *do_secrets_refresh(member_t *m, const json_t *request)
{
    (void)request;
    return ask_secrets(m, "refresh");
}

static json_t *do_secrets_check(member_t *m, const json_t *request)
{
    (void)request;
    return ask_secrets(m, "check");
}

static json_t *do_audit(member_t *m, const json_t *request)
{
    (void)m;
    const char *msg = json_string_value(json_object_get(request, "msg"));
    logfmt_own(LOG_NOTICE_, ERR_NONE, "audit", "%.500s", msg ? msg : "");
    return done("noted");
}

static const struct {
    const char *cmd;
    json_t *(*fn)(member_t *m, const json_t *request);
} COMMANDS[] = {{"status", do_status},
                {"health", do_health},
                {"upgrade", do_upgrade},
                {"cron-run-now", do_cron_run},
                {"drain", do_drain},
                {"reload", do_reload},
                {"restart", do_restart},
                {"audit", do_audit},
                {"secrets", do_secrets},
                {"secrets-refresh", do_secrets_refresh},
                {"secrets-check", do_secrets_check}};

json_t *control_answer(member_t *m, const json_t *request)
{
    const char *cmd = json_string_value(json_object_get(request, "cmd"));
    for (size_t i = 0; cmd && i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(COMMANDS[i].cmd, cmd) == 0) return COMMANDS[i].fn(m, request);
    return refuse(ERR_USAGE, "unknown command on the control socket");
}

static void on_closed(uv_handle_t *handle)
{
    client_t *c = handle->data;
    if (--c->handles > 0) return;
    fd_close(&c->fd);
    free(c);
    clients--;
}

static void client_close(client_t *c)
{
    if (uv_is_closing((uv_handle_t *)&c->timer)) return;
    uv_close((uv_handle_t *)&c->timer, on_closed);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

char *control_reply(member_t *m, const char *line, size_t len)
{
    json_t *request = json_loadb(line, len, 0, NULL);
    json_t *reply = request ? control_answer(m, request) : refuse(ERR_USAGE, "not a JSON object");
    char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
    json_decref(reply);
    json_decref(request);
    return text;
}

static void answer(client_t *c)
{
    char *text = control_reply(c->member, c->request, c->len);
    if (text) { /* a unix socket's buffer holds far more than any answer (net.core.wmem_default) */
        struct iovec iov[2] = {{text, strlen(text)}, {"\n", 1}};
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
        if (sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            log_debug("an answer on the control socket was not taken");
    }
    free(text);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    client_t *c = poll->data;
    (void)events;
    ssize_t n = status < 0 ? 0 : read(c->fd, c->request + c->len, sizeof c->request - c->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) c->len += (size_t)n;
    bool whole = memchr(c->request, '\n', c->len) || c->len == sizeof c->request;
    if (whole) answer(c);
    if (n <= 0 || whole) client_close(c);
}

static void on_timeout(uv_timer_t *timer) { client_close(timer->data); }

static bool may_talk(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

static void turn_away(int fd)
{
    const char text[] =
        "{\"ok\":false,\"id\":\"E-CONTROL\",\"msg\":\"this user may not command moodlectl\"}\n";
    if (send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("a refused client had already gone");
    close(fd);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    client_t *c = may_talk(fd) && clients < CLIENTS_MAX ? calloc(1, sizeof *c) : NULL;
    if (!c || uv_poll_init(poll->loop, &c->poll, fd) < 0) {
        turn_away(fd);
        free(c);
        return;
    }
    clients++;
    c->fd = fd;
    c->handles = 2;
    c->member = poll->data;
    c->poll.data = c->timer.data = c;
    uv_timer_init(poll->loop, &c->timer);
    uv_timer_start(&c->timer, on_timeout, CLIENT_MS, 0);
    uv_poll_start(&c->poll, UV_READABLE, on_readable);
}

static int bind_socket(const char *path, err_t *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa.sun_path)
        return err_set(err, ERR_DIR_RUN, "%s is too long for a socket's name", path);
    memcpy(sa.sun_path, path, strlen(path) + 1);
    unlink(path);
    mode_t before = umask(0177); /* 0600 from birth */
    int r = bind(listen_fd, (struct sockaddr *)&sa, sizeof sa);
    umask(before);
    if (r < 0) return err_sys(err, ERR_DIR_RUN, "control socket %s", path);
    return listen(listen_fd, 16) < 0 ? err_sys(err, ERR_DIR_RUN, "listen on %s", path) : 0;
}

int control_open(member_t *m, err_t *err)
{
    char path[256];
    if (listen_fd >= 0) return 0;
    listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listen_fd < 0) return err_sys(err, ERR_OS, "control socket");
    if (bind_socket(services_run_path(m->services, "control.sock", path, sizeof path), err) < 0 ||
        uv_poll_init(m->loop, &listener, listen_fd) < 0) {
        fd_close(&listen_fd);
        return -1;
    }
    listener.data = m;
    uv_poll_start(&listener, UV_READABLE, on_connection);
    uv_unref((uv_handle_t *)&listener);
    return 0;
}

void control_close(void)
{
    if (listen_fd < 0) return;
    uv_close((uv_handle_t *)&listener, NULL);
    fd_close(&listen_fd);
}
