#include "coord/flag.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MARK "<!-- moodlectl "

static void flag_path(const char *data_dir, char *buf, size_t size)
{
    snprintf(buf, size, "%s/climaintenance.html", data_dir);
}

static const char *const KINDS[] = {[FLAG_UPGRADE] = "upgrade", [FLAG_OPERATOR] = "maintenance"};

/* The value after `key="`, up to the next quote; escaped ones cannot appear in it. */
static void field_read(const char *line, const char *key, char *to, size_t size)
{
    char word[16];
    snprintf(word, sizeof word, " %s=\"", key);
    const char *p = strstr(line, word);
    if (!p) return;
    p += strlen(word);
    size_t n = strcspn(p, "\"\n");
    snprintf(to, size, "%.*s", (int)n, p);
}

int flag_read(const char *data_dir, flag_t *ret, err_t *err)
{
    char path[4096];
    *ret = (flag_t){.kind = FLAG_NONE};
    flag_path(data_dir, path, sizeof path);
    if (access(path, F_OK) < 0) {
        if (errno == ENOENT) return 0;
        return err_sys(err, ERR_DATA_MISSING, "%s", path);
    }
    cleanup_buf buf_t b = BUF_INIT;
    ret->kind = FLAG_FOREIGN;
    if (fd_read_file(path, 1 << 20, &b, NULL) < 0) return 0; /* there, and not readable for us: not ours */
    const char *text = buf_cstr(&b);
    for (flag_kind_t k = FLAG_UPGRADE; k <= FLAG_OPERATOR; k++) {
        char mark[64];
        snprintf(mark, sizeof mark, MARK "%s ", KINDS[k]);
        if (strncmp(text, mark, strlen(mark)) != 0) continue;
        ret->kind = k;
        field_read(text, "who", ret->who, sizeof ret->who);
        field_read(text, "when", ret->when, sizeof ret->when);
        field_read(text, "why", ret->message, sizeof ret->message);
    }
    return 0;
}

/* For an attribute-like value in a comment and for text: no markup, no quote, no "--" (which would end the comment). */
static void text_add(buf_t *b, const char *s)
{
    char last = 0;
    for (; *s; s++) {
        if (*s == '&')
            buf_str(b, "&amp;");
        else if (*s == '<')
            buf_str(b, "&lt;");
        else if (*s == '>')
            buf_str(b, "&gt;");
        else if (*s == '"')
            buf_str(b, "&quot;");
        else if ((unsigned char)*s < ' ')
            buf_str(b, " ");
        else if (*s == '-' && last == '-')
            buf_str(b, "&#45;");
        else
            buf_add(b, s, 1);
        last = *s;
    }
}

int flag_write(const char *data_dir, flag_kind_t kind, const char *who, const char *message, uid_t uid,
               gid_t gid, err_t *err)
{
    char path[4096], when[32];
    cleanup_buf buf_t b = BUF_INIT;
    flag_path(data_dir, path, sizeof path);
    clock_rfc3339(clock_wall_ms(), when);
    buf_printf(&b, MARK "%s who=\"", KINDS[kind]);
    text_add(&b, who);
    buf_printf(&b, "\" when=\"%s\" why=\"", when);
    text_add(&b, message);
    buf_str(&b, "\" -->\n<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                "charset=\"utf-8\"><title>Maintenance</title>\n"
                "<meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" "
                "content=\"30\">\n"
                "<style>body{font:1.1em/1.5 sans-serif;max-width:34em;margin:15vh auto;padding:0 "
                "1em;color:#222}</style></head>\n"
                "<body><h1>This site is under maintenance</h1>\n<p>");
    text_add(&b, *message ? message : "It will be back soon.");
    buf_str(&b, "</p></body></html>\n");
    if (b.failed) return err_set(err, ERR_MEMORY, "maintenance page");
    file_spec_t spec = {.uid = uid, .gid = gid, .mode = 0660};
    return fd_replace_file(path, b.data, b.len, &spec, err);
}

int flag_remove(const char *data_dir, err_t *err)
{
    char path[4096];
    flag_path(data_dir, path, sizeof path);
    if (unlink(path) < 0 && errno != ENOENT) return err_sys(err, ERR_DATA_WRITE, "remove %s", path);
    return 0;
}
