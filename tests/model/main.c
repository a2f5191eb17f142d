/* The model of the coordination, run: the protocol as implemented must hold, and each known-bad variant must be found bad. */
#include "tests/model/protocol.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALL = FAULT_ALL, NO_FREEZE = FAULT_ALL & ~FAULT_FREEZE };
enum { COLUMNS = 4 }; /* S X O L */

typedef struct {
    const char *name, *what;
    int faults;       /* a known-bad variant needs one fault to show it */
    const char *want; /* a letter for each column S, X, O, L: h holds, v violated, - not asked */
    void (*change)(parts_t *p);
} variant_t;

static void no_timing(parts_t *p) { p->deadline = p->keeper = p->grace = p->relock = p->evict_lead = false; }
static void no_fence(parts_t *p) { p->evict_work = p->work_lock = p->fence_epoch = false; }

static void as_implemented(parts_t *p) { (void)p; }
static void naive(parts_t *p)
{
    no_timing(p);
    no_fence(p);
}
static void deadline_only(parts_t *p)
{
    no_fence(p);
    p->grace = p->relock = false;
}
static void timing_only(parts_t *p) { no_fence(p); }
static void tag_eviction(parts_t *p) { p->work_lock = p->fence_epoch = false; }
static void fence_only(parts_t *p) { no_timing(p); }
static void no_epoch_check(parts_t *p) { p->fence_epoch = false; }
static void fence_first(parts_t *p) { p->fence_first = true; }
static void no_eviction(parts_t *p) { p->evict_work = false; }
static void epoch_only(parts_t *p) { p->fence_holder = false; }
static void old_release(parts_t *p) { p->old_release = true; }
static void no_grace(parts_t *p) { p->grace = false; }
static void grace_is_deadline(parts_t *p) { p->ticks.grace = p->ticks.deadline; }
static void foreign_age(parts_t *p) { p->foreign_age = true; }
static void from_reply(parts_t *p) { p->from_reply = true; }
static void late_deadline(parts_t *p)
{
    p->ticks.deadline = p->ticks.idle + 1;
    p->ticks.grace = p->ticks.idle;
}
static void no_deadline(parts_t *p) { p->deadline = p->keeper = false; }
static void no_keeper(parts_t *p) { p->keeper = false; }
static void beat_nothing(parts_t *p) { p->beat_lock = p->beat_row = false; }
static void beat_row_only(parts_t *p) { p->beat_lock = false; }
static void beat_lock_only(parts_t *p) { p->beat_row = false; }
static void relock_blind(parts_t *p) { p->relock_row = false; }
static void relock_late(parts_t *p) { p->relock_late = true; }
static void no_relock(parts_t *p) { p->relock = false; }
static void early_release(parts_t *p) { p->early_release = true; }
static void no_idle(parts_t *p) { p->idle = false; }
static void no_idle_no_eviction(parts_t *p) { p->idle = p->evict_lead = false; }
static void no_recheck(parts_t *p) { p->next[REPLICA_GRACE][REPLICA_EV_OK] = REPLICA_LEADING; }
static void no_grace_state(parts_t *p) { p->next[REPLICA_CLAIMED][REPLICA_EV_OK] = REPLICA_RECHECK; }

static const variant_t VARIANTS[] = {
    {"implemented", "the protocol as implemented", 2, "hhhh", as_implemented},
    {"postgresql13", "no idle timeout in the server: rivals end a stale lead session", 2, "hhhh", no_idle},
    {"no-relock", "a leader that lost its session stops", 2, "hhhh", no_relock},
    {"naive", "lock = leader", 1, "vv--", naive},
    {"deadline-only", "and the leader stops at its deadline", 1, "vv--", deadline_only},
    {"timing-only", "deadline and grace, no work lock, no eviction", 1, "vh--", timing_only},
    {"tag-eviction", "old sessions are ended by a tag, no work lock", 1, "vh--", tag_eviction},
    {"fence-only", "work lock, epoch and eviction, no timing at all", 1, "hv--", fence_only},
    {"no-epoch-check", "work lock, but the epoch is not read", 1, "vh--", no_epoch_check},
    {"epoch-first", "the epoch is read before the work lock is taken", 1, "vh--", fence_first},
    {"epoch-only", "the fence compares the number, not the holder", 2, "vh--", epoch_only},
    {"old-release", "a \"released\" from before a failover counts", 1, "hv--", old_release},
    {"no-eviction", "the work lock's owner is not ended", 1, "hh-v", no_eviction},
    {"no-grace", "nobody waits for an unclean predecessor", 1, "hv--", no_grace},
    {"grace-is-deadline", "no time for the kill itself", 1, "hv--", grace_is_deadline},
    {"foreign-age", "ages by the clock of another server count", 1, "hv--", foreign_age},
    {"from-reply", "the deadline counts from the answer", 1, "hv--", from_reply},
    {"late-deadline", "the server frees the lock before the deadline", 1, "hv--", late_deadline},
    {"no-deadline", "a leader stops only when it is told", 1, "hv--", no_deadline},
    {"no-keeper", "the role itself has to kill at the deadline", 1, "hv--", no_keeper},
    {"beat-proves-nothing", "a heartbeat proves only that the session answers", 1, "hv--", beat_nothing},
    {"beat-row-only", "it proves the row, not the lock", 1, "hh--", beat_row_only},
    {"beat-lock-only", "it proves the lock, not the row", 1, "hv--", beat_lock_only},
    {"relock-blind", "a lost session is taken up without a look at the row", 1, "hh--", relock_blind},
    {"relock-late", "a lost session is taken up after the deadline, too", 1, "hv--", relock_late},
    {"early-release", "the row says released while the script runs", 1, "hv--", early_release},
    {"no-takeover", "no idle timeout and no eviction of stale leaders", 1, "---v", no_idle_no_eviction},
    {"no-recheck", "table: from grace to leading", 1, "--v-", no_recheck},
    {"no-grace-state", "table: from claimed to recheck", 1, "hv-v", no_grace_state},
};
enum { VARIANT_COUNT = sizeof VARIANTS / sizeof *VARIANTS };

