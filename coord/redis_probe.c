/* hiredis speaks the protocol (formatting, parsing); the connection is our own, because Debian 12's hiredis has no TLS and its
 * blocking calls have no limit over all. */
#include "coord/redis_probe.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "coord/redis_io.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int reply_check(const redis_io_t *io, const redisReply *r, const char *what, err_t *err)
{
    if (r->type != REDIS_REPLY_ERROR) return 0;
    bool auth = strncmp(r->str, "WRONGPASS", 9) == 0 || strncmp(r->str, "NOAUTH", 6) == 0 ||
                strncmp(r->str, "NOPERM", 6) == 0 || strncmp(r->str, "ERR AUTH", 8) == 0 ||
                strncmp(r->str, "ERR invalid password", 20) == 0;
    return err_set(err, auth ? ERR_REDIS_AUTH : ERR_REDIS_REPLY, "%s:%d: %s: %.300s", io->host, io->port,
                   what, r->str);
}

/* One command; `expect` (may be NULL) is what the answer must be. The words of AUTH are never in a message. */
static int command(redis_io_t *io, const char *const *words, int n, const char *expect, err_t *err)
{
    char *text = NULL;
    const char *argv[6];
    for (int i = 0; i < n; i++) argv[i] = words[i];
    int len = redisFormatCommandArgv(&text, n, argv, NULL);
    if (len < 0) return err_set(err, ERR_MEMORY, "Redis command");
    int rc = redis_io_write(io, text, (size_t)len, err);
    explicit_bzero(text, (size_t)len);
    redisFreeCommand(text);
    redisReply *r = NULL;
    if (rc == 0) rc = redis_io_reply(io, &r, err);
    if (rc == 0) rc = reply_check(io, r, words[0], err);
    if (rc == 0 && expect && (!r->str || strcmp(r->str, expect) != 0))
        rc = err_set(err, ERR_REDIS_REPLY, "%s:%d: %s gave an unexpected answer", io->host, io->port,
                     words[0]);
    if (r) freeReplyObject(r);
    return rc;
}

#define COMMAND(io, expect, err, ...)                                                                        \
    command(io, ((const char *const[]){__VA_ARGS__}),                                                        \
            (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), expect, err)

static int dialogue(redis_io_t *io, const target_redis_t *t, err_t *err)
{
    char db[16], key[128], host[64] = "";
    const char *password = secret_bytes(t->password);
    int rc = 0;
    if (*password && *t->user)
        rc = COMMAND(io, "OK", err, "AUTH", t->user, password);
    else if (*password)
        rc = COMMAND(io, "OK", err, "AUTH", password);
    if (rc < 0 || COMMAND(io, "PONG", err, "PING") < 0) return -1;
    snprintf(db, sizeof db, "%d", t->database);
    if (t->database && COMMAND(io, "OK", err, "SELECT", db) < 0) return -1;
    gethostname(host, sizeof host - 1);
    snprintf(key, sizeof key, "%smoodlectl_probe_%s_%d", t->prefix, host, (int)getpid());
    if (COMMAND(io, "OK", err, "SET", key, "1", "EX", "60") < 0) return -1;
    rc = COMMAND(io, "1", err, "GET", key);
    if (COMMAND(io, NULL, err, "DEL", key) < 0) return -1;
    return rc;
}

int redis_probe(const target_redis_t *t, uint64_t limit_ms, err_t *err)
{
    redis_io_t io;
    if (redis_io_open(&io, t, clock_ms() + limit_ms, err) < 0) return -1;
    int rc = dialogue(&io, t, err);
    redis_io_close(&io);
    return rc;
}
