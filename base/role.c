#include "base/role.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/redact.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile sig_atomic_t stops;
static int wake[2] = {-1, -1}; /* the signal handler's self-pipe: role_wait cannot miss a signal */
static bool text_mode, stdin_open;
static buf_t inbox; /* bytes of an unfinished command line */

static void on_stop(int sig)
{
    (void)sig;
    int saved = errno;
    stops++;
    if (write(wake[1], "", 1) < 0) errno = saved; /* full pipe: it will wake anyway */
    errno = saved;
}

static void event_sink(log_level_t level, err_id_t id, const char *msg)
{
    if (text_mode) {
        fprintf(stderr, "%s: %s%s%s\n", log_level_name(level), id ? err_name(id) : "", id ? ": " : "", msg);
        return;
    }
    buf_t b = BUF_INIT;
    buf_printf(&b, "{\"event\":\"log\",\"level\":\"%s\",", log_level_name(level));
    if (id) buf_printf(&b, "\"id\":\"%s\",", err_name(id));
    buf_str(&b, "\"msg\":\"");
    buf_json(&b, msg, strlen(msg));
    buf_str(&b, "\"}\n");
    if (!b.failed) fd_write_all(STDOUT_FILENO, b.data, b.len);
    buf_free(&b);
}

void role_begin(void)
{
    text_mode = isatty(STDOUT_FILENO);
    stdin_open = !isatty(STDIN_FILENO);
    if (pipe(wake) == 0) {
        for (int i = 0; i < 2; i++) {
            fcntl(wake[i], F_SETFD, FD_CLOEXEC);
            fcntl(wake[i], F_SETFL, O_NONBLOCK);
        }
    }
    struct sigaction sa = {.sa_handler = on_stop};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!text_mode) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    log_set_sink(event_sink);
    log_set_level(LOG_DEBUG_); /* PID 1 filters */
}

void role_redact(json_t *event)
{
    static const char *const words[] = {"msg", "reason", "detail", "text"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const json_t *said = json_object_get(event, words[i]);
        buf_t clean = BUF_INIT;
        if (redact_copy(json_string_value(said), json_string_length(said), &clean) &&
            json_object_set_new(event, words[i], json_stringn(buf_cstr(&clean), clean.len)) < 0)
            json_object_set_new(event, words[i], json_string(REDACT_MARK)); /* its rest is no UTF-8 */
        buf_free(&clean);
    }
}

void role_emit(json_t *event)
{
    role_redact(event);
    char *s = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (!s) return;
    buf_t b = BUF_INIT;
    buf_str(&b, s);
    buf_str(&b, "\n");
    if (!b.failed && b.len <= ROLE_LINE_MAX) fd_write_all(STDOUT_FILENO, b.data, b.len);
    buf_free(&b);
    free(s);
}

void role_line(const char *src, const char *level, const char *bytes, size_t len)
{
    buf_t b = BUF_INIT, clean = BUF_INIT;
    if (redact_copy(bytes, len, &clean)) {
        bytes = buf_cstr(&clean);
        len = clean.len;
    }
    if (text_mode) {
        buf_printf(&b, "[%s] ", src);
        buf_add(&b, bytes, len);
        buf_str(&b, "\n");
    } else {
        if (len > ROLE_LINE_MAX / 8) len = ROLE_LINE_MAX / 8; /* escaping makes at most 6 bytes of one */
        buf_printf(&b, "{\"event\":\"line\",\"src\":\"%s\",\"level\":\"%s\",\"text\":\"", src, level);
        buf_json(&b, bytes, len);
        buf_str(&b, "\"}\n");
    }
    if (!b.failed) fd_write_all(STDOUT_FILENO, b.data, b.len);
    buf_free(&clean);
    buf_free(&b);
}

void role_state(const char *state, const char *error_name, const char *reason)
{
    role_emit(json_pack("{s:s,s:s,s:s*,s:s}", "event", "state", "state", state, "id", error_name, "reason",
                        reason));
}

void role_progress(const char *phase, const char *detail, long done, long total, const char *by,
                   uint64_t elapsed_ms)
{
    role_emit(json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:I}", "event", "progress", "phase", phase, "detail",
                        detail, "done", (json_int_t)done, "total", (json_int_t)total, "by", by, "elapsed_ms",
                        (json_int_t)elapsed_ms));
}

void role_metric(const char *name, double value, const char *unit)
{
    role_emit(json_pack("{s:s,s:s,s:f,s:s}", "event", "metric", "name", name, "value", value, "unit", unit));
}

int role_stop_requested(void) { return stops; }

/* Takes one whole line off the inbox; 1 with the value of "cmd", or 0. A line that is no command is skipped. */
static int next_command(char **ret_cmd)
{
    char *nl;
    while (inbox.len && (nl = memchr(inbox.data, '\n', inbox.len))) {
        size_t used = (size_t)(nl - inbox.data) + 1;
        json_t *o = json_loadb(inbox.data, used, 0, NULL);
        const char *cmd = json_string_value(json_object_get(o, "cmd"));
        char *copy = cmd ? strdup(cmd) : NULL;
        json_decref(o);
        memmove(inbox.data, inbox.data + used, inbox.len - used);
        inbox.len -= used;
        if (copy) {
            *ret_cmd = copy;
            return 1;
        }
    }
    return 0;
}

static void read_stdin(void)
{
    char chunk[1024];
    ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n > 0 && inbox.len < ROLE_LINE_MAX) buf_add(&inbox, chunk, (size_t)n);
    if (n == 0) {
        stdin_open = false;
        if (stops == 0) stops = 1; /* PID 1 has gone */
    }
}

int role_wait(int also_fd, uint64_t ms, char **ret_cmd)
{
    uint64_t until = clock_ms() + ms;
    for (;;) {
        if (stops) return -1;
        if (next_command(ret_cmd)) return 1;
        uint64_t now = clock_ms();
        struct pollfd p[3] = {{.fd = wake[0], .events = POLLIN},
                              {.fd = stdin_open ? STDIN_FILENO : -1, .events = POLLIN},
                              {.fd = also_fd, .events = POLLIN | POLLRDHUP}};
        int n = poll(p, 3, now >= until ? 0 : (int)(until - now));
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0 && p[1].revents) read_stdin();
        if (stops) return -1;
        if (next_command(ret_cmd)) return 1;
        if (n > 0 && p[2].revents) return 2;
        if (clock_ms() >= until) return 0;
    }
}