typedef struct {
    int members, faults; /* faults: -1, each variant's own number */
    size_t limit;        /* of states */
    const char *variant;
    bool traces;
} opts_t;

typedef struct {
    char verdict[COLUMNS]; /* h v - and ? for undecided */
    size_t states;
} row_t;

static char letter(space_verdict_t v) { return v == SPACE_HOLDS ? 'h' : v == SPACE_VIOLATED ? 'v' : '?'; }
static const char *word(char c)
{
    return c == 'h' ? "holds" : c == 'v' ? "violated" : c == '?' ? "undecided" : "-";
}

static void trace_show(const char *name, const char *what, space_t *s, uint32_t witness)
{
    printf("%s: %s is violated. The shortest way:\n", name, what);
    space_trace(s, witness, protocol_show);
}

/* One exploration: of S with liveness, of X without freezes, of O. */
static void explore(const opts_t *o, const variant_t *v, const parts_t *parts, check_t check, bool live,
                    row_t *ret)
{
    static const char *const what[] = {"S (no statement of an older script)", "X (no older script runs)",
                                       "O (nothing is done twice)"};
    protocol_t p;
    space_result_t r;
    protocol_init(&p, parts, o->members, o->faults < 0 ? v->faults : o->faults,
                  check == CHECK_X ? NO_FREEZE : ALL, check);
    space_model_t m = protocol_model(&p, live);
    space_t *s = space_explore(&m, o->limit, &r);
    if (v->want[check] != '-') ret->verdict[check] = letter(r.verdict);
    if (live) ret->verdict[3] = letter(r.live);
    ret->states += r.states;
    if (o->traces && r.verdict == SPACE_VIOLATED) trace_show(v->name, what[check], s, r.witness);
    if (o->traces && r.verdict == SPACE_HOLDS && r.live == SPACE_VIOLATED)
        trace_show(v->name, "liveness (a way on)", s, r.witness);
    space_free(s);
}

static row_t variant_run(const opts_t *o, const variant_t *v, const parts_t *parts)
{
    row_t r = {.verdict = "----"};
    bool live = v->want[3] != '-';
    if (v->want[CHECK_S] != '-' || live) explore(o, v, parts, CHECK_S, live, &r);
    if (v->want[CHECK_X] != '-') explore(o, v, parts, CHECK_X, false, &r);
    if (v->want[CHECK_O] != '-') explore(o, v, parts, CHECK_O, false, &r);
    return r;
}

static int variants_run(const opts_t *o)
{
    int wrong = 0, ran = 0;
    printf("| variant | what it is | members, faults | S | X | O | L | states "
           "|\n|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < VARIANT_COUNT; i++) {
        const variant_t *v = &VARIANTS[i];
        parts_t parts;
        if (o->variant && strcmp(o->variant, v->name) != 0) continue;
        ran++;
        protocol_parts(&parts);
        v->change(&parts);
        row_t r = variant_run(o, v, &parts);
        bool ok = memcmp(r.verdict, v->want, COLUMNS) == 0;
        printf("| %s | %s | %d, %d | %s | %s | %s | %s | %zu |\n", v->name, v->what, o->members,
               o->faults < 0 ? v->faults : o->faults, word(r.verdict[0]), word(r.verdict[1]),
               word(r.verdict[2]), word(r.verdict[3]), r.states);
        fflush(stdout);
        if (ok) continue;
        wrong++;
        fprintf(stderr, "model: %s: found %.4s, expected %s (columns S X O L)\n", v->name, r.verdict,
                v->want);
    }
    if (ran == 0) fprintf(stderr, "model: there is no variant \"%s\"\n", o->variant);
    return wrong || ran == 0;
}

