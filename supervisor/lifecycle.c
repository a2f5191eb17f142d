#include "supervisor/lifecycle.h"
#include "base/clock.h"
#include "supervisor/drain.h"
#include "supervisor/ecs.h"
#include "supervisor/liveness.h"
#include "supervisor/reload.h"
#include "supervisor/roles.h"
#include "supervisor/rotation.h"
#include "supervisor/status.h"
#include "supervisor/strays.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    STRAYS_MS = 3000, /* strays get SIGKILL after that long */
    SWEEP_TICK_MS = 50,
};

static void advance(member_t *m);

static void on_deadline(uv_timer_t *timer);

static void arm(member_t *m, uint64_t ms)
{
    uv_update_time(m->loop);
    uv_timer_start(&m->deadline, on_deadline, ms ? ms : 1, 0);
}

/* In HOLD it is the time that old code waits for its replacement. The orchestrator sees the status. */
static void on_deadline(uv_timer_t *timer)
{
    member_t *m = timer->data;
    uint64_t wait = m->phase == LP_LAME ? drain_lame_wait(m) : 0;
    if (m->phase == LP_HOLD)
        lifecycle_fail(m, err_status(m->reason_id), m->reason_id, m->reason);
    else if (wait)
        arm(m, wait);
    else
        lifecycle_event(m, LE_DEADLINE);
}

static void on_sweep_tick(uv_timer_t *timer) { advance(timer->data); }

static void on_enter(member_t *m)
{
    switch (m->phase) {
    case LP_LAME:
        arm(m, drain_left(m, SP_LAME));
        break;
    case LP_EXIT:
        uv_stop(m->loop);
        break;
    default:
        uv_timer_stop(&m->deadline);
        break;
    }
}

static void tell_phase(member_t *m)
{
    const lifecycle_step_t *step = m->untold;
    if (!step) return;
    m->untold = NULL;
    logfmt_own(LOG_NOTICE_, ERR_NONE, "phase", "%s -> %s: %s%s%s", lifecycle_phase_name(m->untold_from),
               lifecycle_phase_name(m->phase), step->why, m->phase == LP_HOLD ? ": " : "",
               m->phase == LP_HOLD ? m->reason : "");
    if (m->phase == LP_SERVE && !m->served)
        logfmt_metric("StartupDuration", (double)(m->phase_since_ms - m->started_ms), "Milliseconds");
    m->served |= m->phase == LP_SERVE;
    status_write(m);
    if (lifecycle_is_stopping(m->phase)) drain_ask(m, m->phase == LP_LAME);
    if (m->phase == LP_EXIT) drain_end(m);
}

/* What is said and written about a stop and a new phase; after the deeds. */
static void tell(member_t *m)
{
    if (m->stop_by[0]) {
        logfmt_own(LOG_NOTICE_, ERR_NONE, "stop", "%s: %s", m->stop_by,
                   m->drain.asked == 1   ? "draining"
                   : m->drain.asked == 2 ? "hurrying"
                                         : "killing what is left");
        m->stop_by[0] = '\0';
    }
    tell_phase(m);
}

static void on_words(uv_timer_t *timer) { tell(timer->data); }

/* A stop is told a moment later: whoever was signalled may have to share our processor, and goes first when we sleep. */
static void tell_when_done(member_t *m)
{
    if (!m->stop_by[0] || m->phase == LP_EXIT)
        tell(m);
    else if (!uv_is_active((uv_handle_t *)&m->words))
        uv_timer_start(&m->words, on_words, 1, 0);
}

static void enter(member_t *m, const lifecycle_step_t *step)
{
    if (m->untold) tell(m);
    drain_phase_over(m);
    m->untold = step;
    m->untold_from = m->phase;
    m->phase = step->next;
    /* The health check turns before nginx or php-fpm are signalled. In LAME only roles are, which serve nobody; there it turns with
     * the other files, a millisecond later. */
    if (m->phase != LP_LAME) status_close(m);
    if (lifecycle_is_stopping(m->phase)) drain_begin(m, m->phase == LP_LAME);
    on_enter(m);
}

void lifecycle_event(member_t *m, lifecycle_event_t event)
{
    const lifecycle_step_t *step = lifecycle_fsm_step(m->phase, event);
    if (!step->why) return;
    enter(m, step);
    advance(m);
}

