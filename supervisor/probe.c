#include "supervisor/probe.h"
#include "supervisor/fcgi.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_EVERY_MS = 20, ANSWER_MS = 2000 };

struct probe {
    uv_loop_t *loop;
    uv_timer_t timer;
    char socket_path[108], uri[64];
    struct sockaddr_storage addr;
    fcgi_get_t *get;
    uv_tcp_t tcp;
    uv_connect_t connect;
    bool tcp_open, stopped;
    int handles;
    probe_fn *fn;
    void *arg;
};

static void ask(uv_timer_t *timer);

static void on_closed(uv_handle_t *handle)
{
    probe_t *p = handle->data;
    if (handle == (uv_handle_t *)&p->tcp) p->tcp_open = false;
    if (--p->handles == 0) free(p);
}

static void ask_later(probe_t *p)
{
    if (!p->stopped) uv_timer_start(&p->timer, ask, ASK_EVERY_MS, 0);
}

static void on_answer(void *arg, const char *body, size_t len, const err_t *err)
{
    probe_t *p = arg;
    p->get = NULL;
    if (!err && len >= 4 && memmem(body, len, "pong", 4))
        p->fn(p->arg);
    else
        ask_later(p);
}

static void on_connected(uv_connect_t *req, int status)
{
    probe_t *p = req->data;
    if (!uv_is_closing((uv_handle_t *)&p->tcp)) uv_close((uv_handle_t *)&p->tcp, on_closed);
    if (p->stopped) return;
    if (status == 0)
        p->fn(p->arg);
    else
        ask_later(p);
}

static void ask_tcp(probe_t *p)
{
    if (p->tcp_open) { /* the try before is still being closed */
        ask_later(p);
        return;
    }
    uv_tcp_init(p->loop, &p->tcp);
    p->tcp.data = p;
    p->tcp_open = true;
    p->handles++;
    p->connect.data = p;
    if (uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&p->addr, on_connected) < 0) {
        uv_close((uv_handle_t *)&p->tcp, on_closed);
        ask_later(p);
    }
}

static void ask(uv_timer_t *timer)
{
    probe_t *p = timer->data;
    if (p->socket_path[0])
        p->get = fcgi_get(p->loop, p->socket_path, p->uri, ANSWER_MS, on_answer, p);
    else
        ask_tcp(p);
}

static probe_t *probe_new(uv_loop_t *loop, probe_fn *fn, void *arg)
{
    probe_t *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->loop = loop;
    p->fn = fn;
    p->arg = arg;
    p->handles = 1;
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    ask_later(p);
    return p;
}

probe_t *probe_fastcgi(uv_loop_t *loop, const char *socket_path, const char *uri, probe_fn *fn, void *arg)
{
    probe_t *p = probe_new(loop, fn, arg);
    if (!p) return NULL;
    snprintf(p->socket_path, sizeof p->socket_path, "%s", socket_path);
    snprintf(p->uri, sizeof p->uri, "%s", uri);
    return p;
}

static void parse_address(const char *host_port, struct sockaddr_storage *addr)
{
    char host[64];
    const char *colon = strrchr(host_port, ':');
    int port = colon ? (int)strtol(colon + 1, NULL, 10) : 8080;
    size_t n = colon ? (size_t)(colon - host_port) : strlen(host_port);
    if (n >= 2 && host_port[0] == '[') {
        snprintf(host, sizeof host, "%.*s", (int)(n - 2), host_port + 1);
        uv_ip6_addr(strcmp(host, "::") == 0 ? "::1" : host, port, (struct sockaddr_in6 *)addr);
        return;
    }
    snprintf(host, sizeof host, "%.*s", (int)n, host_port);
    uv_ip4_addr(strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" : host, port, (struct sockaddr_in *)addr);
}

probe_t *probe_tcp(uv_loop_t *loop, const char *host_port, probe_fn *fn, void *arg)
{
    probe_t *p = probe_new(loop, fn, arg);
    if (p) parse_address(host_port, &p->addr);
    return p;
}

void probe_stop(probe_t **probe)
{
    probe_t *p = *probe;
    if (!p) return;
    *probe = NULL;
    p->stopped = true;
    fcgi_cancel(&p->get);
    if (p->tcp_open && !uv_is_closing((uv_handle_t *)&p->tcp)) uv_close((uv_handle_t *)&p->tcp, on_closed);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}
