#include "coord/redis_io.h"
#include "base/clock.h"
#include "base/fd.h"
#include "coord/db_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int timed_out(const redis_io_t *io, const char *what, err_t *err)
{
    return err_set(err, ERR_REDIS_TIMEOUT, "%s:%d: %s", io->host, io->port, what);
}

static int connect_one(redis_io_t *io, const struct addrinfo *a, err_t *err)
{
    io->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (io->fd < 0) return err_sys(err, ERR_OS, "socket");
    int e = 0;
    socklen_t len = sizeof e;
    if (connect(io->fd, a->ai_addr, a->ai_addrlen) < 0) {
        if (errno != EINPROGRESS) e = errno;
        if (e == 0 && db_wait(io->fd, POLLOUT, io->until_ms) <= 0) e = ETIMEDOUT;
        if (e == 0) getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &e, &len);
    }
    if (e == 0) return 0;
    fd_close(&io->fd);
    bool slow = e == ETIMEDOUT || e == EHOSTUNREACH || e == ENETUNREACH;
    return err_set(err, slow ? ERR_REDIS_TIMEOUT : ERR_REDIS_REFUSED, "%s:%d: %s", io->host, io->port,
                   strerror(e));
}

static int connect_any(redis_io_t *io, err_t *err)
{
    char port[16];
    snprintf(port, sizeof port, "%d", io->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int rc = getaddrinfo(io->host, port, &hints, &list);
    if (rc) return err_set(err, ERR_REDIS_DNS, "host \"%s\": %s", io->host, gai_strerror(rc));
    rc = -1;
    for (const struct addrinfo *a = list; a && rc < 0; a = a->ai_next) rc = connect_one(io, a, err);
    freeaddrinfo(list);
    return rc;
}

static int tls_failed(const redis_io_t *io, const char *what, err_t *err)
{
    char words[200] = "";
    unsigned long e = ERR_get_error();
    long verify = io->ssl ? SSL_get_verify_result(io->ssl) : X509_V_OK;
    if (verify != X509_V_OK)
        snprintf(words, sizeof words, "%s", X509_verify_cert_error_string(verify));
    else if (e)
        ERR_error_string_n(e, words, sizeof words);
    return err_set(err, ERR_REDIS_TLS, "%s:%d: %s%s%s", io->host, io->port, what, *words ? ": " : "", words);
}

/* After a call that did not finish: waits for the socket. 0: call again. */
static int tls_again(redis_io_t *io, int ret, const char *what, err_t *err)
{
    int e = SSL_get_error(io->ssl, ret);
    if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) return tls_failed(io, what, err);
    if (db_wait(io->fd, e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, io->until_ms) <= 0)
        return timed_out(io, what, err);
    return 0;
}

static int tls_start(redis_io_t *io, const target_redis_t *t, err_t *err)
{
    io->ctx = SSL_CTX_new(TLS_client_method());
    if (!io->ctx) return tls_failed(io, "TLS", err);
    int ok = *t->ca ? SSL_CTX_load_verify_locations(io->ctx, t->ca, NULL)
                    : SSL_CTX_set_default_verify_paths(io->ctx);
    if (!ok) return tls_failed(io, "CA file", err);
    SSL_CTX_set_verify(io->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(io->ctx, TLS1_2_VERSION);
    io->ssl = SSL_new(io->ctx);
    if (!io->ssl) return tls_failed(io, "TLS", err);
    unsigned char address[16];
    bool is_ip = inet_pton(AF_INET, io->host, address) == 1 || inet_pton(AF_INET6, io->host, address) == 1;
    if (is_ip)
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(io->ssl), io->host);
    else
        SSL_set1_host(io->ssl, io->host);
    if (!is_ip) SSL_set_tlsext_host_name(io->ssl, io->host);
    SSL_set_fd(io->ssl, io->fd);
    int r;
    while ((r = SSL_connect(io->ssl)) != 1)
        if (tls_again(io, r, "TLS handshake", err) < 0) return -1;
    return 0;
}

int redis_io_open(redis_io_t *io, const target_redis_t *t, uint64_t until_ms, err_t *err)
{
    *io = (redis_io_t){.fd = -1, .until_ms = until_ms, .host = t->host, .port = t->port};
    io->reader = redisReaderCreate();
    if (!io->reader || connect_any(io, err) < 0 || (t->tls && tls_start(io, t, err) < 0)) {
        redis_io_close(io);
        return -1;
    }
    return 0;
}

void redis_io_close(redis_io_t *io)
{
    if (io->ssl) SSL_free(io->ssl);
    if (io->ctx) SSL_CTX_free(io->ctx);
    if (io->reader) redisReaderFree(io->reader);
    fd_close(&io->fd);
}

int redis_io_write(redis_io_t *io, const char *bytes, size_t len, err_t *err)
{
    while (len) {
        ssize_t n;
        if (io->ssl) {
            n = SSL_write(io->ssl, bytes, (int)len);
            if (n <= 0 && tls_again(io, (int)n, "sending", err) < 0) return -1;
        } else {
            n = send(io->fd, bytes, len, MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                return err_sys(err, ERR_REDIS_REFUSED, "%s:%d: sending", io->host, io->port);
            if (n < 0 && db_wait(io->fd, POLLOUT, io->until_ms) <= 0) return timed_out(io, "sending", err);
        }
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static ssize_t some_read(redis_io_t *io, char *buf, size_t size, err_t *err)
{
    for (;;) {
        if (io->ssl) {
            int n = SSL_read(io->ssl, buf, (int)size);
            if (n > 0) return n;
            if (tls_again(io, n, "no answer", err) < 0) return -1;
            continue;
        }
        ssize_t n = recv(io->fd, buf, size, 0);
        if (n > 0) return n;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return err_set(err, ERR_REDIS_REFUSED, "%s:%d: the connection was closed%s", io->host, io->port,
                           n == 0 ? "; does it want TLS?" : "");
        if (db_wait(io->fd, POLLIN, io->until_ms) <= 0) return timed_out(io, "no answer", err);
    }
}

int redis_io_reply(redis_io_t *io, redisReply **ret, err_t *err)
{
    char buf[4096];
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(io->reader, &reply) != REDIS_OK)
            return err_set(err, ERR_REDIS_REPLY, "%s:%d: this is no Redis: %s", io->host, io->port,
                           io->reader->errstr);
        if (reply) {
            *ret = reply;
            return 0;
        }
        ssize_t n = some_read(io, buf, sizeof buf, err);
        if (n < 0) return -1;
        redisReaderFeed(io->reader, buf, (size_t)n);
    }
}