/* What a table is found to violate first: "S", "X", "O", "L", or "" when all hold. */
static const char *violated(const parts_t *parts, int members, int faults)
{
    static const struct {
        check_t check;
        int kinds;
        const char *name;
    } checks[] = {{CHECK_O, ALL, "O"}, {CHECK_X, NO_FREEZE, "X"}, {CHECK_S, ALL, "S"}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        protocol_t p;
        space_result_t r;
        protocol_init(&p, parts, members, faults, checks[i].kinds, checks[i].check);
        space_model_t m = protocol_model(&p, checks[i].check == CHECK_S);
        space_free(space_explore(&m, 100000000, &r));
        if (r.verdict != SPACE_HOLDS) return checks[i].name;
        if (checks[i].check == CHECK_S && r.live != SPACE_HOLDS) return "L";
    }
    return "";
}

/* The cells on the way to work. All others lead away from it, when the session is closed and the epoch forgotten: whatever stands
 * there, nobody works beside another one. */
static bool to_work(replica_state_t s, replica_event_t e)
{
    return (e == REPLICA_EV_OK &&
            (s == REPLICA_CONNECT || s == REPLICA_WAITING || s == REPLICA_CLAIMED || s == REPLICA_GRACE)) ||
           (e == REPLICA_EV_NEEDED && (s == REPLICA_WATCH || s == REPLICA_RECHECK));
}

/* Work is asked for without a decision, or the epoch is raised without the lock: the recheck, and the heartbeats, see to that. */
static bool harmless(replica_state_t s, int to)
{
    return (s == REPLICA_CONNECT && to == REPLICA_WAITING) || (s <= REPLICA_WATCH && to == REPLICA_CLAIMED);
}

static int cell_mutate(const opts_t *o, parts_t *parts, replica_state_t s, replica_event_t e, int count[2])
{
    unsigned char is = parts->next[s][e];
    int wrong = 0;
    for (int to = 0; to <= REPLICA_COUNT_; to++) {
        if (to == is) continue;
        parts->next[s][e] = (unsigned char)to;
        const char *what = violated(parts, o->members, o->faults < 0 ? 0 : o->faults);
        count[*what == 0]++;
        bool bad = to_work(s, e) && (*what == 0) != harmless(s, to);
        wrong += bad;
        if (!bad && !o->traces) continue;
        printf("%s%s by %s to %s, not %s: %s\n", bad ? "WRONG: " : "", replica_name(s), replica_event_name(e),
               to == REPLICA_COUNT_ ? "nowhere" : replica_name((replica_state_t)to),
               replica_name((replica_state_t)is), *what ? what : "holds");
    }
    parts->next[s][e] = is;
    return wrong;
}

/* Every cell of coord/replica.c with every other state in it. */
static int mutants_run(const opts_t *o)
{
    parts_t parts;
    int count[2] = {0, 0}, wrong = 0;
    protocol_parts(&parts);
    for (int s = 0; s < REPLICA_COUNT_; s++)
        for (int e = 0; e < REPLICA_EV_COUNT_; e++)
            if (parts.next[s][e] != REPLICA_COUNT_)
                wrong += cell_mutate(o, &parts, (replica_state_t)s, (replica_event_t)e, count);
    printf("Of %d tables with one cell changed, %d are found bad; the others are harmless.\n",
           count[0] + count[1], count[0]);
    return wrong != 0;
}

static int number(const char *s, int most)
{
    char *end;
    long n = strtol(s, &end, 10);
    if (*s && !*end && n >= 0 && n <= most) return (int)n;
    fprintf(stderr, "model: \"%s\" is no number up to %d\n", s, most);
    exit(64);
}

static void diagram(void)
{
    printf("```mermaid\n");
    replica_print(stdout);
    printf("```\n");
}

static void usage(FILE *to)
{
    fputs("model [--members N] [--faults N] [--limit MILLION_STATES] [--variant NAME] [--traces]\n"
          "                   checks the coordination protocol and its known-bad variants: the table of "
          "verdicts,\n"
          "                   and with --traces the shortest way to each violation\n"
          "model --mutants [--traces]\n"
          "                   the table of coord/replica.c with one cell changed: each on the way to work "
          "must be found bad\n"
          "model --diagram    the states of one member, from coord/replica.c\n",
          to);
}

int main(int argc, char **argv)
{
    opts_t o = {.members = 2, .faults = -1, .limit = 50000000};
    bool mutants = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(a, "--diagram") == 0) {
            diagram();
            return 0;
        }
        if (strcmp(a, "--traces") == 0 || strcmp(a, "--mutants") == 0) {
            o.traces = o.traces || a[2] == 't';
            mutants = mutants || a[2] == 'm';
            continue;
        }
        if (strcmp(a, "--members") == 0 || strcmp(a, "--replicas") == 0)
            o.members = number(value, MEMBERS_MAX);
        else if (strcmp(a, "--faults") == 0)
            o.faults = number(value, 15);
        else if (strcmp(a, "--limit") == 0)
            o.limit = (size_t)number(value, 4000) * 1000000;
        else if (strcmp(a, "--variant") == 0)
            o.variant = value;
        else {
            bool help = strcmp(a, "--help") == 0;
            usage(help ? stdout : stderr);
            return help ? 0 : 64;
        }
        i++;
    }
    return mutants ? mutants_run(&o) : variants_run(&o);
}