void lifecycle_stop(member_t *m, const char *who)
{
    tell(m);
    m->drain.asked++;
    snprintf(m->stop_by, sizeof m->stop_by, "%s", who);
    if (m->drain.asked > 1) drain_hurry(m); /* which makes advance shorten what was granted */
    lifecycle_event(m, m->drain.asked == 1 ? LE_STOP : LE_HURRY);
    advance(m);
}

/* A member whose code the site has left behind can never serve again. */
void lifecycle_hold_check(member_t *m)
{
    int64_t ms = settings_int(m->set, SET_stale_exit);
    bool stale = m->phase == LP_HOLD && err_status(m->reason_id) == EXIT_OLD_CODE && ms != SET_NEVER;
    if (!stale) {
        if (m->phase == LP_HOLD) uv_timer_stop(&m->deadline);
        return;
    }
    if (uv_is_active((uv_handle_t *)&m->deadline)) return;
    if (!m->served) ms = 0;
    if (ms > 0)
        logfmt_own(LOG_NOTICE_, m->reason_id, "stale",
                   "the holding page stays for %lld ms; then the container ends with exit status %d",
                   (long long)ms, EXIT_OLD_CODE);
    arm(m, (uint64_t)ms);
}

void lifecycle_fail(member_t *m, int exit_status, err_id_t id, const char *reason)
{
    if (lifecycle_is_stopping(m->phase)) return;
    if (m->exit_status == EXIT_OK) m->exit_status = exit_status;
    m->reason_id = id;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
    logfmt_own(LOG_ERROR_, id, "failed", "%s; the container ends with exit status %d. %s", reason,
               m->exit_status, err_cure(id));
    lifecycle_event(m, LE_FAILED);
}

static bool is_switched_off(const member_t *m, service_id_t id)
{
    bool tasks = settings_bool(m->set, SET_cron);
    switch (id) {
    case SV_CRON:
        return !tasks;
    case SV_ADHOC:
        return !tasks || settings_int(m->set, SET_adhoc_runners) == 0;
    case SV_SECRETS:
        return !rotation_is_wanted(m);
    case SV_PROTECT:
        return !ecs_is_protected(m);
    default:
        return false;
    }
}

/* nginx and php-fpm take QUIT as "finish what you have", TERM as "now" (nginx.org "Controlling nginx", php-fpm(8)); nginx cuts by
 * itself first, by worker_shutdown_timeout, and then its access log names what was cut. A role is only reminded by the second TERM. */
static void stop_child(const member_t *m, child_t *c)
{
    uint64_t quiesce = drain_left(m, SP_QUIESCE), finish = drain_left(m, SP_FINISH),
             sweep = drain_left(m, SP_SWEEP);
    switch (c->slot) {
    case SV_NGINX:
        child_stop(c, (quiesce + finish) / 2, finish);
        break;
    case SV_FPM:
        child_stop(c, finish, sweep);
        break;
    default:
        child_stop(c, quiesce, sweep);
    }
}

static void apply_wants(member_t *m)
{
    for (int id = 0; id < SV_COUNT_; id++) {
        child_t *c = &m->children[id];
        if (is_switched_off(m, (service_id_t)id)) continue;
        switch (lifecycle_fsm_want(m->phase, (service_id_t)id)) {
        case WANT_RUN:
            child_start(c);
            break;
        case WANT_OFF:
            stop_child(m, c);
            break;
        case WANT_KEEP:
            break;
        }
    }
}

static bool all_gone(const member_t *m)
{
    for (int id = 0; id < SV_COUNT_; id++)
        if (!child_is_gone(&m->children[id])) return false;
    return true;
}

/* Ends what is left and is nobody's child of ours: it was orphaned to us. Strangers of other parents are not touched. */
static bool sweep(member_t *m)
{
    if (!all_gone(m)) return false; /* their exits call advance again */
    uint64_t waited = clock_ms() - m->phase_since_ms;
    bool must_die = drain_left(m, SP_SWEEP) == 0 || m->drain.asked >= 2 || waited > STRAYS_MS;
    unsigned left = strays_signal(must_die ? SIGKILL : SIGTERM, m->drain.strays == 0);
    if (left > m->drain.strays) m->drain.strays = left;
    if (left == 0) return true;
    uv_update_time(m->loop);
    uv_timer_start(&m->deadline, on_sweep_tick, SWEEP_TICK_MS, 0);
    return false;
}

