#include "base/set_value.h"
#include "base/nearest.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SHOWN = 200 };

typedef struct {
    const set_row_t *row;
    set_id_t id;
    const char *text;
    bool is_hidden;
    buf_t *out; /* canonical form; whoever writes it writes all of it */
    int64_t num;
    err_t *err;
} parse_t;

typedef struct {
    const char *suffix;
    int64_t factor;
} unit_t;

static const unit_t MILLIS_UNITS[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const unit_t SIZE_UNITS[] = {{"K", 1LL << 10}, {"M", 1LL << 20}, {"G", 1LL << 30}, {NULL, 0}};
static const unit_t NO_UNITS[] = {{"", 1}, {NULL, 0}};

/* Passwords that container images publish as their defaults (Bitnami, erseco, and what documentation shows). */
static const char *const PUBLISHED_PASSWORDS[] = {"bitnami", "PLEASE_CHANGEME", "changeme",
                                                  "moodle",  "password",        "admin"};

/* The value in quotes, cut to a few dozen characters, control characters shown as \xNN. */
static void show(const parse_t *p, char *buf, size_t size)
{
    if (p->is_hidden || p->row->flags & SF_SECRET) {
        snprintf(buf, size, "(secret)");
        return;
    }
    size_t at = 0, n = strlen(p->text), shown = n > 60 ? 57 : n;
    buf[at++] = '"';
    for (size_t i = 0; i < shown && at + 12 < size; i++) {
        unsigned char c = (unsigned char)p->text[i];
        if (c >= 0x20 && c != 0x7F)
            buf[at++] = (char)c;
        else
            at += (size_t)snprintf(buf + at, size - at, "\\x%02x", c);
    }
    snprintf(buf + at, size - at, "%s\"", shown < n ? "..." : "");
}

static int refuse(const parse_t *p, err_id_t id, const char *why)
{
    char shown[256];
    show(p, shown, sizeof shown);
    return err_set(p->err, id, "%s %s", shown, why);
}

static int refuse_type(const parse_t *p, const char *why) { return refuse(p, ERR_SET_INVALID, why); }

/* Digits and one of the units. 0, or -1 without a message. */
static int number_parse(const char *text, const unit_t *units, int64_t *ret)
{
    if (!isdigit((unsigned char)*text)) return -1;
    char *end = NULL;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno) return -1;
    for (const unit_t *u = units; u->suffix; u++)
        if (strcasecmp(end, u->suffix) == 0) return __builtin_mul_overflow(n, u->factor, ret) ? -1 : 0;
    return -1;
}

/* The row's hint is "least..most" in the row's own units, and perhaps "|never". */
static int range_check(const parse_t *p, const unit_t *units)
{
    const char *dots = strstr(p->row->hint, "..");
    char low[32], high[32];
    int64_t least = 0, most = 0;
    if (!dots || (size_t)(dots - p->row->hint) >= sizeof low) return 0;
    snprintf(low, sizeof low, "%.*s", (int)(dots - p->row->hint), p->row->hint);
    snprintf(high, sizeof high, "%.*s", (int)strcspn(dots + 2, "|"), dots + 2);
    if (number_parse(low, units, &least) < 0 || number_parse(high, units, &most) < 0)
        return err_set(p->err, ERR_BUG, "the range \"%s\" in settings.def", p->row->hint);
    if (p->num >= least && p->num <= most) return 0;
    char why[96];
    snprintf(why, sizeof why, "is out of range %s", p->row->hint);
    return refuse_type(p, why);
}

static int parse_number(parse_t *p, const unit_t *units, const char *why)
{
    return number_parse(p->text, units, &p->num) < 0 ? refuse_type(p, why) : range_check(p, units);
}

static int parse_int(parse_t *p) { return parse_number(p, NO_UNITS, "is not a whole number"); }

static int parse_millis(parse_t *p)
{
    if (strstr(p->row->hint, "|never") && strcasecmp(p->text, "never") == 0) {
        p->num = SET_NEVER;
        buf_str(p->out, "never");
        return 0;
    }
    return parse_number(p, MILLIS_UNITS, "is not a duration: digits and a unit, ms s m or h, as in 30s");
}

