#include "base/passwd.h"
#include "base/buf.h"
#include "base/fd.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PASSWD_MAX = 1 << 20 };

/* The whole text as a number that an id may have. */
static bool id_parse(const char *text, size_t len, unsigned long *ret)
{
    char copy[16], *end = NULL;
    if (len == 0 || len >= sizeof copy || text[strspn(text, "0123456789")] != text[len]) return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    errno = 0;
    *ret = strtoul(copy, &end, 10);
    return !errno && !*end && *ret < 0xFFFFFFFFUL;
}

/* name:password:uid:gid:... (passwd(5)). Does this line's entry match? */
static bool line_match(const char *line, const char *name, bool by_number, unsigned long number,
                       uid_t *ret_uid, gid_t *ret_gid)
{
    const char *field[4];
    size_t len[4];
    for (int i = 0; i < 4; i++) {
        field[i] = line;
        len[i] = strcspn(line, ":\n");
        if (line[len[i]] != ':') return false;
        line += len[i] + 1;
    }
    unsigned long uid = 0, gid = 0;
    if (!id_parse(field[2], len[2], &uid) || !id_parse(field[3], len[3], &gid)) return false;
    if (by_number ? uid != number : strlen(name) != len[0] || memcmp(name, field[0], len[0]) != 0)
        return false;
    *ret_uid = (uid_t)uid;
    *ret_gid = (gid_t)gid;
    return true;
}

int passwd_find(const char *name, uid_t *ret_uid, gid_t *ret_gid, err_t *err)
{
    if (geteuid() != 0) {
        *ret_uid = geteuid();
        *ret_gid = getegid();
        return 0;
    }
    unsigned long number = 0;
    bool by_number = *name && !name[strspn(name, "0123456789")] && id_parse(name, strlen(name), &number);
    cleanup_buf buf_t file = BUF_INIT;
    if (fd_read_file("/etc/passwd", PASSWD_MAX, &file, err) < 0) {
        if (err) err->id = ERR_USER;
        return -1;
    }
    for (const char *line = buf_cstr(&file); *line;) {
        if (line_match(line, name, by_number, number, ret_uid, ret_gid)) return 0;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    if (!by_number) return err_set(err, ERR_USER, "there is no user %.64s in /etc/passwd", name);
    *ret_uid = (uid_t)number;
    *ret_gid = (gid_t)number;
    return 0;
}
