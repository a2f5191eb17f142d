#include "supervisor/logfmt.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/redact.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
    bool json;
    log_level_t least;
    char member[128], release[128]; /* JSON-escaped */
    bool in_read;
    uint64_t read_ms;  /* 0: the read has had no line yet */
    char head_src[32]; /* what `head` was made for */
    log_level_t head_level;
    uint64_t head_ms;
    buf_t head, line, clean; /* reused */
} f = {.json = true, .least = LOG_INFO_};

static void copy_escaped(char *to, size_t size, const char *from)
{
    buf_t b = BUF_INIT;
    buf_json(&b, from, strlen(from));
    snprintf(to, size, "%s", b.len < size ? buf_cstr(&b) : "");
    buf_free(&b);
}

void logfmt_init(bool json, log_level_t least, const char *member)
{
    f.json = json;
    f.least = least;
    f.head_src[0] = '\0';
    copy_escaped(f.member, sizeof f.member, member);
}

void logfmt_set_member(const char *member)
{
    f.head_src[0] = '\0';
    copy_escaped(f.member, sizeof f.member, member);
}

void logfmt_set_release(const char *release)
{
    f.head_src[0] = '\0';
    copy_escaped(f.release, sizeof f.release, release);
}

void logfmt_trim(void)
{
    buf_free(&f.line);
    buf_free(&f.clean);
}

/* The time that the lines bear now. */
static uint64_t moment(void)
{
    if (f.in_read && f.read_ms) return f.read_ms;
    uint64_t now = clock_wall_ms();
    if (f.in_read) f.read_ms = now;
    return now;
}

void logfmt_begin_read(void)
{
    f.in_read = true;
    f.read_ms = 0;
}

void logfmt_end_read(void) { f.in_read = false; }

static void add(const char *s) { buf_add(&f.line, s, strlen(s)); }

/* What all lines of one source, level and time begin with. */
static void make_head(const char *src, log_level_t level)
{
    char stamp[32];
    clock_rfc3339(f.head_ms, stamp);
    buf_clear(&f.head);
    if (!f.json) {
        buf_printf(&f.head, "%.12s %-6s %-13s ", stamp + 11, log_level_name(level), src);
        return;
    }
    buf_printf(&f.head, "{\"ts\":\"%s\",\"level\":\"%s\",\"src\":\"%s\",\"member\":\"%s\"", stamp,
               log_level_name(level), src, f.member);
    if (f.release[0]) buf_printf(&f.head, ",\"release\":\"%s\"", f.release);
}

static void head(const char *src, log_level_t level)
{
    uint64_t now = moment();
    if (now != f.head_ms || level != f.head_level || strcmp(src, f.head_src) != 0) {
        f.head_ms = now;
        f.head_level = level;
        snprintf(f.head_src, sizeof f.head_src, "%s", src);
        make_head(f.head_src, level);
    }
    buf_clear(&f.line);
    buf_add(&f.line, f.head.data, f.head.len);
    if (f.head.failed) f.line.failed = true;
}

static void tail(out_class_t cls)
{
    add(f.json ? "}\n" : "\n");
    if (!f.line.failed) outq_line(cls, f.head_src, f.line.data, f.line.len);
}

static out_class_t class_of(log_level_t level) { return level >= LOG_WARN_ ? OUT_ERRORS : OUT_OTHER; }

static void text_body(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) { /* no control character reaches a terminal */
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n')
            buf_str(&f.line, "\n    "); /* what begins so is no line of its own */
        else if ((c >= 0x20 && c != 0x7f) || c == '\t')
            buf_add(&f.line, bytes + i, 1);
        else
            buf_printf(&f.line, "\\x%02x", c);
    }
}

/* All that anybody says passes here, and whatever it is has no secret in it when it leaves. */
static void clean(const char **bytes, size_t *len)
{
    if (!redact_copy(*bytes, *len, &f.clean)) return;
    *bytes = buf_cstr(&f.clean);
    *len = f.clean.len;
}

static void body(const char *bytes, size_t len)
{
    if (!f.json) {
        text_body(bytes, len);
        return;
    }
    add(",\"msg\":\"");
    buf_json(&f.line, bytes, len);
    add("\"");
}

/* Length of a start of the bytes that is at most `most` long and cuts no character of UTF-8. */
static size_t whole_characters(const char *bytes, size_t len, size_t most)
{
    if (len <= most) return len;
    size_t n = most;
    while (n > most - 3 && ((unsigned char)bytes[n] & 0xC0) == 0x80) n--;
    return n;
}

enum {
    ESCAPED_MAX = LOGFMT_LINE_MAX - 1024, /* of a message; around it: names and release at their longest */
    ESCAPED_WORST = 6,                    /* \u0000 */
    SURE = ESCAPED_MAX / ESCAPED_WORST,
};