static int parse_size(parse_t *p)
{
    return parse_number(p, SIZE_UNITS, "is not a size: digits and a unit, K M or G, as in 200M");
}

static int parse_bool(parse_t *p)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(p->text, words[i]) == 0) {
            p->num = (int64_t)(i & 1);
            return 0;
        }
    bool has_auto = strcmp(p->row->def, "auto") == 0;
    if (has_auto && strcasecmp(p->text, "auto") == 0) {
        p->num = SET_BOOL_AUTO;
        return 0;
    }
    return refuse_type(p, has_auto ? "is none of true false yes no on off 1 0 auto"
                                   : "is none of true false yes no on off 1 0");
}

static int parse_enum(parse_t *p)
{
    char near[32] = "", why[SHOWN];
    size_t best = SIZE_MAX;
    for (const char *c = p->row->hint; *c; c += *c == '|') {
        char word[32];
        size_t n = strcspn(c, "|");
        snprintf(word, sizeof word, "%.*s", (int)n, c);
        if (strcasecmp(word, p->text) == 0) {
            buf_str(p->out, word);
            return 0;
        }
        size_t d = nearest_distance(p->text, word);
        if (d < best && nearest_is_near(p->text, d)) {
            best = d;
            snprintf(near, sizeof near, "%s", word);
        }
        c += n;
    }
    snprintf(why, sizeof why, "is none of %s%s%s%s", p->row->hint, *near ? " (did you mean " : "", near,
             *near ? "?)" : "");
    return refuse(p, p->id == SET_db_type ? ERR_DB_TYPE : ERR_SET_INVALID, why);
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if (iscntrl((unsigned char)*s)) return true;
    return false;
}

/* '$' is refused because nginx has no way to write one in a directive that takes variables, such as root. */
static int parse_path(parse_t *p)
{
    if (p->text[0] != '/') return refuse_type(p, "is not an absolute path");
    if (has_control(p->text) || strchr(p->text, '$'))
        return refuse_type(p, "is not a usable path: no control characters, no $");
    size_t n = strlen(p->text);
    while (n > 1 && p->text[n - 1] == '/') n--;
    if (n == 1 && p->text[0] == '/') return refuse_type(p, "is the root directory");
    buf_add(p->out, p->text, n);
    return 0;
}

/* Moodle builds every link by adding a path to this (lib/setuplib.php, initialise_fullme). */
static int parse_url(parse_t *p)
{
    const char *host = NULL;
    if (strncasecmp(p->text, "http://", 7) == 0) host = p->text + 7;
    if (strncasecmp(p->text, "https://", 8) == 0) host = p->text + 8;
    if (!host) return refuse_type(p, "does not begin with http:// or https://");
    size_t n = strcspn(host, "/?#");
    if (n == 0) return refuse_type(p, "has no host name");
    if (strchr(host, '?') || strchr(host, '#')) return refuse_type(p, "has a query or fragment");
    if (host[n] == '/' && host[n + 1])
        return refuse_type(p, "has a path: Moodle is served at the root of a host");
    if (memchr(host, '@', n)) return refuse_type(p, "holds a user name");
    for (const char *c = p->text; *c; c++)
        if (*c <= ' ' || *c == 0x7F || strchr("\"'\\<>`", *c))
            return refuse_type(p, "holds a character that no address has");
    if (p->text[strlen(p->text) - 1] == '/') return refuse_type(p, "ends with a slash: remove it");
    return 0;
}

static int parse_host(parse_t *p)
{
    size_t colons = 0;
    for (const char *c = p->text; *c; c++) {
        if (*c == ':') colons++;
        if (!isalnum((unsigned char)*c) && !strchr("._-:%", *c))
            return refuse_type(p, "is not a host name or address");
    }
    if (colons == 1) return refuse_type(p, "holds a port: give it in the setting for the port");
    return 0;
}

static bool is_address(const char *text)
{
    unsigned char raw[16];
    return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
}

