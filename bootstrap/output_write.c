#include "base/secret.h"
#include "bootstrap/output.h"
#include "bootstrap/output_json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 8 << 20, DIFF_LINES = 2000 };

static bool is_same(const output_t *out, const buf_t *old)
{
    return old->len == out->bytes.len && memcmp(buf_cstr(old), buf_cstr(&out->bytes), old->len) == 0;
}

/* Reads DIR/NAME; false when it is not there. */
static bool read_old(const char *dir, const char *name, buf_t *ret)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0 && fd_read_file(path, FILE_MAX, ret, NULL) == 0;
}

static const output_t *find_output(const outputs_t *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->item[i].name, name) == 0) return &o->item[i];
    return NULL;
}

/* Of a file that others go on with: is it there, and made from the same as now? */
static bool is_current(const outputs_t *o, const output_t *out, const char *dir)
{
    cleanup_buf buf_t file = BUF_INIT, sum = BUF_INIT;
    const output_t *now = find_output(o, "muc.sum");
    return read_old(dir, out->name, &file) && now && read_old(dir, "muc.sum", &sum) && is_same(now, &sum);
}

bool output_differs(const outputs_t *o, const char *name, const char *dir)
{
    cleanup_buf buf_t old = BUF_INIT;
    const output_t *now = find_output(o, name);
    bool there = read_old(dir, name, &old);
    return now && there ? !is_same(now, &old) : now || there;
}

void output_forget(const outputs_t *o, const char *dir)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < o->count; i++) {
        snprintf(path, sizeof path, "%s/%s" OUTPUT_NEW, dir, o->item[i].name);
        unlink(path);
    }
}

int output_write(const outputs_t *o, const char *dir, const char *suffix, err_t *err)
{
    for (size_t i = 0; i < o->count; i++) {
        const output_t *out = &o->item[i];
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s%s", dir, out->name, suffix);
        if (out->once && is_current(o, out, dir)) continue;
        if (fd_replace_file(path, buf_cstr(&out->bytes), out->bytes.len, &out->spec, err) < 0) return -1;
    }
    return 0;
}

/* ---- the difference, for people ---- */

/* What may be shown: JSON with its secrets masked. Something else in a JSON file is not shown at all. */
static void shown(const output_t *out, const buf_t *bytes, buf_t *ret)
{
    if (!out->has_secrets) {
        buf_add(ret, buf_cstr(bytes), bytes->len);
        return;
    }
    json_t *o = json_loadb(buf_cstr(bytes), bytes->len, 0, NULL);
    output_json_mask(o);
    char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
    buf_str(ret, text ? text : "(not JSON)");
    buf_str(ret, "\n");
    free(text);
    json_decref(o);
}

typedef struct {
    const char *at[DIFF_LINES];
    size_t len[DIFF_LINES], count;
} lines_t;

static void split(const buf_t *b, lines_t *ret)
{
    ret->count = 0;
    for (const char *p = buf_cstr(b); *p && ret->count < DIFF_LINES; ret->count++) {
        ret->at[ret->count] = p;
        ret->len[ret->count] = strcspn(p, "\n");
        p += ret->len[ret->count];
        p += *p == '\n';
    }
}

static bool same_line(const lines_t *a, size_t i, const lines_t *b, size_t j)
{
    return a->len[i] == b->len[j] && memcmp(a->at[i], b->at[j], a->len[i]) == 0;
}

static void put_line(buf_t *ret, char sign, const lines_t *l, size_t i)
{
    buf_printf(ret, "%c%.*s\n", sign, (int)l->len[i], l->at[i]);
}

/* Longest common subsequence; common lines are not printed. */
static int put_lines(const lines_t *a, const lines_t *b, buf_t *ret)
{
    size_t w = b->count + 1;
    unsigned short *longest = calloc((a->count + 1) * w, sizeof *longest);
    if (!longest) return -1;
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            unsigned short down = longest[(i + 1) * w + j], right = longest[i * w + j + 1];
            longest[i * w + j] = same_line(a, i, b, j) ? (unsigned short)(longest[(i + 1) * w + j + 1] + 1)
                                 : down > right        ? down
                                                       : right;
        }
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        if (i < a->count && j < b->count && same_line(a, i, b, j)) {
            i++, j++;
        } else if (i < a->count && (j == b->count || longest[(i + 1) * w + j] >= longest[i * w + j + 1])) {
            put_line(ret, '-', a, i++);
        } else {
            put_line(ret, '+', b, j++);
        }
    }
    free(longest);
    return 0;
}

static void put_diff(const output_t *out, const buf_t *old, buf_t *ret)
{
    cleanup_buf buf_t before = BUF_INIT, after = BUF_INIT;
    lines_t *a = malloc(2 * sizeof *a);
    if (!a) return;
    shown(out, old, &before);
    shown(out, &out->bytes, &after);
    size_t start = ret->len;
    split(&before, &a[0]);
    split(&after, &a[1]);
    put_lines(&a[0], &a[1], ret);
    if (ret->len == start) buf_str(ret, " (a secret)\n");
    free(a);
}

int output_diff(const outputs_t *o, const char *dir, buf_t *ret)
{
    int differ = 0;
    for (size_t i = 0; i < o->count; i++) {
        const output_t *out = &o->item[i];
        cleanup_buf buf_t old = BUF_INIT;
        bool there = read_old(dir, out->name, &old);
        if (out->once ? is_current(o, out, dir) : there && is_same(out, &old)) continue;
        differ++;
        buf_printf(ret, "%s %s/%s\n", there ? "changed" : "new", dir, out->name);
        if (there && !out->once && strcmp(out->name, "muc.sum") != 0) put_diff(out, &old, ret);
    }
    return differ;
}
