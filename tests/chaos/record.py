"""The recorder: reads what the jobs left behind (tests/standin, tick_ms) and what the database remembers, and says whether two
children of one purpose were ever effective at once, and whether an install or an upgrade was lost or repeated.

A child is (member, pid, epoch). Both traces are in the order of the writes themselves, so no clock is needed: a child that
leaves a trace after another child of its purpose did, overlaps. The order of the table is the server's, that of the file is
the kernel's (one write with O_APPEND a line)."""
from collections import Counter, namedtuple

Tick = namedtuple("Tick", "purpose epoch member pid at")  # at: ms, CLOCK_MONOTONIC; for reports only
Overlap = namedtuple("Overlap", "purpose early late began at")  # child `early` left traces at `at` after `late` had begun


def child(tick):
    return tick.member, tick.pid, tick.epoch


def tick_of(line, separator):
    """None for half a line: its writer was killed inside the write."""
    words = line.split(separator)
    try:
        return Tick(words[0], int(words[1]), words[2], int(words[3]), int(words[4]))
    except (ValueError, IndexError):
        return None


def overlaps(ticks):
    """Of ticks in the order in which they were written."""
    found, last, began = {}, {}, {}
    for t in ticks:
        me, before = child(t), last.get(t.purpose)
        if before != me and (t.purpose, me) in began:  # it was there before `before` began
            found.setdefault((t.purpose, me, before), []).append(t.at)
        began.setdefault((t.purpose, me), t.at)
        # a child that came too late does not become the one that is entitled
        if (t.purpose, me, before) not in found:
            last[t.purpose] = me
    return [Overlap(p, early, late, began[(p, late)], at) for (p, early, late), at in found.items()]


def beside(ticks, outages):
    """Ticks of cron between the first and the last tick of an install or upgrade that needs the site for itself: (cron child, epoch)."""
    places = {}
    for i, t in enumerate(ticks):
        if t.purpose == "deploy" and t.epoch in outages:
            first, _ = places.get(t.epoch, (i, i))
            places[t.epoch] = (first, i)
    return sorted({(child(t), epoch) for epoch, (first, last) in places.items() for t in ticks[first:last] if t.purpose == "cron"})


def thaw_steps(found, thaws):
    """Overlaps parted into (real ones, steps of a thawed child). thaws: [(member, ms of the thaw, ms that the step may take)]. What a
    frozen process does to a file before anybody can end it no protocol can prevent: it is reported, not counted."""
    real, steps = [], []
    for o in found:
        excused = any(m == o.early[0] and at <= o.at[0] and o.at[-1] <= at + most for m, at, most in thaws)
        (steps if excused else real).append(o)
    return real, steps


def doubled(runs):
    """Deployments that were done twice: [(action, target)]. runs: (epoch, action, target, result)."""
    done = Counter(target for _, _, target, result in runs if result == "ok")
    return sorted(target for target, n in done.items() if n > 1)


def lost(runs, targets):
    """Targets that the cluster should have reached and that no run reached."""
    done = {target for _, _, target, result in runs if result == "ok"}
    return sorted(set(targets) - done)
