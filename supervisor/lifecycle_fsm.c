#include "supervisor/lifecycle_fsm.h"

#define GO(next, why)                                                                                        \
    {                                                                                                        \
        next, why                                                                                            \
    }
#define IGNORED(phase)                                                                                       \
    {                                                                                                        \
        phase, NULL                                                                                          \
    }
static const lifecycle_step_t STEP[LP_COUNT_][LE_COUNT_] =
    {
        [LP_BOOT] =
            {
                [LE_BOOTED] = GO(LP_PREPARE, "nginx's files are there"),
                [LE_PREPARED] = GO(LP_LEAD, "prepared"),
                [LE_CURRENT] = IGNORED(LP_BOOT),
                [LE_WAITING] = IGNORED(LP_BOOT),
                [LE_HOLDING] = IGNORED(LP_BOOT),
                [LE_WARMED] = IGNORED(LP_BOOT),
                [LE_FAILED] = GO(LP_SWEEP, "failed"),
                [LE_STOP] = GO(LP_SWEEP, "stop asked for"),
                [LE_HURRY] = IGNORED(LP_BOOT),
                [LE_DEADLINE] = IGNORED(LP_BOOT),
                [LE_FRONT_GONE] = IGNORED(LP_BOOT),
                [LE_BACK_GONE] = IGNORED(LP_BOOT),
                [LE_EMPTY] = IGNORED(LP_BOOT),
            },
        [LP_PREPARE] =
            {
                [LE_BOOTED] = IGNORED(LP_PREPARE),
                [LE_PREPARED] = GO(LP_LEAD, "prepared"),
                [LE_CURRENT] = IGNORED(LP_PREPARE),
                [LE_WAITING] = IGNORED(LP_PREPARE),
                [LE_HOLDING] = IGNORED(LP_PREPARE),
                [LE_WARMED] = IGNORED(LP_PREPARE),
                [LE_FAILED] = GO(LP_QUIESCE, "failed"),
                [LE_STOP] = GO(LP_QUIESCE, "stop asked for"),
                [LE_HURRY] = IGNORED(LP_PREPARE),
                [LE_DEADLINE] = IGNORED(LP_PREPARE),
                [LE_FRONT_GONE] = IGNORED(LP_PREPARE),
                [LE_BACK_GONE] = IGNORED(LP_PREPARE),
                [LE_EMPTY] = IGNORED(LP_PREPARE),
            },
        [LP_LEAD] =
            {
                [LE_BOOTED] = IGNORED(LP_LEAD),
                [LE_PREPARED] = IGNORED(LP_LEAD),
                [LE_CURRENT] = GO(LP_WARM, "the database fits this code"),
                [LE_WAITING] = IGNORED(LP_LEAD),
                [LE_HOLDING] = GO(LP_HOLD, "a person is needed"),
                [LE_WARMED] = IGNORED(LP_LEAD),
                [LE_FAILED] = GO(LP_QUIESCE, "failed"),
                [LE_STOP] = GO(LP_QUIESCE, "stop asked for"),
                [LE_HURRY] = IGNORED(LP_LEAD),
                [LE_DEADLINE] = IGNORED(LP_LEAD),
                [LE_FRONT_GONE] = IGNORED(LP_LEAD),
                [LE_BACK_GONE] = IGNORED(LP_LEAD),
                [LE_EMPTY] = IGNORED(LP_LEAD),
            },
        [LP_WARM] =
            {
                [LE_BOOTED] = IGNORED(LP_WARM),
                [LE_PREPARED] = IGNORED(LP_WARM),
                [LE_CURRENT] = IGNORED(LP_WARM),
                [LE_WAITING] = GO(LP_LEAD, "the database changes"),
                [LE_HOLDING] = GO(LP_HOLD, "a person is needed"),
                [LE_WARMED] = GO(LP_SERVE, "warm"),
                [LE_FAILED] = GO(LP_QUIESCE, "failed"),
                [LE_STOP] = GO(LP_QUIESCE, "stop asked for"),
                [LE_HURRY] = IGNORED(LP_WARM),
                [LE_DEADLINE] = IGNORED(LP_WARM),
                [LE_FRONT_GONE] = IGNORED(LP_WARM),
                [LE_BACK_GONE] = IGNORED(LP_WARM),
                [LE_EMPTY] = IGNORED(LP_WARM),
            },
        [LP_SERVE] =
            {
                [LE_BOOTED] = IGNORED(LP_SERVE),
                [LE_PREPARED] = IGNORED(LP_SERVE),
                [LE_CURRENT] = IGNORED(LP_SERVE),
                [LE_WAITING] = GO(LP_LEAD, "the database changes"),
                [LE_HOLDING] = GO(LP_HOLD, "a person is needed"),
                [LE_WARMED] = IGNORED(LP_SERVE),
                [LE_FAILED] = GO(LP_LAME, "failed"),
                [LE_STOP] = GO(LP_LAME, "stop asked for"),
                [LE_HURRY] = IGNORED(LP_SERVE),
                [LE_DEADLINE] = IGNORED(LP_SERVE),
                [LE_FRONT_GONE] = IGNORED(LP_SERVE),
                [LE_BACK_GONE] = IGNORED(LP_SERVE),
                [LE_EMPTY] = IGNORED(LP_SERVE),
            },
        [LP_HOLD] =
            {
                [LE_BOOTED] = IGNORED(LP_HOLD),
                [LE_PREPARED] = IGNORED(LP_HOLD),
                [LE_CURRENT] = GO(LP_WARM, "the database fits this code"),
                [LE_WAITING] = GO(LP_LEAD, "the database changes"),
                [LE_HOLDING] = IGNORED(LP_HOLD),
                [LE_WARMED] = IGNORED(LP_HOLD),
                [LE_FAILED] = GO(LP_QUIESCE, "failed"),
                [LE_STOP] = GO(LP_QUIESCE, "stop asked for"),
                [LE_HURRY] = IGNORED(LP_HOLD),
                [LE_DEADLINE] = IGNORED(LP_HOLD),
                [LE_FRONT_GONE] = IGNORED(LP_HOLD),
                [LE_BACK_GONE] = IGNORED(LP_HOLD),
                [LE_EMPTY] = IGNORED(LP_HOLD),
            },
        [LP_LAME] =
            {
                [LE_BOOTED] = IGNORED(LP_LAME),
                [LE_PREPARED] = IGNORED(LP_LAME),
                [LE_CURRENT] = IGNORED(LP_LAME),
                [LE_WAITING] = IGNORED(LP_LAME),
                [LE_HOLDING] = IGNORED(LP_LAME),
                [LE_WARMED] = IGNORED(LP_LAME),
                [LE_FAILED] = GO(LP_QUIESCE, "failed"),
                [LE_STOP] = IGNORED(LP_LAME),
                [LE_HURRY] = GO(LP_QUIESCE, "stop asked for again"),
                [LE_DEADLINE] = GO(LP_QUIESCE, "the load balancer has had its time"),
                [LE_FRONT_GONE] = IGNORED(LP_LAME),
                [LE_BACK_GONE] = IGNORED(LP_LAME),
                [LE_EMPTY] = IGNORED(LP_LAME),
            },
        [LP_QUIESCE] =
            {
                [LE_BOOTED] = IGNORED(LP_QUIESCE),
                [LE_PREPARED] = IGNORED(LP_QUIESCE),
                [LE_CURRENT] = IGNORED(LP_QUIESCE),
                [LE_WAITING] = IGNORED(LP_QUIESCE),
                [LE_HOLDING] = IGNORED(LP_QUIESCE),
                [LE_WARMED] = IGNORED(LP_QUIESCE),
                [LE_FAILED] = IGNORED(LP_QUIESCE),
                [LE_STOP] = IGNORED(LP_QUIESCE),
                [LE_HURRY] = IGNORED(LP_QUIESCE),
                [LE_DEADLINE] = IGNORED(LP_QUIESCE),
                [LE_FRONT_GONE] = GO(LP_FINISH, "nginx has ended"),
                [LE_BACK_GONE] = IGNORED(LP_QUIESCE),
                [LE_EMPTY] = IGNORED(LP_QUIESCE),
            },
        [LP_FINISH] =
            {
                [LE_BOOTED] = IGNORED(LP_FINISH),
                [LE_PREPARED] = IGNORED(LP_FINISH),
                [LE_CURRENT] = IGNORED(LP_FINISH),
                [LE_WAITING] = IGNORED(LP_FINISH),
                [LE_HOLDING] = IGNORED(LP_FINISH),
                [LE_WARMED] = IGNORED(LP_FINISH),
                [LE_FAILED] = IGNORED(LP_FINISH),
                [LE_STOP] = IGNORED(LP_FINISH),
                [LE_HURRY] = IGNORED(LP_FINISH),
                [LE_DEADLINE] = IGNORED(LP_FINISH),
                [LE_FRONT_GONE] = IGNORED(LP_FINISH),
                [LE_BACK_GONE] = GO(LP_SWEEP, "php-fpm has ended"),
                [LE_EMPTY] = IGNORED(LP_FINISH),
            },
        [LP_SWEEP] =
            {
                [LE_BOOTED] = IGNORED(LP_SWEEP),
                [LE_PREPARED] = IGNORED(LP_SWEEP),
                [LE_CURRENT] = IGNORED(LP_SWEEP),
                [LE_WAITING] = IGNORED(LP_SWEEP),
                [LE_HOLDING] = IGNORED(LP_SWEEP),
                [LE_WARMED] = IGNORED(LP_SWEEP),
                [LE_FAILED] = IGNORED(LP_SWEEP),
                [LE_STOP] = IGNORED(LP_SWEEP),
                [LE_HURRY] = IGNORED(LP_SWEEP),
                [LE_DEADLINE] = IGNORED(LP_SWEEP),
                [LE_FRONT_GONE] = IGNORED(LP_SWEEP),
                [LE_BACK_GONE] = IGNORED(LP_SWEEP),
                [LE_EMPTY] = GO(LP_EXIT, "nothing is left"),
            },
        [LP_EXIT] =
            {
                [LE_BOOTED] = IGNORED(LP_EXIT),
                [LE_PREPARED] = IGNORED(LP_EXIT),
                [LE_CURRENT] = IGNORED(LP_EXIT),
                [LE_WAITING] = IGNORED(LP_EXIT),
                [LE_HOLDING] = IGNORED(LP_EXIT),
                [LE_WARMED] = IGNORED(LP_EXIT),
                [LE_FAILED] = IGNORED(LP_EXIT),
                [LE_STOP] = IGNORED(LP_EXIT),
                [LE_HURRY] = IGNORED(LP_EXIT),
                [LE_DEADLINE] = IGNORED(LP_EXIT),
                [LE_FRONT_GONE] = IGNORED(LP_EXIT),
                [LE_BACK_GONE] = IGNORED(LP_EXIT),
                [LE_EMPTY] = IGNORED(LP_EXIT),
            },
};

