/* links: coord base */
#include "coord/replica.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Every cell, written a second time in another form. "": impossible. Order of events: ok failed refused nothing hold needed busy time. */
static const char *const WANT[REPLICA_COUNT_][REPLICA_EV_COUNT_] = {
    [REPLICA_CONNECT] = {"watch", "connect", "refused", "", "", "", "", ""},
    [REPLICA_REFUSED] = {"", "", "", "", "", "", "", "connect"},
    [REPLICA_WATCH] = {"", "connect", "", "satisfied", "held", "waiting", "", ""},
    [REPLICA_SATISFIED] = {"", "", "", "", "", "", "", "connect"},
    [REPLICA_HELD] = {"", "", "", "", "", "", "", "connect"},
    [REPLICA_WAITING] = {"claimed", "connect", "", "", "", "", "watch", ""},
    [REPLICA_CLAIMED] = {"grace", "stopped", "", "", "", "", "", ""},
    [REPLICA_GRACE] = {"recheck", "stopped", "", "", "", "", "", ""},
    [REPLICA_RECHECK] = {"", "stopped", "", "stopped", "stopped", "leading", "", ""},
    [REPLICA_LEADING] = {"stopped", "stopped", "", "", "", "", "", ""},
    [REPLICA_STOPPED] = {"connect", "", "", "", "", "", "", ""},
};

static void every_cell(void **state)
{
    (void)state;
    for (int s = 0; s < REPLICA_COUNT_; s++)
        for (int e = 0; e < REPLICA_EV_COUNT_; e++) {
            replica_state_t next = replica_next((replica_state_t)s, (replica_event_t)e);
            if (next == REPLICA_COUNT_)
                assert_string_equal(WANT[s][e], "");
            else
                assert_string_equal(WANT[s][e], replica_name(next));
        }
    assert_int_equal(replica_next(REPLICA_COUNT_, REPLICA_EV_OK), REPLICA_COUNT_);
}

/* The protocol's order cannot be skipped: work only after claim, grace and a second look; never two leaps in one. */
static void leading_only_after_grace_and_recheck(void **state)
{
    (void)state;
    static const struct {
        replica_state_t to, only_from;
    } steps[] = {{REPLICA_LEADING, REPLICA_RECHECK},
                 {REPLICA_RECHECK, REPLICA_GRACE},
                 {REPLICA_GRACE, REPLICA_CLAIMED},
                 {REPLICA_CLAIMED, REPLICA_WAITING}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int s = 0; s < REPLICA_COUNT_; s++)
            for (int e = 0; e < REPLICA_EV_COUNT_; e++)
                if (replica_next((replica_state_t)s, (replica_event_t)e) == steps[i].to)
                    assert_int_equal(s, steps[i].only_from);
}

static void every_state_is_reached_and_left(void **state)
{
    (void)state;
    bool seen[REPLICA_COUNT_] = {[REPLICA_CONNECT] = true};
    for (int round = 0; round < REPLICA_COUNT_; round++)
        for (int s = 0; s < REPLICA_COUNT_; s++)
            for (int e = 0; seen[s] && e < REPLICA_EV_COUNT_; e++) {
                replica_state_t n = replica_next((replica_state_t)s, (replica_event_t)e);
                if (n < REPLICA_COUNT_) seen[n] = true;
            }
    for (int s = 0; s < REPLICA_COUNT_; s++) {
        bool out = false;
        for (int e = 0; e < REPLICA_EV_COUNT_; e++)
            out = out || replica_next((replica_state_t)s, (replica_event_t)e) < REPLICA_COUNT_;
        assert_true(seen[s]);
        assert_true(out);
        assert_string_not_equal(replica_name((replica_state_t)s), "?");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_cell),
                                       cmocka_unit_test(leading_only_after_grace_and_recheck),
                                       cmocka_unit_test(every_state_is_reached_and_left)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
