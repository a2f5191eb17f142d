#include "supervisor/drain.h"
#include "base/clock.h"
#include "supervisor/door.h"
#include "supervisor/lifecycle.h"
#include "supervisor/logfwd.h"
#include "supervisor/nginx_load.h"
#include "supervisor/tcp_resets.h"
#include <string.h>

enum {
    LOAD_MS = 200, /* nginx answers within one, or is too busy to be asked */
    ASKING_MS = 10,
    CUT_SLACK_MS = 50, /* its clock and ours */
};

static uint64_t gone(const member_t *m) { return m->drain.began_ms ? clock_ms() - m->drain.began_ms : 0; }

static stop_plan_t plan_of(const member_t *m, bool served)
{
    uint64_t budget = (uint64_t)settings_int(m->set, SET_stop_timeout);
    return stop_plan_make(budget, served ? (uint64_t)settings_int(m->set, SET_lame_duck) : 0);
}

uint64_t drain_left(const member_t *m, stop_part_t part)
{
    stop_plan_t now = plan_of(m, false);
    return stop_plan_left(m->drain.began_ms ? &m->drain.plan : &now, part, gone(m));
}

static void tell_begin(const member_t *m)
{
    const drain_t *d = &m->drain;
    const uint64_t *end = d->plan.end_ms;
    char load[80] = "";
    if (d->load_known)
        snprintf(load, sizeof load, "%ld requests in flight, %ld kept connections; ", d->load.in_flight,
                 d->load.keep_alive);
    logfmt_own(
        LOG_NOTICE_, ERR_NONE, "drain.begin",
        "stopping within %llu ms: %sunready and serving on until %llu, nginx finishes until %llu, php-fpm "
        "until %llu, SIGKILL at %llu",
        (unsigned long long)end[SP_MARGIN], load, (unsigned long long)end[SP_LAME],
        (unsigned long long)end[SP_QUIESCE], (unsigned long long)end[SP_FINISH],
        (unsigned long long)end[SP_SWEEP]);
    const logfmt_metric_t metrics[] = {{"StopBudget", (double)end[SP_MARGIN], "Milliseconds"},
                                       {"InFlightAtStop", (double)d->load.in_flight, "Count"},
                                       {"KeepAliveAtStop", (double)d->load.keep_alive, "Count"}};
    logfmt_metrics(metrics, d->load_known ? 3 : 1);
}

static void on_access(void *arg, const char *json, size_t len)
{
    member_t *m = arg;
    bool time_is_up =
        m->phase == LP_QUIESCE && stop_plan_left(&m->drain.plan, SP_QUIESCE, gone(m)) <= CUT_SLACK_MS;
    drain_tally_line(&m->drain.tally, json, len, time_is_up);
}

static void on_load(void *arg, const unsigned char *bytes, size_t len, const err_t *err)
{
    member_t *m = arg;
    drain_t *d = &m->drain;
    d->asking = NULL;
    d->load_known = bytes && nginx_load_parse((const char *)bytes, len, &d->load);
    if (err) log_debug("%s", err->msg);
    tell_begin(m);
}

void drain_begin(member_t *m, bool served)
{
    drain_t *d = &m->drain;
    if (d->began_ms) return;
    d->began_ms = clock_ms();
    d->plan = plan_of(m, served);
    d->to_ask = true;
    logfwd_on_access(on_access, m);
}

void drain_ask(member_t *m, bool served)
{
    drain_t *d = &m->drain;
    char path[256];
    if (!d->to_ask) return;
    d->to_ask = false;
    if (served)
        d->asking =
            ask_unix(m->loop, services_run_path(m->services, NGINX_LOAD_SOCKET, path, sizeof path), "nginx",
                     NGINX_LOAD_REQUEST, strlen(NGINX_LOAD_REQUEST), NULL, LOAD_MS, on_load, m);
    if (!d->asking) tell_begin(m);
}

uint64_t drain_lame_wait(member_t *m)
{
    drain_t *d = &m->drain;
    if (d->asking) return ASKING_MS;
    if (d->door_tried) return 0;
    d->door_tried = true;
    return door_shut(m->children[SV_NGINX].pid) ? DOOR_MS : 0;
}

