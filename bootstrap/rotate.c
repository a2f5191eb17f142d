#include "bootstrap/rotate.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/role.h"
#include "bootstrap/aws_rds.h"
#include "bootstrap/rotate_internal.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum { LOGIN_MS = 4000, FETCH_MS = 10000, STAGE_MS = 5000, ALARM_ROUNDS = 12 };

/* What was found about one group's login */
typedef enum { LOGIN_GOOD, LOGIN_REFUSED, LOGIN_UNKNOWN } login_t;

static login_t log_in(const rotate_t *r, rotate_group_t group, const json_t *file, rotate_turn_t *turn,
                      err_t *err)
{
    if (!ROTATE_GROUPS[group].is_login) return LOGIN_GOOD;
    uint64_t began = clock_ms();
    err_clear(err);
    int rc = (group == RG_DATABASE ? r->login->database : r->login->redis)(file, LOGIN_MS, err);
    turn->login_ms = clock_ms() - began;
    if (rc == 0) return LOGIN_GOOD;
    bool refused = err->id == ERR_DB_AUTH || err->id == ERR_REDIS_AUTH || err->id == ERR_DB_NO_DATABASE ||
                   err->id == ERR_DB_PRIVILEGE;
    return refused ? LOGIN_REFUSED : LOGIN_UNKNOWN;
}

/* ---- replacing ---- */

/* A stop between the file of the cache stores and moodle.json must not leave a temporary file with a secret. */
static int replace(const rotate_t *r, rotate_group_t group, json_t *next, err_t *err)
{
    sigset_t stop, old;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, &old);
    int rc = group == RG_REDIS ? rotate_file_follow_stores(r->run_dir, next, err) : 0;
    if (rc == 0) rc = rotate_file_write(r->run_dir, ROTATE_GROUPS[group].file, next, err);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static bool adopt(rotate_t *r, rotate_group_t group, json_t *next, const rotate_source_t *from,
                  rotate_turn_t *turn)
{
    err_t err = {0};
    if (replace(r, group, next, &err) < 0) {
        rotate_report_trouble(r, group, &err);
        return false;
    }
    rotate_report_rotated(r, group, from, turn);
    return turn->adopted = true;
}

/* Tries one other version. True when the group is settled with it. */
static bool try_stage(rotate_t *r, rotate_group_t group, const json_t *file, const json_t *tried,
                      const char *stage, rotate_turn_t *turn)
{
    rotate_source_t other;
    err_t err = {0};
    bool done = false;
    rotate_source_load(environ, stage, clock_ms() + STAGE_MS, &other);
    json_t *next =
        rotate_report_has_group(r, group, &other, NULL) ? rotate_groups_patch(file, group, other.set) : NULL;
    if (next && !json_equal(next, file) && !json_equal(next, tried) &&
        log_in(r, group, next, turn, &err) == LOGIN_GOOD) {
        turn->stage = stage;
        done = adopt(r, group, next, &other, turn);
    }
    json_decref(next);
    rotate_source_free(&other);
    return done;
}

/* ---- one group in one round ---- */

/* The value in use is refused, and what the source holds as current does not help. Between the steps of a rotation the new password
 * bears AWSPENDING; after one that went wrong the old one bears AWSPREVIOUS
 * (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets.html). */
static bool rescue(rotate_t *r, rotate_group_t group, const json_t *file, const json_t *tried,
                   rotate_turn_t *turn)
{
    return try_stage(r, group, file, tried, "AWSPENDING", turn) ||
           try_stage(r, group, file, tried, "AWSPREVIOUS", turn);
}

/* True: settled. `turn->was_right`: the value in use is refused. */
static bool follow_values(rotate_t *r, rotate_group_t group, const json_t *file, json_t *next,
                          const rotate_source_t *now, rotate_turn_t *turn)
{
    err_t fresh = {0}, used = {0};
    bool differs = !json_equal(file, next), is_check = turn->why == ROTATE_CHECK;
    if (!differs && turn->why == ROTATE_POLL) return true;
    if (differs && !is_check && log_in(r, group, next, turn, &fresh) == LOGIN_GOOD) {
        turn->stage = NULL;
        return adopt(r, group, next, now, turn);
    }
    login_t in_use = log_in(r, group, file, turn, &used);
    turn->was_right |= in_use == LOGIN_REFUSED;
    if (in_use == LOGIN_REFUSED && !is_check && rescue(r, group, file, next, turn)) return true;
    if (in_use != LOGIN_GOOD)
        rotate_report_trouble(r, group, &used);
    else if (differs && !is_check) {
        err_wrap(&fresh, "the new value does not log in, the one in use still does");
        rotate_report_trouble(r, group, &fresh);
    }
    return in_use == LOGIN_GOOD && (!differs || is_check);
}