/* Most bytes need no escape, so most messages are one line. Uses f.line. */
static size_t piece_size(const char *bytes, size_t len)
{
    if (len <= SURE) return len;
    buf_clear(&f.line);
    buf_json(&f.line, bytes, len);
    return f.line.len <= ESCAPED_MAX ? len : SURE;
}

static void child_lines(const char *src, log_level_t level, const char *bytes, size_t len, unsigned *part,
                        bool last)
{
    size_t piece = f.json ? piece_size(bytes, len) : len, at = 0;
    do {
        size_t n = whole_characters(bytes + at, len - at, piece);
        bool end = last && at + n == len;
        if (!end || *part) ++*part;
        head(src, level);
        body(bytes + at, n);
        if (*part && f.json) buf_printf(&f.line, ",\"part\":%u,\"last\":%s", *part, end ? "true" : "false");
        tail(class_of(level));
        at += n;
    } while (at < len);
    if (last) *part = 0;
}

void logfmt_child(const char *src, log_level_t level, const char *bytes, size_t len, unsigned *part,
                  bool last)
{
    unsigned none = 0;
    if (level < f.least) return;
    clean(&bytes, &len);
    child_lines(src, level, bytes, len, part ? part : &none, last);
}

void logfmt_repeats(const char *src, log_level_t level, unsigned count)
{
    if (level < f.least) return;
    head(src, level);
    if (f.json)
        buf_printf(&f.line, ",\"msg\":\"last message repeated %u times\",\"repeats\":%u", count, count);
    else
        buf_printf(&f.line, "last message repeated %u times", count);
    tail(class_of(level));
}

void logfmt_child_object(const char *src, log_level_t level, bool access, const char *json, size_t len)
{
    if (level < f.least) return;
    if (redact_find(json, len)) { /* a mark in the wrong place would end its being JSON */
        logfmt_child(src, level, json, len, NULL, true);
        return;
    }
    head(src, level);
    if (f.json) add(",\"data\":");
    buf_add(&f.line, json, len);
    tail(access ? OUT_ACCESS : class_of(level));
}

static void id_and_message(const char *id, const char *event, const char *msg, size_t len)
{
    if (f.json) {
        if (id) buf_printf(&f.line, ",\"id\":\"%s\"", id);
        if (event) buf_printf(&f.line, ",\"event\":\"%s\"", event);
    } else if (id) {
        buf_printf(&f.line, "%s: ", id);
    }
    clean(&msg, &len);
    body(msg, len);
}

void logfmt_own(log_level_t level, err_id_t id, const char *event, const char *fmt, ...)
{
    if (level < f.least) return;
    char msg[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    head("moodlectl", level);
    id_and_message(id ? err_name(id) : NULL, event, msg, strlen(msg));
    tail(class_of(level));
    if (!outq_is_stalled()) outq_flush();
}

void logfmt_sink(log_level_t level, err_id_t id, const char *msg) { logfmt_own(level, id, NULL, "%s", msg); }

void logfmt_role(const char *src, log_level_t level, const char *id, const char *msg, size_t len)
{
    if (level < f.least) return;
    if (len > SURE) { /* no message of ours is so long */
        logfmt_child(src, level, msg, len, NULL, true);
        return;
    }
    head(src, level);
    id_and_message(id, NULL, msg, len);
    tail(class_of(level));
}

/* CloudWatch user guide, "Embedded metric format specification": one object, nothing around it; no per-task dimension. */
void logfmt_metrics(const logfmt_metric_t *list, size_t count)
{
    if (!f.json) return;
    buf_clear(&f.line);
    buf_printf(&f.line,
               "{\"_aws\":{\"Timestamp\":%llu,\"CloudWatchMetrics\":[{\"Namespace\":\"moodlectl\","
               "\"Dimensions\":[[\"Service\"]],\"Metrics\":[",
               (unsigned long long)clock_wall_ms());
    for (size_t i = 0; i < count; i++)
        buf_printf(&f.line, "%s{\"Name\":\"%s\",\"Unit\":\"%s\"}", i ? "," : "", list[i].name, list[i].unit);
    buf_str(&f.line, "]}]},\"Service\":\"moodle\"");
    for (size_t i = 0; i < count; i++) buf_printf(&f.line, ",\"%s\":%.17g", list[i].name, list[i].value);
    buf_printf(&f.line, ",\"member\":\"%s\"", f.member);
    snprintf(f.head_src, sizeof f.head_src, "moodlectl");
    f.head_ms = 0;
    tail(OUT_ERRORS);
    if (!outq_is_stalled()) outq_flush(); /* nothing else may come for hours */
}

void logfmt_metric(const char *name, double value, const char *unit)
{
    const logfmt_metric_t one = {name, value, unit};
    logfmt_metrics(&one, 1);
}
