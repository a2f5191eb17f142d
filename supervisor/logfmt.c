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
    uint64_t stamp_ms;
    char stamp[32];
    buf_t line, clean; /* reused */
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
    copy_escaped(f.member, sizeof f.member, member);
}

void logfmt_set_member(const char *member) { copy_escaped(f.member, sizeof f.member, member); }
void logfmt_set_release(const char *release) { copy_escaped(f.release, sizeof f.release, release); }

void logfmt_trim(void)
{
    buf_free(&f.line);
    buf_free(&f.clean);
}

static const char *stamp(void)
{
    uint64_t now = clock_wall_ms();
    if (now != f.stamp_ms || !f.stamp[0]) {
        f.stamp_ms = now;
        clock_rfc3339(now, f.stamp);
    }
    return f.stamp;
}

static void add(const char *s) { buf_add(&f.line, s, strlen(s)); }

static void head(const char *src, log_level_t level)
{
    buf_clear(&f.line);
    if (!f.json) {
        buf_printf(&f.line, "%.12s %-6s %-13s ", stamp() + 11, log_level_name(level), src);
        return;
    }
    add("{\"ts\":\"");
    add(stamp());
    add("\",\"level\":\"");
    add(log_level_name(level));
    add("\",\"src\":\"");
    add(src);
    add("\",\"member\":\"");
    add(f.member);
    if (f.release[0]) {
        add("\",\"release\":\"");
        add(f.release);
    }
    add("\"");
}

static void tail(out_class_t cls)
{
    add(f.json ? "}\n" : "\n");
    if (!f.line.failed) outq_line(cls, f.line.data, f.line.len);
}

static void text_body(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) { /* no control character reaches a terminal */
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 || c == '\t')
            buf_add(&f.line, bytes + i, 1);
        else
            buf_printf(&f.line, "\\x%02x", c);
    }
}

/* All that anybody says passes here, and whatever it is has no secret in it when it leaves. */
static void message(const char *bytes, size_t len)
{
    if (redact_copy(bytes, len, &f.clean)) {
        bytes = buf_cstr(&f.clean);
        len = f.clean.len;
    }
    if (!f.json) {
        text_body(bytes, len);
        return;
    }
    add(",\"msg\":\"");
    buf_json(&f.line, bytes, len);
    add("\"");
}

void logfmt_child(const char *src, log_level_t level, out_class_t cls, const char *bytes, size_t len,
                  unsigned part, bool last)
{
    if (level < f.least) return;
    head(src, level);
    message(bytes, len);
    if (part > 0 && f.json) buf_printf(&f.line, ",\"part\":%u,\"last\":%s", part, last ? "true" : "false");
    tail(cls);
}

void logfmt_child_object(const char *src, log_level_t level, out_class_t cls, const char *json, size_t len)
{
    if (level < f.least) return;
    if (redact_find(json, len)) { /* a mark in the wrong place would end its being JSON */
        logfmt_child(src, level, cls, json, len, 0, true);
        return;
    }
    head(src, level);
    if (f.json) add(",\"data\":");
    buf_add(&f.line, json, len);
    tail(cls);
}

static void id_and_message(const char *id, const char *event, const char *msg, size_t len)
{
    if (f.json) {
        if (id) buf_printf(&f.line, ",\"id\":\"%s\"", id);
        if (event) buf_printf(&f.line, ",\"event\":\"%s\"", event);
    } else if (id) {
        buf_printf(&f.line, "%s: ", id);
    }
    message(msg, len);
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
    tail(OUT_OTHER);
    if (!outq_is_stalled()) outq_flush();
}

void logfmt_sink(log_level_t level, err_id_t id, const char *msg) { logfmt_own(level, id, NULL, "%s", msg); }

void logfmt_role(const char *src, log_level_t level, const char *id, const char *msg, size_t len)
{
    if (level < f.least) return;
    head(src, level);
    id_and_message(id, NULL, msg, len);
    tail(OUT_OTHER);
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
    tail(OUT_OTHER);
    if (!outq_is_stalled()) outq_flush(); /* nothing else may come for hours */
}

void logfmt_metric(const char *name, double value, const char *unit)
{
    const logfmt_metric_t one = {name, value, unit};
    logfmt_metrics(&one, 1);
}
