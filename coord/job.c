#include "coord/job.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/role.h"
#include "coord/job_line.h"
#include "coord/keeper.h"
#include "coord/oom.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARGS_MAX = 24,
    ASK_MS = 2000,
    ASK_STATEMENTS = 12, /* at most, of `leave` */
    STUCK_KILLS =
        30, /* a stuck script gets a second SIGTERM, then SIGKILL, after so many kill budgets (30 s) each */
};

typedef struct job {
    const job_spec_t *spec;
    keeper_t keeper;
    int epoll;
    job_lines_t out, err_lines;
    uint64_t stop_ms, asked_ms; /* when a stop was first seen; when `leave` was last asked */
    int terms, stops;           /* SIGTERMs sent, stop requests seen */
    bool lost, ended;
    uint64_t stuck_ms, began_ms; /* 0: not stuck */
    unsigned relocks;            /* of the lease, when the script began */
    uint64_t oom_kills;          /* in our memory group, when it began */
    clock_watch_t clocks;
    job_result_t *result;
} job_t;

/* ---- the lease ---- */

int job_lease_keep(lease_t *l, const char *run_dir, const char *detail, err_t *err)
{
    err_t e = {0};
    if (l->db && !db_is_lost(l->db)) {
        if (!lease_beat_due(l, clock_ms())) return 0;
        if (lease_beat(l, detail, &e) == 0) return 0;
        if (e.id == ERR_LOCK_LOST) goto lost;
    }
    log_warn("%s session lost (%s); trying to get the lock back before the deadline",
             purpose_name(l->purpose), e.msg);
    /* A new session that gets the lock and finds our epoch and holder in the row proves that nobody led in between. */
    while (clock_ms() + l->times.kill < l->deadline_ms) {
        target_t t;
        int rc = target_load(run_dir, &t, &e);
        if (rc == 0) rc = lease_relock(l, &t.db, &e);
        target_free(&t);
        if (rc == 0) {
            log_notice("%s lock taken again in a new session, epoch unchanged", purpose_name(l->purpose));
            return 0;
        }
        if (e.id == ERR_LOCK_LOST && strstr(e.msg, "is not ours")) break;
        clock_sleep_ms(200);
    }
lost:
    lease_close(l);
    return err_set(err, ERR_LOCK_LOST, "%s", e.msg[0] ? e.msg : "the session ended");
}

static uint64_t lease_wait(const lease_t *l, uint64_t now, uint64_t most)
{
    uint64_t due = l->beat_ms + l->times.heartbeat;
    if (due <= now) return 0;
    return due - now < most ? due - now : most;
}

static bool lease_is_quiet(lease_t *l)
{
    struct pollfd p = {.fd = db_fd(l->db), .events = POLLIN | POLLRDHUP};
    return poll(&p, 1, 0) <= 0 || db_idle_ok(l->db);
}

static const char *detail_of(const job_t *j) { return j->spec->progress ? j->spec->progress->detail : ""; }

static void leases_keep(job_t *j, err_t *err)
{
    const job_spec_t *s = j->spec;
    char detail[200] = "";
    if (s->progress)
        snprintf(detail, sizeof detail, "%ld/%ld %.120s", s->progress->done, s->progress->total,
                 detail_of(j));
    if (!j->lost) {
        if (s->lease->db) lease_is_quiet(s->lease);
        if (job_lease_keep(s->lease, s->run_dir, detail, err) < 0) {
            j->lost = true;
            keeper_kill(&j->keeper);
        }
    }
    if (s->also && s->also->epoch) {
        err_t e = {0};
        if (job_lease_keep(s->also, s->run_dir, detail, &e) < 0) {
            log_warn("%s lock lost meanwhile: %s", purpose_name(s->also->purpose), e.msg);
            s->also->epoch = 0;
        }
    }
}

/* ---- stopping ---- */

static void term_send(job_t *j)
{
    j->terms++;
    j->result->stopped = true;
    keeper_term(&j->keeper);
}

static void stop_look(job_t *j)
{
    const job_spec_t *s = j->spec;
    uint64_t now = clock_ms();
    int stops = role_stop_requested();
    if (stops && !j->stop_ms) j->stop_ms = now;
    bool first = j->stop_ms && j->terms == 0 && (stops > 1 || now >= j->stop_ms + s->stop_patience_ms);
    bool second = s->second_term && j->terms == 1 && j->stops > 0 && stops > j->stops;
    if (first || second) term_send(j);
    j->stops = stops;
    if (!s->leave || j->terms || now < j->asked_ms + ASK_MS || !lease_has_time(s->lease, ASK_STATEMENTS, now))
        return;
    j->asked_ms = now;
    if (s->leave(s->arg)) term_send(j);
}