void drain_hurry(member_t *m)
{
    drain_t *d = &m->drain;
    if (!d->began_ms) return;
    d->plan = d->asked > 2 ? stop_plan_kill(&d->plan, gone(m)) : stop_plan_hurry(&d->plan, gone(m));
}

void drain_phase_over(member_t *m)
{
    uint64_t now = clock_ms();
    if (lifecycle_is_stopping(m->phase)) m->drain.spent_ms[m->phase] += now - m->phase_since_ms;
    m->phase_since_ms = now;
    if (!m->drain.resets_before && lifecycle_is_stopping(m->phase)) m->drain.resets_before = tcp_resets();
}

static void tell_metrics(const drain_t *d, uint64_t total, uint64_t refused, bool clean)
{
    const uint64_t *spent = d->spent_ms;
    const logfmt_metric_t metrics[] = {
        {"DrainDuration", (double)total, "Milliseconds"},
        {"DrainClean", clean, "Count"},
        {"RequestsCompleted", (double)d->tally.completed, "Count"},
        {"RequestsAborted", (double)d->tally.aborted, "Count"},
        {"RequestsCut", (double)d->tally.cut, "Count"},
        {"RequestsRefused", (double)refused, "Count"},
        {"RequestsErrors", (double)d->tally.errors, "Count"},
        {"LongestRequest", (double)d->tally.longest_ms, "Milliseconds"},
        {"DrainLame", (double)spent[LP_LAME], "Milliseconds"},
        {"DrainQuiesce", (double)spent[LP_QUIESCE], "Milliseconds"},
        {"DrainFinish", (double)spent[LP_FINISH], "Milliseconds"},
        {"DrainSweep", (double)spent[LP_SWEEP], "Milliseconds"},
        {"ChildrenCut", d->cut_short, "Count"},
        {"Strays", d->strays, "Count"},
    };
    logfmt_metrics(metrics, sizeof metrics / sizeof *metrics);
}

void drain_end(member_t *m)
{
    ask_cancel(&m->drain.asking);
    const drain_t *d = &m->drain;
    const drain_tally_t *t = &d->tally;
    const uint64_t *spent = d->spent_ms;
    uint64_t total = gone(m), resets = tcp_resets();
    uint64_t refused = d->resets_before && resets > d->resets_before ? resets - d->resets_before : 0;
    bool clean = t->cut == 0 && d->cut_short == 0;
    logfmt_own(
        clean ? LOG_NOTICE_ : LOG_WARN_, clean ? ERR_NONE : ERR_DRAIN_DIRTY, "drain.end",
        "stopped in %llu ms (lame %llu, nginx %llu, php-fpm %llu, rest %llu): %lu completed, %lu aborted by "
        "the "
        "client, %lu cut, %llu refused, %lu errors, longest %llu ms; %u children cut short, %u strays; %s",
        (unsigned long long)total, (unsigned long long)spent[LP_LAME], (unsigned long long)spent[LP_QUIESCE],
        (unsigned long long)spent[LP_FINISH], (unsigned long long)spent[LP_SWEEP], t->completed, t->aborted,
        t->cut, (unsigned long long)refused, t->errors, (unsigned long long)t->longest_ms, d->cut_short,
        d->strays, clean ? "clean" : "not clean");
    tell_metrics(d, total, refused, clean);
    if (m->exit_status == EXIT_OK && !clean) m->exit_status = EXIT_DRAIN_DIRTY;
}

json_t *drain_plan_json(const member_t *m)
{
    bool serves = m->phase == LP_SERVE || m->phase == LP_LAME;
    stop_plan_t plan = m->drain.began_ms ? m->drain.plan : plan_of(m, serves);
    const uint64_t *end = plan.end_ms;
    return json_pack("{s:b,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I}", "ok", 1, "phase",
                     lifecycle_phase_name(m->phase), "stopping", lifecycle_is_stopping(m->phase), "gone_ms",
                     (json_int_t)gone(m), "lame_ms", (json_int_t)end[SP_LAME], "quiesce_ms",
                     (json_int_t)end[SP_QUIESCE], "finish_ms", (json_int_t)end[SP_FINISH], "kill_ms",
                     (json_int_t)end[SP_SWEEP], "end_ms", (json_int_t)end[SP_MARGIN]);
}
