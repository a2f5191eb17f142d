#include "supervisor/child.h"
#include "base/clock.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILL_MS = 1000 };

static void child_feed(child_t *c, child_event_t event);

static void on_timer(uv_timer_t *timer) { child_feed(timer->data, CE_TIMEOUT); }

void child_init(child_t *c, uv_loop_t *loop, const child_row_t *row, const child_hooks_t *hooks, int slot)
{
    *c = (child_t){
        .row = row, .hooks = hooks, .state = CS_DOWN, .pid = -1, .in = -1, .loop = loop, .slot = slot};
    restart_init(&c->restart, row->max_deaths, row->death_window_ms);
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
}

static bool is_role(const child_t *c) { return c->row->kind == CK_ROLE || c->row->kind == CK_ROLE_ONESHOT; }
static bool is_oneshot(const child_t *c)
{
    return c->row->kind == CK_ONESHOT || c->row->kind == CK_ROLE_ONESHOT;
}

static void on_event(void *arg, const char *line, size_t len)
{
    child_t *c = arg;
    c->hooks->event(c, line, len);
}

static void open_streams(child_t *c, spawned_t *s)
{
    log_level_t err_level = is_role(c) ? LOG_WARN_ : LOG_INFO_;
    c->out = is_role(c) ? stream_open(c->loop, s->out, STREAM_EVENTS, c->row->name, LOG_INFO_, on_event, c)
                        : stream_open(c->loop, s->out, c->row->stream, c->row->name, LOG_INFO_, NULL, NULL);
    c->err = stream_open(c->loop, s->err, is_role(c) ? STREAM_LINES : c->row->stream, c->row->name, err_level,
                         NULL, NULL);
    c->in = s->in;
    if (c->in >= 0)
        fcntl(c->in, F_SETFL, O_NONBLOCK); /* our end: a role that does not read must not stop us */
}

static void close_streams(child_t *c)
{
    fd_close(&c->in);
    stream_drain_and_close(&c->out);
    stream_drain_and_close(&c->err);
}

static bool spawn_now(child_t *c)
{
    spawn_spec_t spec = {.oom_score_adj = c->row->oom_score_adj,
                         .nice = c->row->nice,
                         .nofile = c->row->nofile,
                         .caps = c->row->caps,
                         .umask = 022,
                         .want_stdin = is_role(c)};
    spawned_t s;
    err_clear(&c->last_error);
    c->starts++;
    c->started_ms = clock_ms();
    if (!c->hooks->prepare(c, &spec)) return false;
    if (spawn_child(&spec, &s, &c->last_error) < 0) return false;
    c->pid = s.pid;
    open_streams(c, &s);
    return true;
}

/* kill(2) with 0, 1 or -1 would reach ourselves or everybody: never. */
static void signal_group(pid_t pid, int sig)
{
    if (pid > 1) kill(-pid, sig);
}

void child_signal(child_t *c, int sig)
{
    if (c->pid > 1) kill(c->pid, sig);
}

void child_kill_now(child_t *c)
{
    signal_group(c->pid, SIGKILL);
    child_signal(c, SIGKILL); /* it may not have made its session yet */
}

static void send_stop(child_t *c, int sig)
{
    child_signal(c, sig);
    child_signal(c, SIGCONT); /* a stopped process cannot obey */
}

static uint32_t entropy(const child_t *c) { return (uint32_t)(uv_hrtime() ^ ((uint64_t)c->pid << 7)); }

static uint64_t until(uint64_t at_ms)
{
    uint64_t now = clock_ms();
    return at_ms > now ? at_ms - now : 0;
}

/* False: the delay before the next start is none. */
static bool arm(child_t *c)
{
    uint64_t ms = 0;
    bool at_once = false;
    switch (child_fsm_deadline(c->state)) {
    case DL_NONE:
        break;
    case DL_START:
        ms = c->row->start_ms;
        break;
    case DL_BACKOFF:
        ms = restart_delay_ms(&c->restart, entropy(c));
        at_once = ms == 0;
        break;
    case DL_GRACE:
        ms = until(c->insist_at_ms) + 1;
        break;
    case DL_INSIST:
        ms = until(c->kill_at_ms) + 1;
        break;
    case DL_KILL:
        ms = KILL_MS;
        break;
    }
    uv_update_time(c->loop);
    if (ms)
        uv_timer_start(&c->timer, on_timer, ms, 0);
    else
        uv_timer_stop(&c->timer);
    return !at_once;
}