static int parse_addr(parse_t *p)
{
    const char *why = "is not address:port, as in 0.0.0.0:8080 or [::]:8080";
    const char *colon = strrchr(p->text, ':');
    int64_t port = 0;
    char host[64];
    if (!colon || (size_t)(colon - p->text) >= sizeof host) return refuse_type(p, why);
    bool brackets = p->text[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - p->text) - (brackets ? 2 : 0), p->text + brackets);
    if (!is_address(host) || (strchr(host, ':') != NULL) != brackets) return refuse_type(p, why);
    if (number_parse(colon + 1, NO_UNITS, &port) < 0 || port < 1 || port > 65535) return refuse_type(p, why);
    p->num = port;
    return 0;
}

static bool is_network(const char *text)
{
    char host[64];
    size_t n = strcspn(text, "/");
    int64_t bits = 0;
    if (n >= sizeof host) return false;
    snprintf(host, sizeof host, "%.*s", (int)n, text);
    if (!is_address(host)) return false;
    if (!text[n]) return true;
    return number_parse(text + n + 1, NO_UNITS, &bits) == 0 && bits <= (strchr(host, ':') ? 128 : 32);
}

/* All our lists are lists of networks. Canonical: one comma between, no blanks. */
static int parse_list(parse_t *p)
{
    for (const char *c = p->text;;) {
        c += strspn(c, ", \t");
        if (!*c) return 0;
        char item[64];
        size_t n = strcspn(c, ", \t");
        snprintf(item, sizeof item, "%.*s", n < sizeof item ? (int)n : 0, c);
        if (!is_network(item))
            return refuse_type(p, "is not a comma separated list of networks, as in 10.0.0.0/8");
        buf_printf(p->out, "%s%s", p->out->len ? "," : "", item);
        c += n;
    }
}

static int check_prefix(const parse_t *p)
{
    size_t n = strlen(p->text);
    if (n < 1 || n > 10 || !islower((unsigned char)p->text[0]) ||
        strspn(p->text, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
        return refuse(p, ERR_DB_PREFIX, "is not 1 to 10 of a-z 0-9 _ beginning with a letter");
    return 0;
}

static int check_password(const parse_t *p)
{
    for (size_t i = 0; i < sizeof PUBLISHED_PASSWORDS / sizeof *PUBLISHED_PASSWORDS; i++)
        if (strcasecmp(p->text, PUBLISHED_PASSWORDS[i]) == 0)
            return err_set(p->err, ERR_SET_DEFAULT_PASSWORD, "is a password that everybody knows");
    return 0;
}

static int check_mail(const parse_t *p)
{
    const char *at = strchr(p->text, '@');
    if (!at || at == p->text || !at[1] || strchr(at + 1, '@') || strpbrk(p->text, " \t\r\n<>,;\""))
        return refuse_type(p, "is not a mail address");
    return 0;
}

static int check_name(const parse_t *p)
{
    if (p->text[strspn(p->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
        return refuse_type(p, "may hold letters, digits, . _ and - only");
    return 0;
}

/* Rules of one setting beyond its type. */
static int parse_string(parse_t *p)
{
    switch (p->id) {
    case SET_db_prefix:
        return check_prefix(p);
    case SET_password:
        return check_password(p);
    case SET_email:
    case SET_support_email:
    case SET_noreply:
        return check_mail(p);
    case SET_member:
    case SET_user:
    case SET_lang:
        return check_name(p);
    default:
        return 0;
    }
}

static int (*const PARSERS[])(parse_t *) = {
    [ST_STRING] = parse_string, [ST_PATH] = parse_path, [ST_URL] = parse_url,       [ST_HOST] = parse_host,
    [ST_INT] = parse_int,       [ST_BOOL] = parse_bool, [ST_MILLIS] = parse_millis, [ST_SIZE] = parse_size,
    [ST_ENUM] = parse_enum,     [ST_ADDR] = parse_addr, [ST_LIST] = parse_list,
};

int set_value_parse(set_id_t id, const char *text, bool is_hidden, buf_t *ret_text, int64_t *ret_num,
                    err_t *err)
{
    size_t before = ret_text->len;
    parse_t p = {
        .row = &SETTINGS[id], .id = id, .text = text, .is_hidden = is_hidden, .out = ret_text, .err = err};
    if (PARSERS[p.row->type](&p) < 0) return -1;
    if (ret_text->len == before && p.row->type != ST_LIST) buf_str(ret_text, text);
    *ret_num = p.num;
    return 0;
}
