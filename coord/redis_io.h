/* redis_io.h - a connection to Redis, plain or TLS, with one limit for everything. */
#ifndef MOODLECTL_COORD_REDIS_IO_H
#define MOODLECTL_COORD_REDIS_IO_H

#include "base/err.h"
#include "coord/target.h"
#include <hiredis/hiredis.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

typedef struct redis_io {
    int fd;
    SSL_CTX *ctx; /* NULL: plain */
    SSL *ssl;
    redisReader *reader;
    uint64_t until_ms;
    const char *host;
    int port;
} redis_io_t;

int redis_io_open(redis_io_t *io, const target_redis_t *t, uint64_t until_ms, err_t *err);
void redis_io_close(redis_io_t *io);
int redis_io_write(redis_io_t *io, const char *bytes, size_t len, err_t *err);
int redis_io_reply(redis_io_t *io, redisReply **ret, err_t *err); /* freeReplyObject() it */

#endif
