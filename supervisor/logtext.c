#include "supervisor/logtext.h"
#include <string.h>

typedef struct {
    const char *word;
    log_level_t level;
} level_word_t;

/* err_levels in src/core/ngx_log.c of nginx */
static const level_word_t NGINX_WORDS[] = {
    {"[debug]", LOG_DEBUG_}, {"[info]", LOG_INFO_},  {"[notice]", LOG_NOTICE_}, {"[warn]", LOG_WARN_},
    {"[error]", LOG_ERROR_}, {"[crit]", LOG_ERROR_}, {"[alert]", LOG_ERROR_},   {"[emerg]", LOG_ERROR_}};
/* php_error_cb in main/main.c of PHP */
static const level_word_t PHP_WORDS[] = {
    {"PHP Fatal error", LOG_ERROR_},
    {"PHP Recoverable fatal error", LOG_ERROR_},
    {"PHP Parse error", LOG_ERROR_},
    {"PHP Warning", LOG_WARN_},
    {"PHP Notice", LOG_NOTICE_},
    {"PHP Deprecated", LOG_INFO_},
    {"PHP Strict Standards", LOG_INFO_},
    {"Default exception handler: ", LOG_ERROR_}, /* lib/setuplib.php of Moodle */
    {"Scheduled task failed: ", LOG_ERROR_},     /* lib/classes/cron.php */
    {"Adhoc task failed: ", LOG_ERROR_},
    {"Debugging: ", LOG_NOTICE_}}; /* lib/weblib.php */
/* level_names in sapi/fpm/fpm/zlog.c */
static const level_word_t FPM_WORDS[] = {{"DEBUG: ", LOG_DEBUG_},
                                         {"NOTICE: ", LOG_NOTICE_},
                                         {"WARNING: ", LOG_WARN_},
                                         {"ERROR: ", LOG_ERROR_},
                                         {"ALERT: ", LOG_ERROR_}};
/* What stands below a message: PHP's traces and xdebug's, Moodle's format_backtrace() and what its task manager says of a task
 * that failed. */
static const char *const TRACES[] = {"Stack trace:",     "* line ",      "  thrown in ",
                                     "PHP Stack trace:", "PHP   ",       "Debug info:",
                                     "Backtrace:",       "Error code: ", "!! "};
/* What such things stand below when nothing else marks it: Moodle's scripts in the command line. */
static const char *const OPENERS[] = {"!!! ", "++ ", "Exception ", "Fatal error: ", "Warning: ", "Notice: "};

typedef struct {
    const char *p;
    size_t len;
} rest_t;

static bool starts(rest_t r, const char *word)
{
    size_t n = strlen(word);
    return r.len >= n && memcmp(r.p, word, n) == 0;
}

static rest_t behind(rest_t r, size_t n) { return (rest_t){r.p + n, r.len - n}; }

static bool find_level(const level_word_t *words, size_t n, rest_t r, log_level_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (!starts(r, words[i].word)) continue;
        *ret = words[i].level;
        return true;
    }
    return false;
}
#define LEVEL_IN(words, r, ret) find_level(words, sizeof(words) / sizeof *(words), r, ret)

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "[25-Nov-2026 07:00:00 UTC] ": PHP's with a zone, PHP-FPM's without one. Its length, 0 when there is none. */
static size_t php_stamp(rest_t r, bool *ret_zone)
{
    if (r.len < 23 || r.p[0] != '[' || r.p[3] != '-' || r.p[15] != ':' || !is_digit(r.p[1])) return 0;
    const char *end = memchr(r.p, ']', r.len < 64 ? r.len : 64);
    if (!end || end + 1 >= r.p + r.len || end[1] != ' ') return 0;
    *ret_zone = r.p[21] == ' ';
    return (size_t)(end - r.p) + 2;
}

/* "2026/11/25 07:00:00 ", ngx_log_error_core() */
static bool has_nginx_stamp(rest_t r)
{
    return r.len > 20 && is_digit(r.p[0]) && r.p[4] == '/' && r.p[7] == '/' && r.p[10] == ' ' &&
           r.p[13] == ':' && r.p[19] == ' ';
}

/* `child 7 said into stderr: "..."`, fpm_stdio_child_said() in sapi/fpm/fpm/fpm_stdio.c and zlog_stream */
static bool unwrap(rest_t *r)
{
    static const char OUT[] = " said into stdout: \"", ERR[] = " said into stderr: \"",
                      GONE[] = ", pipe is closed";
    size_t look = r->len < 120 ? r->len : 120, n = r->len;
    const char *at = memmem(r->p, look, ERR, sizeof ERR - 1);
    if (!at) at = memmem(r->p, look, OUT, sizeof OUT - 1);
    if (!at) return false;
    if (n > sizeof GONE && memcmp(r->p + n - (sizeof GONE - 1), GONE, sizeof GONE - 1) == 0)
        n -= sizeof GONE - 1;
    const char *from = at + sizeof ERR - 1, *end = r->p + n;
    if (end > from && end[-1] == '"') end--;
    *r = (rest_t){from, end > from ? (size_t)(end - from) : 0};
    return true;
}

/* sapi_cgi_log_fastcgi() and php_log_err() */
static rest_t skip_message(rest_t r)
{
    static const char WORD[] = "PHP message: ";
    return starts(r, WORD) ? behind(r, sizeof WORD - 1) : r;
}