/* What the present state of the children means for the phase. */
static lifecycle_event_t derive(member_t *m)
{
    const child_t *warm = &m->children[SV_WARM];
    switch (m->phase) {
    case LP_WARM:
        if (m->children[SV_FPM].state == CS_UP && (warm->state == CS_DONE || warm->state == CS_FAILED))
            return LE_WARMED;
        break;
    case LP_QUIESCE:
        if (child_is_gone(&m->children[SV_NGINX])) return LE_FRONT_GONE;
        break;
    case LP_FINISH:
        if (child_is_gone(&m->children[SV_FPM])) return LE_BACK_GONE;
        break;
    case LP_SWEEP:
        if (sweep(m)) return LE_EMPTY;
        break;
    default:
        break;
    }
    return LE_COUNT_;
}

/* Runs after every event. A nested call only asks for another turn, so that no state is looked at half-changed. */
static void advance(member_t *m)
{
    if (m->advancing) {
        m->advance_again = true;
        return;
    }
    m->advancing = true;
    do {
        m->advance_again = false;
        apply_wants(m);
        tell_when_done(m);
        lifecycle_event_t event = derive(m);
        const lifecycle_step_t *step = event < LE_COUNT_ ? lifecycle_fsm_step(m->phase, event) : NULL;
        if (step && step->why) {
            enter(m, step);
            m->advance_again = m->phase != LP_EXIT;
        }
    } while (m->advance_again);
    tell_when_done(m);
    m->advancing = false;
}

static bool on_prepare(child_t *c, spawn_spec_t *ret_spec)
{
    member_t *m = c->loop->data;
    char path[256];
    services_spec(m->services, (service_id_t)c->slot, ret_spec);
    if (c->slot == SV_NGINX) /* a killed master has left its socket, and a new one could not bind */
        unlink(services_run_path(m->services, NGINX_LOAD_SOCKET, path, sizeof path));
    return true;
}

static void on_ready(void *arg)
{
    child_t *c = arg;
    member_t *m = c->loop->data;
    probe_stop(&m->probes[c->slot]);
    child_ready(c);
}

static void start_probe(member_t *m, child_t *c)
{
    char path[128];
    if (c->slot == SV_NGINX)
        m->probes[c->slot] = probe_tcp(m->loop, settings_str(m->set, SET_listen), on_ready, c);
    else
        m->probes[c->slot] =
            probe_fastcgi(m->loop, services_run_path(m->services, "fpm.sock", path, sizeof path),
                          "/-/fpm-ping", on_ready, c);
}

static void log_change(const child_t *c, child_state_t from, const char *why)
{
    bool bad =
        c->state == CS_BACKOFF || c->state == CS_FAILED || c->state == CS_INSISTING || c->state == CS_KILLING;
    char how[160] = "";
    if (c->exits && (c->state == CS_BACKOFF || c->state == CS_FAILED || c->state == CS_DOWN))
        child_describe_exit(c->exit_status, how, sizeof how);
    if (c->last_error.id) snprintf(how, sizeof how, "%.150s", c->last_error.msg);
    logfmt_own(bad ? LOG_WARN_ : LOG_DEBUG_, c->last_error.id, "child", "%s: %s -> %s: %s%s%s", c->row->name,
               child_state_name(from), child_state_name(c->state), why, how[0] ? ", " : "", how);
}

static int failed_status(const child_t *c)
{
    bool role = c->row->kind == CK_ROLE || c->row->kind == CK_ROLE_ONESHOT;
    if (role && c->exits && WIFEXITED(c->exit_status) && WEXITSTATUS(c->exit_status) >= EXIT_CHILD_FAILED)
        return WEXITSTATUS(c->exit_status);
    return EXIT_CHILD_FAILED;
}

static void on_failed(member_t *m, child_t *c)
{
    char reason[300];
    if (c->slot == SV_PREPARE && reload_failed(m)) return;
    if (c->slot == SV_WARM) {
        logfmt_own(LOG_WARN_, ERR_NONE, "warm.failed",
                   "the caches could not be prepared; Moodle prepares them itself, more slowly");
        return;
    }
    err_id_t id = c->last_error.id ? c->last_error.id : ERR_CHILD_FAILED;
    char how[64] = "could not be started";
    if (c->exits) child_describe_exit(c->exit_status, how, sizeof how);
    snprintf(reason, sizeof reason, "%s %s%s%.200s", c->row->name, c->last_error.id ? "" : how,
             c->last_error.id ? "failed: " : "", c->last_error.id ? c->last_error.msg : "");
    lifecycle_fail(m, failed_status(c), id, reason);
}