static const service_want_t WANT[LP_COUNT_][SV_COUNT_] = {
    /*                prepare     nginx      lead       php-fpm    warm       cron      adhoc     secrets   protect */
    [LP_BOOT] = {WANT_RUN, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF},
    [LP_PREPARE] = {WANT_RUN, WANT_RUN, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF},
    [LP_LEAD] = {WANT_KEEP, WANT_RUN, WANT_RUN, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_RUN, WANT_RUN},
    [LP_WARM] = {WANT_KEEP, WANT_RUN, WANT_RUN, WANT_RUN, WANT_RUN, WANT_OFF, WANT_OFF, WANT_RUN, WANT_RUN},
    [LP_SERVE] = {WANT_KEEP, WANT_RUN, WANT_RUN, WANT_RUN, WANT_KEEP, WANT_RUN, WANT_RUN, WANT_RUN, WANT_RUN},
    [LP_HOLD] = {WANT_KEEP, WANT_RUN, WANT_RUN, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_RUN, WANT_RUN},
    [LP_LAME] = {WANT_OFF, WANT_RUN, WANT_OFF, WANT_RUN, WANT_OFF, WANT_OFF, WANT_OFF, WANT_RUN, WANT_OFF},
    [LP_QUIESCE] = {WANT_OFF, WANT_OFF, WANT_OFF, WANT_KEEP, WANT_OFF, WANT_OFF, WANT_OFF, WANT_KEEP,
                    WANT_OFF},
    [LP_FINISH] = {WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF},
    [LP_SWEEP] = {WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF},
    [LP_EXIT] = {WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF, WANT_OFF},
};

