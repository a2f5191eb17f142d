#include "supervisor/cmd_drain.h"
#include "base/fd.h"
#include "base/stop_plan.h"
#include "supervisor/client.h"
#include "supervisor/cmd_table.h"
#include <stdio.h>
#include <string.h>

typedef unsigned long long ull_t;

static const char *const PART_NAME[SP_COUNT_] = {[SP_LAME] = "lame",
                                                 [SP_QUIESCE] = "quiesce",
                                                 [SP_FINISH] = "finish",
                                                 [SP_SWEEP] = "sweep",
                                                 [SP_MARGIN] = "margin"};
static const char *const PART_IS[SP_COUNT_] = {
    [SP_LAME] = "unready, serving on: MOODLECTL_LAME_DUCK, at most half of MOODLECTL_STOP_TIMEOUT",
    [SP_QUIESCE] = "nginx finishes (worker_shutdown_timeout): what the other parts leave",
    [SP_FINISH] = "php-fpm finishes (process_control_timeout is this and nginx's part): 1 s, at most a tenth",
    [SP_SWEEP] = "the rest ends, then SIGKILL: 1 s, at most a tenth",
    [SP_MARGIN] = "the exit: 1 s, at most a tenth",
};

static stop_plan_t plan_of(const settings_t *s)
{
    return stop_plan_make((uint64_t)settings_int(s, SET_stop_timeout),
                          (uint64_t)settings_int(s, SET_lame_duck));
}

void cmd_drain_arithmetic(buf_t *out, const settings_t *s)
{
    stop_plan_t plan = plan_of(s);
    buf_printf(out, "\nA stop, in milliseconds from its signal:\n");
    for (int i = 0; i < SP_COUNT_; i++)
        buf_printf(out, "%-8s %6llu to %6llu  %s\n", PART_NAME[i], (ull_t)(i ? plan.end_ms[i - 1] : 0),
                   (ull_t)plan.end_ms[i], PART_IS[i]);
}

void cmd_drain_arithmetic_json(buf_t *out, const settings_t *s)
{
    stop_plan_t plan = plan_of(s);
    for (int i = 0; i < SP_COUNT_; i++)
        buf_printf(out, "%s\"%s\":{\"from_ms\":%llu,\"to_ms\":%llu}", i ? "," : "{", PART_NAME[i],
                   (ull_t)(i ? plan.end_ms[i - 1] : 0), (ull_t)plan.end_ms[i]);
    buf_str(out, "}");
}