static bool follow_group(rotate_t *r, rotate_group_t group, const rotate_source_t *now, rotate_turn_t *turn)
{
    err_t err = {0};
    bool settled = false;
    if (!rotate_report_has_group(r, group, now, &err)) {
        if (!err.id) return true; /* nothing of it comes from a source */
        rotate_report_outage(r, group, now, &err);
        return false;
    }
    json_t *file = rotate_file_read(r->run_dir, ROTATE_GROUPS[group].file, &err);
    json_t *next = file ? rotate_groups_patch(file, group, now->set) : NULL;
    turn->began_ms = clock_ms();
    rotate_report_seen(r, group);
    if (next)
        settled = follow_values(r, group, file, next, now, turn);
    else
        rotate_report_trouble(r, group, &err);
    if (settled) rotate_report_settled(r, group);
    if (next && !turn->adopted && json_equal(file, next)) rotate_report_versions(r, group, now);
    json_decref(next);
    json_decref(file);
    return settled;
}

static void round_run(rotate_t *r, rotate_why_t why)
{
    rotate_source_t now;
    bool settled = true, was_right = false;
    rotate_source_load(environ, "", clock_ms() + FETCH_MS, &now);
    for (int g = 0; g < RG_COUNT_; g++) {
        rotate_turn_t turn = {.why = why};
        settled &= follow_group(r, (rotate_group_t)g, &now, &turn);
        was_right |= turn.was_right;
    }
    rotate_source_free(&now);
    if (why != ROTATE_CHECK) rotate_pace_note(&r->pace, settled);
    if (why == ROTATE_SUSPECT) rotate_pace_looked(&r->pace, clock_ms(), was_right);
    rotate_report_round(r);
}

/* ---- the role ---- */

static void take_command(rotate_t *r, const char *cmd)
{
    if (strcmp(cmd, "suspect") == 0)
        rotate_pace_suspect(&r->pace, clock_ms());
    else if (strcmp(cmd, "refresh") == 0 || strcmp(cmd, "check") == 0) {
        r->asked++;
        if (*cmd == 'c')
            r->check = true;
        else
            r->refresh = true;
    } else
        log_warn("unknown command \"%s\"", cmd);
}

/* Until something is to be done; -1: process 1 has gone. Commands that came while a round ran count as one. */
static int wait_next(rotate_t *r, rotate_why_t *ret_why)
{
    uint64_t due = clock_ms() + clock_jitter_ms(rotate_pace_delay_ms(&r->pace)), now;
    for (;;) {
        char *cmd = NULL;
        now = clock_ms();
        uint64_t until = r->pace.look_due_ms && r->pace.look_due_ms < due ? r->pace.look_due_ms : due;
        bool busy = r->refresh || r->check;
        int got = role_wait(-1, busy || until <= now ? 0 : until - now, &cmd);
        if (got < 0) return -1;
        if (got == 1) {
            take_command(r, cmd);
            free(cmd);
            continue;
        }
        r->answered = r->asked;
        *ret_why = r->refresh                                   ? ROTATE_REFRESH
                   : r->check                                   ? ROTATE_CHECK
                   : rotate_pace_look_due(&r->pace, clock_ms()) ? ROTATE_SUSPECT
                                                                : ROTATE_POLL;
        if (*ret_why == ROTATE_REFRESH)
            r->refresh = false;
        else
            r->check = false;
        return 0;
    }
}

int rotate_main(int argc, char **argv, const rotate_login_t *login)
{
    static rotate_t r;
    rotate_why_t why;
    err_t err = {0};
    role_begin();
    if (environment_take_option(argc, argv, &err) < 0) {
        log_err(LOG_ERROR_, &err);
        return err_status(err.id);
    }
    /* A request on the network is not waited for at a stop. */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    settings_t *set = settings_load(environ);
    r.login = login;
    r.run_dir = settings_str(set, SET_run_dir);
    r.pace.interval_ms = (uint64_t)settings_int(set, SET_secrets_refresh);
    r.uses_iam = settings_uses_iam(set);
    if (r.uses_iam && r.pace.interval_ms > AWS_RDS_RENEW_MS) r.pace.interval_ms = AWS_RDS_RENEW_MS;
    r.alarm_ms = r.uses_iam ? AWS_RDS_RENEW_MS / 2 : ALARM_ROUNDS * r.pace.interval_ms;
    rotate_report_begin(&r, set);
    why = ROTATE_POLL;
    do round_run(&r, why);
    while (wait_next(&r, &why) == 0);
    settings_free(&set);
    return EXIT_OK;
}