static const char *const PHASE_NAME[LP_COUNT_] = {
    [LP_BOOT] = "BOOT",     [LP_PREPARE] = "PREPARE", [LP_LEAD] = "LEAD", [LP_WARM] = "WARM",
    [LP_SERVE] = "SERVE",   [LP_HOLD] = "HOLD",       [LP_LAME] = "LAME", [LP_QUIESCE] = "QUIESCE",
    [LP_FINISH] = "FINISH", [LP_SWEEP] = "SWEEP",     [LP_EXIT] = "EXIT",
};

static const char *const EVENT_NAME[LE_COUNT_] = {
    [LE_BOOTED] = "booted",         [LE_PREPARED] = "prepared",
    [LE_CURRENT] = "current",       [LE_WAITING] = "waiting",
    [LE_HOLDING] = "holding",       [LE_WARMED] = "warmed",
    [LE_FAILED] = "failed",         [LE_STOP] = "stop",
    [LE_HURRY] = "hurry",           [LE_DEADLINE] = "deadline",
    [LE_FRONT_GONE] = "front-gone", [LE_BACK_GONE] = "back-gone",
    [LE_EMPTY] = "empty",
};

const lifecycle_step_t *lifecycle_fsm_step(lifecycle_phase_t phase, lifecycle_event_t event)
{
    return &STEP[phase][event];
}
service_want_t lifecycle_fsm_want(lifecycle_phase_t phase, service_id_t service)
{
    return WANT[phase][service];
}
bool lifecycle_is_stopping(lifecycle_phase_t phase) { return phase >= LP_LAME; }
const char *lifecycle_phase_name(lifecycle_phase_t phase) { return PHASE_NAME[phase]; }
const char *lifecycle_event_name(lifecycle_event_t event) { return EVENT_NAME[event]; }

void lifecycle_fsm_print(FILE *out)
{
    fputs("stateDiagram-v2\n    [*] --> BOOT\n", out);
    for (int p = 0; p < LP_COUNT_; p++)
        for (int e = 0; e < LE_COUNT_; e++)
            if (STEP[p][e].why)
                fprintf(out, "    %s --> %s: %s (%s)\n", PHASE_NAME[p], PHASE_NAME[STEP[p][e].next],
                        EVENT_NAME[e], STEP[p][e].why);
    fputs("    EXIT --> [*]\n", out);
}
