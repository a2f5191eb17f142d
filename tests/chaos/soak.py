"""The soak: random faults on a living cluster, one after the other, each with its recovery, each judged by the recorder.

A plan is drawn from the seed before anything runs, so that a seed repeats the same faults in the same situations at the same
offsets; what the machine's scheduler does in between it cannot repeat."""
import random
import signal
import statistics
import time
import traceback
from collections import namedtuple

from cluster import Cluster, now_ms
from faults import ALL, FAULTS, Scene, worst_ms
from lib.proc import Failure, wait_for
import record

Step = namedtuple("Step", "number fault situation offset_ms hold_ms rest_ms dice")
WEIGHTS = {"cron": 70, "upgrade": 18, "install": 12}
START_MS = 1500    # beyond the formula, for a busy machine
WALL_MS = time.time_ns() // 1000000 - now_ms()
CONNECT_MS = 5000  # the longest pause between two tries to connect, after the database was away
RECOVER_SECONDS = 150


def plan(seed, count, kind):
    dice, steps = random.Random(f"{seed} {kind}"), []
    names = [n for n, f in FAULTS.items() if kind in f.kinds]
    for number in range(count):
        if number % len(names) == 0:
            dice.shuffle(names)  # every fault comes before one comes again
        f = FAULTS[names[number % len(names)]]
        situation = dice.choices(ALL, [WEIGHTS[s] if s in f.situations else 0 for s in ALL])[0]
        steps.append(Step(number, f.name, situation, dice.randint(0, 1500), dice.randint(int(f.hold[0] * 1000), int(f.hold[1] * 1000)), dice.randint(0, 2000),
                          dice.randint(0, 1 << 30)))
    return steps


class Soak:
    """One cluster and its plan. say(dict) gets what happened in each step."""
    slow_ms = 250  # of each step of an install

    def __init__(self, build, kind, members, scale, seed, say):
        self.build, self.kind, self.count, self.scale, self.seed, self.say = build, kind, members, scale, seed, say
        self.c, self.patch, self.targets = None, 0, []

    def run(self, steps):
        try:
            for step in steps:
                began = time.monotonic()
                result = {"seed": self.seed, "db": self.kind, "members": self.count, "scale": self.scale, **step._asdict()}
                try:
                    if not self.c:
                        self.build_cluster()
                    result.update(self.step(step))
                except Exception as e:  # noqa: BLE001 - whatever went wrong is this step's result
                    words = str(e) if isinstance(e, Failure) else traceback.format_exc()
                    result["wrong"] = [words]
                if (result["wrong"] or result.get("late")) and self.c:
                    result["logs"] = self.c.tails()
                self.say({**result, "seconds": round(time.monotonic() - began, 1)})
                if result["wrong"] and self.c:  # the next fault deserves a cluster that is well
                    self.c.close()
                    self.c = None
        finally:
            if self.c:
                self.c.close()

    # ---- situations --------------------------------------------------------------------------------------------------

    def build_cluster(self):
        self.c = Cluster(self.build, self.kind, self.count, self.scale)
        self.c.start()
        self.c.serving()
        self.c.wait_effective("cron")
        self.patch, self.targets = 0, [self.c.version("base")]

    def reach_cron(self):
        return "cron", self.c.wait_effective("cron")

    def reach_install(self):
        """All members start at once on an empty database."""
        for m in self.c.members:
            m.stop()
        self.c.fresh_site()
        self.c.standin(slow_ms=self.slow_ms)
        self.patch, self.targets = 0, [self.c.version("base")]
        self.c.start()
        return "deploy", self.c.wait_effective("deploy")

    def reach_upgrade(self):
        """A rolling deployment: all but the last member come again with newer code."""
        self.patch += 1
        release = f"patch-{self.patch}"
        self.targets.append(self.c.version(release))
        self.c.standin(slow_ms=350)
        new = self.c.members[:-1]
        for m in new:
            m.signal(signal.SIGTERM)
        for m in new:
            m.wait_exit(40)
            m.start(release=release)
        return "deploy", self.c.wait_effective("deploy")

    def finish_roll(self):
        release = f"patch-{self.patch}" if self.patch else "base"
        for m in self.c.members:
            if m.release != release:
                if m.alive():
                    m.signal(signal.SIGTERM)
                    m.wait_exit(40)
                m.start(release=release)

    # ---- one step ----------------------------------------------------------------------------------------------------

    def step(self, step):
        c, fault, dice = self.c, FAULTS[step.fault], random.Random(step.dice)
        c.thaws.clear()
        if "promoted" in step.fault and not c.standby:
            c.add_standby()
        file_mark, db_mark = c.marks()
        purpose, before = {"cron": self.reach_cron, "upgrade": self.reach_upgrade, "install": self.reach_install}[step.situation]()
        time.sleep(step.offset_ms / 1000)
        before = c.effective(purpose) or before
        scene = Scene(c, c.member(before.member), purpose, dice)
        act = fault.act(scene)
        began = now_ms()
        next(act)
        at = scene.back_ms or began
        worst = worst_ms(fault.formula, purpose, self.scale) if fault.formula else None
        self.hold(step, fault, purpose, before, at)
        next(act, None)
        healed = now_ms()
        c.heal()
        self.recover(step, fault, purpose, before)
        if "promoted" in step.fault or step.situation == "install":
            file_mark, db_mark = 0, 0
        wrong = self.judge(file_mark, db_mark)
        took = self.took(purpose, before, healed if fault.from_end else at, fault)
        late = bool(worst and took and took > worst + START_MS + (CONNECT_MS if fault.from_end or scene.back_ms else 0))
        return {"victim": before.member, "purpose": purpose, "took_ms": took, "worst_ms": worst, "late": late, "thaw_steps": self.steps, "wrong": wrong}

    def successor(self, purpose, before, ticks):
        return next((t for t in ticks if t.purpose == purpose and (t.epoch, t.member) != (before.epoch, before.member) and t.at > before.at), None)

    def hold(self, step, fault, purpose, before, at):
        """Until the hold is over; a takeover that had to come ends it, since there is nothing more to see."""
        while now_ms() < at + step.hold_ms:
            if fault.formula and self.successor(purpose, before, self.c.last_ticks()):
                time.sleep(0.3)  # both are there: the moment in which an overlap shows
                return
            time.sleep(0.05)

    def recover(self, step, fault, purpose, before):
        c = self.c
        if fault.dies:
            wait_for("the victim's end", lambda: not c.member(before.member).alive(), 40)
        over = now_ms()
        time.sleep(step.rest_ms / 1000)
        c.start(release=None)
        new = c.members[:-1] if step.situation == "upgrade" else c.members
        for m in new:
            m.wait_phase("SERVE", RECOVER_SECONDS)
        self.finish_roll()
        c.serving(RECOVER_SECONDS)
        c.standin()
        c.wait_effective("cron", RECOVER_SECONDS, after_ms=over)

    def took(self, purpose, before, since, fault):
        """ms from the fault to the start of the next leader's work, as the history has it; None when the leader stayed. After a clean
        stop: between the two rows of the history, since the drain's length is the job's business."""
        t = self.successor(purpose, before, [x for x in self.c.file_ticks() if x.at >= since])
        if not t:
            return None
        if fault.formula == "stop":
            return self.c.gap_ms(purpose, before.epoch, t.epoch)
        started = self.c.started_ms(purpose, t.epoch)
        return started - (since + WALL_MS) if started else None

    def judge(self, file_mark, db_mark):
        c, wrong = self.c, []
        runs = c.runs()
        outages = {epoch for epoch, action, _, _ in runs if action != "upgrade-live"}
        table, file = c.database_ticks(db_mark), c.file_ticks(file_mark)
        wrong += [f"overlap in the database: {o}" for o in record.overlaps(table)]
        real, self.steps = record.thaw_steps(record.overlaps(file), c.thaws)
        self.steps = [{"ticks": len(o.at), "ms": o.at[-1] - o.began} for o in self.steps]
        wrong += [f"overlap in the file: {o}" for o in real]
        wrong += [f"cron beside an install or upgrade: {b}" for b in record.beside(table, outages)]
        versions = [(e, a, target.split(":")[0], r) for e, a, target, r in runs]
        wrong += [f"done twice: {t} in {runs}" for t in record.doubled(versions)]
        wrong += [f"lost: {t} in {runs}" for t in record.lost(versions, self.targets)]
        have = c.site.config("version"), c.site.config("rolesactive")
        if have != (self.targets[-1], "1"):
            wrong.append(f"the site is {have}, should be {self.targets[-1]}")
        return wrong