/* Cron ends inside its task at the second SIGTERM and gives the task back (lib/classes/local/cli/shutdown.php). */
static void stuck_look(job_t *j)
{
    const job_spec_t *s = j->spec;
    uint64_t now = clock_ms(), last = j->began_ms;
    if (j->out.bytes_ms > last) last = j->out.bytes_ms;
    if (j->err_lines.bytes_ms > last) last = j->err_lines.bytes_ms;
    if (j->stuck_ms) {
        if (now < j->stuck_ms + STUCK_KILLS * s->lease->times.kill) return;
        if (j->terms > 1) keeper_kill(&j->keeper);
        term_send(j);
        j->stuck_ms = now;
    } else if (s->silence_ms && now >= last + s->silence_ms) {
        j->stuck_ms = now;
        j->result->stuck = true;
        if (s->stuck) s->stuck(s->arg);
        term_send(j);
    }
}

/* ---- waiting ---- */

static void watch(job_t *j, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    if (fd >= 0) epoll_ctl(j->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void stream_read(job_t *j, int *fd, job_lines_t *lines)
{
    char chunk[8192];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n > 0) {
        job_lines_feed(lines, chunk, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        epoll_ctl(j->epoll, EPOLL_CTL_DEL, *fd, NULL);
        fd_close(fd);
    }
}

static void ready_handle(job_t *j)
{
    struct epoll_event ev[8];
    int n = epoll_wait(j->epoll, ev, 8, 0);
    for (int i = 0; i < n; i++) {
        int fd = ev[i].data.fd;
        if (fd == j->keeper.out)
            stream_read(j, &j->keeper.out, &j->out);
        else if (fd == j->keeper.err)
            stream_read(j, &j->keeper.err, &j->err_lines);
        else if (fd == j->keeper.result)
            j->ended = true;
    }
}

/* role_wait returns at once when a stop was requested; from then on this waits by itself. */
static void wait_some(job_t *j, uint64_t ms)
{
    char *cmd = NULL;
    lease_t *l = j->spec->lease;
    if (role_stop_requested()) {
        struct pollfd p[2] = {
            {.fd = j->epoll, .events = POLLIN},
            {.fd = l->db && !db_is_lost(l->db) ? db_fd(l->db) : -1, .events = POLLIN | POLLRDHUP}};
        poll(p, 2, (int)ms);
    } else if (role_wait(j->epoll, ms, &cmd) == 1) {
        if (!j->spec->command || !j->spec->command(j->spec->arg, cmd))
            log_warn("command \"%s\" ignored: a job runs", cmd);
        free(cmd);
    }
}

static void drain(job_t *j)
{
    uint64_t until = clock_ms() + 500;
    while ((j->keeper.out >= 0 || j->keeper.err >= 0) && clock_ms() < until) {
        struct pollfd p = {.fd = j->epoll, .events = POLLIN};
        if (poll(&p, 1, 50) <= 0) break;
        if (j->keeper.out >= 0) fcntl(j->keeper.out, F_SETFL, O_NONBLOCK);
        if (j->keeper.err >= 0) fcntl(j->keeper.err, F_SETFL, O_NONBLOCK);
        ready_handle(j);
        if (j->ended && j->keeper.out < 0 && j->keeper.err < 0) break;
    }
    job_lines_end(&j->out);
    job_lines_end(&j->err_lines);
}

/* Nothing is decided by the wall clock. But a step of it may mean that this machine was paused: the server is asked first. */
static void clocks_look(job_t *j)
{
    int64_t step = clock_watch(&j->clocks, clock_ms(), clock_wall_ms());
    if (!step) return;
    log_write(LOG_WARN_, ERR_CLOCK_STEP,
              "this host's clock was set %s by %" PRId64 " ms; the lock is checked",
              step < 0 ? "back" : "forward", step < 0 ? -step : step);
    j->spec->lease->beat_ms = 0;
}

static void loop(job_t *j, err_t *err)
{
    while (!j->ended) {
        clocks_look(j);
        leases_keep(j, err);
        stop_look(j);
        stuck_look(j);
        uint64_t most = 250;
        wait_some(j, j->lost ? most : lease_wait(j->spec->lease, clock_ms(), most));
        ready_handle(j);
    }
}

/* ---- starting ---- */

static int spawn(job_t *j, char *const *envp, err_t *err)
{
    const job_spec_t *s = j->spec;
    char *argv[ARGS_MAX] = {s->conf->php};
    static char flag_c[] = "-c";
    char script[4096];
    int n = 1;
    if (*s->conf->php_ini) {
        argv[n++] = flag_c;
        argv[n++] = s->conf->php_ini;
    }
    snprintf(script, sizeof script, "%s%s%s", s->args[0][0] == '/' ? "" : s->conf->code_dir,
             s->args[0][0] == '/' ? "" : "/", s->args[0]);
    argv[n++] = script;
    for (int i = 1; s->args[i] && n < ARGS_MAX - 1; i++) argv[n++] = (char *)s->args[i];
    keeper_spec_t k = {
        .argv = argv,
        .envp = envp,
        .dir = s->conf->code_dir,
        .uid = s->conf->web_uid,
        .gid = s->conf->web_gid,
        .input = s->input,
        .margin_ms = s->lease->times.kill,
        .hold_fd = s->lease->db ? db_fd(s->lease->db) : -1,
    };
    return keeper_start(&j->keeper, &k, err);
}

static char *env_pair(const char *name, const char *value)
{
    size_t n = strlen(name) + strlen(value) + 2;
    char *s = malloc(n);
    if (!s) abort();
    snprintf(s, n, "%s=%s", name, value);
    return s;
}

static int spawn_with_env(job_t *j, err_t *err)
{
    const job_spec_t *s = j->spec;
    cleanup_free char *fence = lease_fence_value(s->lease);
    char app[48];
    snprintf(app, sizeof app, "moodlectl-%s-work", purpose_name(s->lease->purpose));
    char *env[] = {
        env_pair("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        env_pair("HOME", s->conf->web_home),
        env_pair("LANG", "C.UTF-8"),
        env_pair("MOODLECTL_RUN_DIR", s->run_dir),
        env_pair("MOODLECTL_FENCE", fence),
        env_pair("PGAPPNAME", app),
        NULL,
    };
    int rc = spawn(j, env, err);
    for (int i = 0; env[i]; i++) free(env[i]);
    return rc;
}

static int job_start(job_t *j, err_t *err)
{
    lease_t *l = j->spec->lease;
    if (!l->db || !l->epoch) return err_set(err, ERR_LOCK_LOST, "no lease to work under");
    if (keeper_prepare(&j->keeper, l->deadline_ms, err) < 0) return -1;
    j->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (j->epoll < 0) return err_sys(err, ERR_OS, "epoll");
    j->oom_kills = oom_kills_here();
    if (spawn_with_env(j, err) < 0) return -1;
    j->relocks = l->relocks;
    j->began_ms = clock_ms();
    l->published = j->keeper.deadline;
    atomic_store(l->published, l->deadline_ms);
    watch(j, j->keeper.out);
    watch(j, j->keeper.err);
    watch(j, j->keeper.result);
    return 0;
}

static int job_finish(job_t *j, err_t *err)
{
    keeper_result_t r = keeper_finish(&j->keeper);
    j->spec->lease->published = NULL;
    job_result_t *res = j->result;
    snprintf(res->last, sizeof res->last, "%s", j->err_lines.last[0] ? j->err_lines.last : j->out.last);
    lease_t *l = j->spec->lease;
    res->disturbed = l->relocks != j->relocks || !l->db || !db_idle_ok(l->db);
    res->end = WIFEXITED(r.status) ? JOB_EXITED : JOB_SIGNALED;
    res->code = WIFEXITED(r.status) ? WEXITSTATUS(r.status) : WTERMSIG(r.status);
    bool killed = res->end == JOB_SIGNALED && res->code == SIGKILL && r.why == KEEPER_EXITED;
    res->out_of_memory =
        j->out.out_of_memory || j->err_lines.out_of_memory || (killed && oom_kills_here() > j->oom_kills);
    if (r.why == KEEPER_DEADLINE || j->lost) {
        res->end = JOB_LOST;
        lease_close(j->spec->lease);
        return err_set(err, ERR_LOCK_LOST, "the lock was lost; the job was killed");
    }
    return 0;
}

int job_run(const job_spec_t *spec, job_result_t *ret, err_t *err)
{
    *ret = (job_result_t){.end = JOB_NOT_STARTED};
    job_t j = {.spec = spec, .epoll = -1, .result = ret};
    job_lines_init(&j.out, spec->src, "info", spec->progress, spec->quiet);
    job_lines_init(&j.err_lines, spec->src, "warn", NULL, spec->quiet);
    j.out.line = spec->line;
    j.out.arg = spec->arg;
    int rc = job_start(&j, err);
    if (rc == 0) {
        loop(&j, err);
        drain(&j);
        rc = job_finish(&j, err);
    }
    keeper_free(&j.keeper);
    fd_close(&j.epoll);
    job_lines_free(&j.out);
    job_lines_free(&j.err_lines);
    return rc;
}

const char *job_result_words(const job_result_t *r, char *buf, size_t size)
{
    const char *how = r->end == JOB_EXITED ? "exit status" : "signal";
    snprintf(buf, size, "%s%s %d%s%s", r->out_of_memory ? "out of memory, " : "", how, r->code,
             *r->last ? ": " : "", r->last);
    return buf;
}
