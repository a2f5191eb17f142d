"""How soon another member works when the leader of an install goes, against the formulae of the protocol: clean stop, SIGKILL, cut,
hang, freeze, each many times at moments drawn from a seed. The same cluster, faults and judge as the soak's."""
import random
import statistics
import threading
import time

import soak
from faults import FAULTS

# fault: how it is called in the table
WHICH = {"SIGTERM to the member": "clean stop", "kill -9 of the whole member": "SIGKILL", "silent cut": "cut", "SIGSTOP of the role alone": "hang",
         "the whole member frozen, thawed child first": "freeze"}
FORMULA = {"stop": "poll", "kill": "grace + poll", "silent": "idle timeout + poll + eviction"}
SLOW_MS = 2500  # of each step of the install: it must not be over before the takeover


def plan(seed, rounds, kind, only=""):
    dice, steps = random.Random(f"takeovers {seed} {kind}"), []
    for _ in range(rounds):
        for name in WHICH:
            offset, rest = dice.randint(0, 2500), dice.randint(0, 1 << 30)
            if only in name:
                steps.append(soak.Step(len(steps), name, "install", offset, int(FAULTS[name].hold[1] * 1000), 0, rest))
    return steps


class Delay:
    """The longest that a sleep of 10 ms lasted too long meanwhile: what the machine's scheduler adds to every step."""

    def __init__(self):
        self.worst, self.over = 0.0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.is_set():
            before = time.monotonic()
            time.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - before - 0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Takeovers(soak.Soak):
    slow_ms = SLOW_MS

    def hold(self, step, fault, purpose, before, at):
        with Delay() as delay:
            end = time.monotonic() + max(step.hold_ms / 1000, 40)
            while time.monotonic() < end and not self.successor(purpose, before, self.c.last_ticks()):
                time.sleep(0.05)
            time.sleep(0.3)  # both are there: the moment in which an overlap shows
        self.delay_ms = round(delay.worst * 1000)
        self.c.standin()  # the rest of the install is of no interest

    def step(self, step):
        found = super().step(step)
        if not found["took_ms"]:
            found["wrong"].append("nobody took over")
        return {**found, "delay_ms": self.delay_ms}


def table(results):
    """Markdown: a line for each fault and database."""
    lines = ["| leader of an install | database | takeovers | median | worst | formula | worst of formula | scheduler's delay, worst |", "|---|---|---|---|---|---|---|---|"]
    for name, words in WHICH.items():
        for db in ("pgsql", "mariadb"):
            found = [r for r in results if r["fault"] == name and r["db"] == db and r.get("took_ms")]
            if not found:
                continue
            took, bound = [r["took_ms"] / 1000 for r in found], found[0]["worst_ms"] / 1000
            lines.append(f"| {words} | {db} | {len(found)} | {statistics.median(took):.2f} s | {max(took):.2f} s | {FORMULA[FAULTS[name].formula]}: {bound:.2f} s | "
                         f"{100 * max(took) / bound:.0f} % | {max(r['delay_ms'] for r in found)} ms |")
    return "\n".join(lines)


def summary(results, args, load):
    wrong, scales = sum(bool(r["wrong"]) for r in results), {r["scale"] for r in results}
    seeds = sorted({r["seed"] for r in results})
    return (f"`run.py takeovers --count {args.count} --scale {args.scale} --seed {args.seed} --parallel {args.parallel}` (seeds {', '.join(map(str, seeds))}), lease scale "
            f"{', '.join(f'{s} %' for s in sorted(scales))}, load average of the machine {load}: {len(results)} takeovers, {wrong} with an overlap, a loss or no successor")