static void read_nginx(logtext_t *t, rest_t r)
{
    if (starts(r, "nginx: "))
        r = behind(r, 7);
    else if (has_nginx_stamp(r))
        r = behind(r, 20);
    else
        return;
    t->has_level = LEVEL_IN(NGINX_WORDS, r, &t->level);
    const char *colon = t->has_level ? memchr(r.p, ':', r.len < 60 ? r.len : 60) : NULL;
    if (!colon || colon + 2 > r.p + r.len) return;
    r = behind(r, (size_t)(colon + 2 > r.p + r.len ? r.p + r.len - r.p : colon + 2 - r.p));
    if (r.len && r.p[0] == '*') { /* the connection's number */
        const char *blank = memchr(r.p, ' ', r.len < 24 ? r.len : 24);
        if (blank) r = behind(r, (size_t)(blank + 1 - r.p));
    }
    t->head = (size_t)(r.p - t->bytes);
    static const char SENT[] = "FastCGI sent in stderr: \"";
    if (starts(r, SENT)) LEVEL_IN(PHP_WORDS, skip_message(behind(r, sizeof SENT - 1)), &t->level);
}

static void read_php(logtext_t *t, rest_t r)
{
    bool zone = false;
    size_t n = php_stamp(r, &zone);
    rest_t text = behind(r, n);
    bool by_fpm = LEVEL_IN(FPM_WORDS, text, &t->level);
    t->has_level = by_fpm;
    if (by_fpm && unwrap(&text)) {
        t->bytes = text.p;
        t->len = text.len;
        n = php_stamp(text, &zone);
        text = behind(text, n);
    }
    t->head = n;
    const char *colon = by_fpm ? memchr(text.p, ' ', text.len < 10 ? text.len : 10) : NULL;
    rest_t inner = colon ? behind(text, (size_t)(colon + 1 - text.p)) : text;
    bool sent = starts(
        inner,
        "PHP message: "); /* "NOTICE: PHP message: ", when its log cannot be opened: to standard error, without a time */
    t->stamped = (n > 0 && zone) || sent;
    t->has_level |= LEVEL_IN(PHP_WORDS, skip_message(sent ? inner : text), &t->level);
}

logtext_t logtext_read(stream_kind_t kind, const char *bytes, size_t len)
{
    logtext_t t = {.bytes = bytes, .len = len};
    rest_t r = {bytes, len};
    if (kind == STREAM_NGINX)
        read_nginx(&t, r);
    else
        read_php(&t, r);
    return t;
}

static rest_t text_of(const logtext_t *t) { return (rest_t){t->bytes + t->head, t->len - t->head}; }

bool logtext_is_closed(stream_kind_t kind, const char *bytes, size_t len)
{
    return kind == STREAM_NGINX && memmem(bytes, len, "\" while ", 8);
}

bool logtext_is_trace(const logtext_t *t)
{
    rest_t r = text_of(t);
    if (r.len > 1 && r.p[0] == '#' && is_digit(r.p[1])) return true;
    for (size_t i = 0; i < sizeof TRACES / sizeof *TRACES; i++)
        if (starts(r, TRACES[i])) return true;
    return false;
}

/* "... in /f.php on line 12", or with an exception "... in /f.php:12" */
static bool ends_with_place(rest_t r)
{
    static const char WORD[] = "on line ";
    size_t n = r.len;
    while (n && is_digit(r.p[n - 1])) n--;
    if (n == r.len || n == 0) return false;
    return r.p[n - 1] == ':' ||
           (n >= sizeof WORD - 1 && memcmp(r.p + n - (sizeof WORD - 1), WORD, sizeof WORD - 1) == 0);
}

logtext_more_t logtext_more(const logtext_t *t, logtext_more_t now)
{
    rest_t r = text_of(t);
    if (logtext_is_trace(t)) return starts(r, "Debug info:") ? MORE_TEXT : MORE_NONE;
    bool php = starts(r, "PHP ") || starts(r, "Fatal error: ");
    if (now == MORE_NONE && !php) return MORE_NONE;
    if (now == MORE_TEXT) return MORE_TEXT;
    return ends_with_place(r) ? MORE_NONE : MORE_MESSAGE;
}

bool logtext_opens(stream_kind_t kind, const logtext_t *t)
{
    rest_t r = text_of(t);
    if (kind == STREAM_NGINX)
        return t->head && starts(r, "FastCGI sent in stderr: \"") &&
               !logtext_is_closed(kind, t->bytes, t->len);
    if (t->stamped || starts(r, "PHP ") || starts(r, "PHP message: ")) return true;
    log_level_t level;
    if (LEVEL_IN(PHP_WORDS, r, &level)) return true;
    for (size_t i = 0; i < sizeof OPENERS / sizeof *OPENERS; i++)
        if (starts(r, OPENERS[i])) return true;
    return logtext_is_trace(t);
}

bool logtext_continues(stream_kind_t kind, const logtext_t *t, const logtext_t *above)
{
    rest_t r = text_of(t);
    if (kind == STREAM_NGINX)
        return !has_nginx_stamp((rest_t){t->bytes, t->len}) && !(r.len && r.p[0] == '{');
    if (logtext_is_trace(t)) return true;
    if (t->stamped || t->has_level || t->len == 0 || t->bytes[0] == '{') return false;
    return above->stamped || t->bytes[0] == ' ' || t->bytes[0] == '\t' || starts(r, "Next ");
}
