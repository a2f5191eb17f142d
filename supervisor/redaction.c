#include "supervisor/redaction.h"
#include "base/fd.h"
#include "base/json_bytes.h"
#include "base/redact.h"
#include "base/secret.h"
#include "supervisor/lineio.h"
#include "supervisor/logfwd.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* ---- learning ---- */

enum { FILE_MAX_BYTES = 1 << 20 };

static void learn_value(const json_t *value, uint64_t now_ms)
{
    cleanup_buf buf_t b = BUF_INIT;
    json_bytes_read(value, &b);
    redact_add(buf_cstr(&b), b.len, now_ms);
}

static void learn_object(const json_t *o, uint64_t now_ms)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)o, key, value)
    {
        if (secret_is_key(key))
            learn_value(value, now_ms);
        else
            learn_object(value, now_ms);
    }
}

static void learn_file(const settings_t *set, const char *name, uint64_t now_ms)
{
    char path[512];
    cleanup_buf buf_t b = BUF_INIT;
    snprintf(path, sizeof path, "%s/%s", settings_str(set, SET_run_dir), name);
    if (fd_read_file(path, FILE_MAX_BYTES, &b, NULL) < 0) return; /* not rendered yet */
    json_t *o = json_loadb(buf_cstr(&b), b.len, 0, NULL);
    learn_object(o, now_ms);
    json_decref(o);
}

void redaction_learn(const settings_t *set, uint64_t now_ms)
{
    for (int id = 0; id < SET_COUNT_; id++) {
        const char *value = settings_str(set, (set_id_t)id);
        if (SETTINGS[id].flags & SF_SECRET) redact_add(value, strlen(value), now_ms);
    }
    learn_file(set, "moodle.json", now_ms);
    learn_file(set, "lead.json", now_ms);
    if (now_ms > REDACTION_KEEP_MS) redact_forget(now_ms - REDACTION_KEEP_MS);
}

/* ---- the proof ---- */

enum { CANARY_RANDOM = 24 };

/* Letters and digits at both ends, and between them what the writers of JSON, URLs and terminals change. */
static int make_canary(char *buf, size_t size, err_t *err)
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char r[CANARY_RANDOM];
    char text[CANARY_RANDOM + 1];
    if (getrandom(r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r) return err_sys(err, ERR_OS, "getrandom");
    for (size_t i = 0; i < sizeof r; i++) text[i] = ALPHABET[r[i] & 63];
    text[CANARY_RANDOM] = '\0';
    snprintf(buf, size, "%.12s\"\\/ %%%s", text, text + 12);
    return 0;
}

/* One line in each of the ways in which a line can come. */
static void sing(const char *canary)
{
    cleanup_buf buf_t line = BUF_INIT, escaped = BUF_INIT;
    buf_json(&escaped, canary, strlen(canary));
    buf_printf(&line, "the canary %s sings\n", canary);
    stream_try(STREAM_LINES, "canary", line.data, line.len);
    stream_try(STREAM_PHP, "canary", line.data, line.len);
    logfmt_role("canary", LOG_ERROR_, "E-CANARY", line.data, line.len - 1);
    logfmt_own(LOG_ERROR_, ERR_CANARY, "canary", "the canary %s sings", canary);
    buf_clear(&line);
    buf_printf(&line, "{\"uri\":\"/?%s\",\"status\":200}\n", buf_cstr(&escaped));
    stream_try(STREAM_NGINX, "canary", line.data, line.len);
    buf_clear(&line);
    for (size_t i = 0; i < LINE_MAX_ - 20; i++) buf_str(&line, "-"); /* across the cut of a long line */
    buf_printf(&line, "%s and on\n", canary);
    stream_try(STREAM_LINES, "canary", line.data, line.len);
}
enum { SONGS = 6 };

static unsigned count_marks(const buf_t *b)
{
    unsigned n = 0;
    for (const char *p = buf_cstr(b); (p = strstr(p, REDACT_MARK)); p++) n++;
    return n;
}

/* Looked for without the code that is on trial. */
static bool was_heard(const buf_t *b, const char *canary)
{
    char first[13];
    snprintf(first, sizeof first, "%.12s", canary);
    return strstr(buf_cstr(b), first) || strstr(buf_cstr(b), canary + strlen(canary) - 12);
}

int redaction_prove(err_t *err)
{
    char canary[64];
    cleanup_buf buf_t heard = BUF_INIT;
    if (make_canary(canary, sizeof canary, err) < 0) return -1;
    redact_add(canary, strlen(canary), 0);
    outq_divert(&heard);
    sing(canary);
    outq_divert(NULL);
    redact_forget(1); /* only the canary was seen at 0 */
    if (was_heard(&heard, canary))
        return err_set(err, ERR_CANARY, "a secret passed through the log's path unchanged");
    unsigned marks = count_marks(&heard);
    if (marks != SONGS)
        return err_set(err, ERR_CANARY, "of %d lines with a secret, %u came out with a mark", SONGS, marks);
    return 0;
}