/* The only assignment of the state. */
static void child_enter(child_t *c, const child_step_t *step)
{
    child_state_t from = c->state;
    c->state = step->next;
    c->changed_ms = clock_ms();
    bool waits = arm(c);
    c->hooks->changed(c, from, step->why);
    if (!waits && c->state == CS_BACKOFF) child_feed(c, CE_TIMEOUT);
}

/* No process could be made, for reasons that pass; that says nothing about the service and uses up none of its tries. */
static bool is_shortage(const err_t *err)
{
    return err->id == ERR_SPAWN &&
           (err->sys == EAGAIN || err->sys == ENOMEM || err->sys == EMFILE || err->sys == ENFILE);
}

static void child_feed(child_t *c, child_event_t event)
{
    const child_step_t *step = child_fsm_step(c->state, event);
    if (!step->why) return;
    if (step->actions & ACT_TERM) send_stop(c, c->row->stop_signal);
    if (step->actions & ACT_INSIST) send_stop(c, c->row->last_signal);
    if (step->actions & ACT_KILL) {
        child_kill_now(c);
    }
    bool started = !(step->actions & ACT_SPAWN) || spawn_now(c);
    child_enter(c, step);
    if (!started) {
        bool again = restart_note_death(&c->restart, clock_ms(), 0) || is_shortage(&c->last_error);
        child_feed(c, again ? CE_EXIT_AGAIN : CE_EXIT_FINAL);
    } else if ((step->actions & ACT_SPAWN) && c->row->ready == READY_AT_ONCE && !is_oneshot(c)) {
        child_feed(c, CE_READY);
    }
}

void child_start(child_t *c) { child_feed(c, CE_START); }
void child_ready(child_t *c) { child_feed(c, CE_READY); }

void child_bounce(child_t *c)
{
    if (c->state == CS_UP) child_feed(c, CE_TIMEOUT);
}

void child_stop(child_t *c, uint64_t insist_ms, uint64_t kill_ms)
{
    bool stopping = c->state == CS_STOPPING || c->state == CS_INSISTING;
    if (stopping && kill_ms >= until(c->kill_at_ms) && insist_ms >= until(c->insist_at_ms)) return;
    uint64_t now = clock_ms(), insist_at = now + insist_ms, kill_at = now + kill_ms;
    if (!stopping || insist_at < c->insist_at_ms) c->insist_at_ms = insist_at;
    if (!stopping || kill_at < c->kill_at_ms) c->kill_at_ms = kill_at;
    if (stopping)
        arm(c);
    else
        child_feed(c, CE_STOP);
}

bool child_send(child_t *c, const char *line)
{
    size_t len = strlen(line);
    return c->in >= 0 && write(c->in, line, len) == (ssize_t)len;
}

static child_event_t judge_daemon(child_t *c, uint64_t up_ms)
{
    return restart_note_death(&c->restart, clock_ms(), up_ms) ? CE_EXIT_AGAIN : CE_EXIT_FINAL;
}

bool child_on_exit(child_t *c, pid_t pid, int status)
{
    if (pid != c->pid) return false;
    c->pid = -1; /* first of all: from here on the number may be somebody else's */
    if (c->row->kill_leftovers) signal_group(pid, SIGKILL); /* the number stays taken while its group lives */
    c->exit_status = status;
    c->exits++;
    uint64_t up_ms = clock_ms() - c->started_ms;
    close_streams(c);
    if (is_oneshot(c) && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        child_feed(c, CE_EXIT_DONE);
        return true;
    }
    child_event_t event = judge_daemon(c, up_ms);
    if (event == CE_EXIT_AGAIN && c->hooks->judge) event = c->hooks->judge(c, status);
    child_feed(c, event);
    return true;
}

bool child_is_gone(const child_t *c) { return c->pid < 0; }

void child_close(child_t *c)
{
    close_streams(c);
    if (!uv_is_closing((uv_handle_t *)&c->timer)) uv_close((uv_handle_t *)&c->timer, NULL);
}

void child_describe_exit(int status, char *buf, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(buf, size, "killed by SIG%s",
                 sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
    else
        snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
}