static void on_prepared(member_t *m)
{
    reload_rendered(m);
    lifecycle_event(m, LE_PREPARED);
}

/* nginx and php-fpm are cut short by the last signal, which means "now" to them. A role is only reminded by it (cron.php then
 * gives its task back, to run again); it is cut short by SIGKILL. */
static bool was_cut_short(const child_t *c)
{
    bool last_cuts = c->row->last_signal != c->row->stop_signal;
    return c->state == (last_cuts ? CS_INSISTING : CS_KILLING);
}

static void on_changed(child_t *c, child_state_t from, const char *why)
{
    member_t *m = c->loop->data;
    log_change(c, from, why);
    if (c->state != CS_STARTING) probe_stop(&m->probes[c->slot]);
    if (c->state == CS_STARTING && c->row->ready == READY_BY_PROBE) start_probe(m, c);
    if (lifecycle_is_stopping(m->phase) && was_cut_short(c)) m->drain.cut_short++;
    if (c->state == CS_BACKOFF && from == CS_UP) logfmt_metric("ChildRestarts", 1, "Count");
    if (c->slot == SV_FPM && (c->state == CS_UP || from == CS_UP)) liveness_follow(m, c->state == CS_UP);
    if (c->slot == SV_PREPARE && c->state == CS_DONE) on_prepared(m);
    if (c->slot == SV_SECRETS && c->state == CS_STARTING) rotation_started(m);
    if (c->slot == SV_PROTECT) ecs_protect_changed(m);
    if (c->slot == SV_CRON && child_is_gone(c)) {
        m->cron.holder = m->cron.running = false;
        ecs_hold(m);
    }
    if (c->slot == SV_ADHOC && child_is_gone(c)) {
        m->cron.runner = 0;
        ecs_hold(m);
    }
    if (c->state == CS_FAILED) on_failed(m, c);
    advance(m);
}

/* A role that ended with an error which waiting does not mend is not tried again. */
static child_event_t on_judge(child_t *c, int status)
{
    if (c->slot != SV_PREPARE || !WIFEXITED(status)) return CE_EXIT_AGAIN;
    return WEXITSTATUS(status) == EXIT_OSERR ? CE_EXIT_AGAIN : CE_EXIT_FINAL;
}

static void on_event(child_t *c, const char *line, size_t len) { roles_event(c->loop->data, c, line, len); }

static const child_hooks_t HOOKS = {
    .prepare = on_prepare, .changed = on_changed, .event = on_event, .judge = on_judge};

void lifecycle_init(member_t *m)
{
    m->loop->data = m;
    m->phase = LP_BOOT;
    rotation_begin(m);
    m->started_ms = m->phase_since_ms = clock_ms();
    uv_timer_init(m->loop, &m->deadline);
    m->deadline.data = m;
    reload_init(m);
    liveness_init(m);
    uv_timer_init(m->loop, &m->words);
    m->words.data = m;
    for (int id = 0; id < SV_COUNT_; id++) child_init(&m->children[id], m->loop, &SERVICES[id], &HOOKS, id);
    advance(m);
}

bool lifecycle_reap(member_t *m, pid_t pid, int status)
{
    for (int id = 0; id < SV_COUNT_; id++)
        if (child_on_exit(&m->children[id], pid, status)) return true;
    if (m->phase == LP_SWEEP) advance(m);
    return false;
}

void lifecycle_close(member_t *m)
{
    for (int id = 0; id < SV_COUNT_; id++) {
        probe_stop(&m->probes[id]);
        child_close(&m->children[id]);
    }
    reload_close(m);
    liveness_close(m);
    if (!uv_is_closing((uv_handle_t *)&m->deadline)) uv_close((uv_handle_t *)&m->deadline, NULL);
    if (!uv_is_closing((uv_handle_t *)&m->words)) uv_close((uv_handle_t *)&m->words, NULL);
}