# ---- the table ---------------------------------------------------------------------------------------------------------

def table(results):
    """Markdown."""
    rows = {}
    for r in results:
        rows.setdefault((r["fault"], r.get("purpose") or "?"), []).append(r)
    lines = ["| fault, while the victim does | count (PostgreSQL, MariaDB) | takeovers | median | worst | bound | overlaps | lost, repeated | not recovered |",
             "|---|---|---|---|---|---|---|---|---|"]
    for (fault, purpose), found in sorted(rows.items()):
        took = [r["took_ms"] / 1000 for r in found if r.get("took_ms")]
        bound = next((r["worst_ms"] for r in found if r.get("worst_ms")), None)
        words = [w for r in found for w in r["wrong"]]
        count = lambda *starts: sum(w.startswith(starts) for w in words)  # noqa: E731
        overlap, repeated = count("overlap", "cron beside"), count("lost", "done twice", "the site is")
        lines.append(f"| {fault}, {purpose} | {sum(r['db'] == 'pgsql' for r in found)}, {sum(r['db'] == 'mariadb' for r in found)} | {len(took)} | "
                     + (f"{statistics.median(took):.1f} s | {max(took):.1f} s" if took else "- | -") + f" | {f'{bound / 1000:.1f} s' if bound else '-'} | "
                     f"{overlap} | {repeated} | {len(words) - overlap - repeated} |")
    return "\n".join(lines)


def summary(results):
    words = [w for r in results for w in r["wrong"]]
    steps = [s for r in results for s in r.get("thaw_steps", [])]
    overlap = sum(w.startswith(("overlap", "cron beside")) for w in words)
    repeated = sum(w.startswith(("lost", "done twice", "the site is")) for w in words)
    late = [r for r in results if r.get("late")]
    return (f"{len(results)} faults ({sum(r['db'] == 'pgsql' for r in results)} PostgreSQL, {sum(r['db'] == 'mariadb' for r in results)} MariaDB), "
            f"{sum(r.get('took_ms') is not None for r in results)} takeovers, {overlap} overlaps, {repeated} lost or repeated installs and upgrades, "
            f"{len(words) - overlap - repeated} not recovered, {len(late)} takeovers above their bound; {len(steps)} times a thawed child wrote to the file "
            f"before it was ended ({sum(s['ticks'] for s in steps)} writes, at most {max([s['ms'] for s in steps], default=0)} ms)")
