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
    [SP_LAME] = "unready, serving on",
    [SP_QUIESCE] = "nginx finishes what it has (worker_shutdown_timeout), then it is cut",
    [SP_FINISH] = "php-fpm ends (process_control_timeout: this and nginx's part)",
    [SP_SWEEP] = "the rest ends, then SIGKILL",
    [SP_MARGIN] = "the exit",
};

static stop_plan_t plan_of(const settings_t *s)
{
    return stop_plan_make((uint64_t)settings_int(s, SET_stop_timeout),
                          (uint64_t)settings_int(s, SET_lame_duck));
}

void cmd_drain_arithmetic(buf_t *out, const settings_t *s)
{
    stop_plan_t plan = plan_of(s);
    ull_t length[SP_COUNT_], budget = plan.end_ms[SP_MARGIN];
    for (int i = 0; i < SP_COUNT_; i++) length[i] = stop_plan_length(&plan, (stop_part_t)i);
    buf_printf(out,
               "\nA stop, in milliseconds from its signal (MOODLECTL_STOP_TIMEOUT %llu, MOODLECTL_LAME_DUCK "
               "%lld):\n",
               budget, (long long)settings_int(s, SET_lame_duck));
    for (int i = 0; i < SP_COUNT_; i++) {
        buf_printf(out, "%-8s %6llu to %6llu  ", PART_NAME[i], (ull_t)(i ? plan.end_ms[i - 1] : 0),
                   (ull_t)plan.end_ms[i]);
        if (i == SP_LAME)
            buf_printf(out, "min(%lld, %llu / 2) = %llu: ", (long long)settings_int(s, SET_lame_duck), budget,
                       length[i]);
        else if (i == SP_QUIESCE)
            buf_printf(out, "%llu - %llu - 3 x %llu = %llu: ", budget, length[SP_LAME], length[SP_MARGIN],
                       length[i]);
        else
            buf_printf(out, "min(1000, %llu / 10) = %llu: ", budget, length[i]);
        buf_printf(out, "%s\n", PART_IS[i]);
    }
}

void cmd_drain_arithmetic_json(buf_t *out, const settings_t *s)
{
    stop_plan_t plan = plan_of(s);
    for (int i = 0; i < SP_COUNT_; i++)
        buf_printf(out, "%s\"%s\":{\"from_ms\":%llu,\"to_ms\":%llu}", i ? "," : "{", PART_NAME[i],
                   (ull_t)(i ? plan.end_ms[i - 1] : 0), (ull_t)plan.end_ms[i]);
    buf_str(out, "}");
}
