#!/usr/bin/env python3
"""Faults on whole clusters, in network namespaces of their own. Needs root.

    run.py soak --faults N --members 3 --database both --seed S [--parallel P]   random faults; a line each, the table at the end
    run.py soak --seed S --database D --faults N --replay 17[,18]                the same faults again, only these of the plan
    run.py takeovers --count N --scale 100 [--database D] [--parallel P] [--write]   how soon another leads, against the formulae
    run.py test [-k PATTERN] [--fast] [--database both] [--parallel P]           the tests of test_*.py; --fast: those for every change
    run.py table FILE...                                                         the table of recorded soaks
"""
import argparse
import concurrent.futures
import contextlib
import glob
import importlib
import json
import os
import queue
import random
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import net  # noqa: E402
import soak  # noqa: E402
import takeovers  # noqa: E402
from cluster import sweep  # noqa: E402
from lib.case import TESTS, Skip, time_limit  # noqa: E402
from lib.proc import exit_on_signals  # noqa: E402

DOC = os.path.join(HERE, "..", "..", "docs", "chaos.md")
RETRY_MAX = 2
END = "<!-- end -->"


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("word", choices=("soak", "takeovers", "table", "test", "one"))
    p.add_argument("files", nargs="*", help="table: what --record wrote; one: NAME and database")
    p.add_argument("-k", dest="pattern", default="")
    p.add_argument("--fast", action="store_true")
    p.add_argument("--retry", action="store_true", help=f"up to {RETRY_MAX} failed tests get a second try, alone; said aloud in the result")
    p.add_argument("--list", action="store_true")
    p.add_argument("--build", default=os.path.join(HERE, "..", "..", "build", "release"))
    p.add_argument("--faults", type=int, default=20)
    p.add_argument("--count", type=int, default=10, help="takeovers of each kind on each database")
    p.add_argument("--members", type=int, default=3)
    p.add_argument("--database", choices=("pgsql", "mariadb", "both"), default="both")
    p.add_argument("--seed", type=int, default=random.SystemRandom().randint(1, 999999))
    p.add_argument("--parallel", type=int, default=2, help="clusters at the same time")
    p.add_argument("--scale", type=int, default=50, help="per cent of all lease times (MOODLECTL_LEASE_SCALE)")
    p.add_argument("--minutes", type=float, default=600, help="no new fault after that")
    p.add_argument("--replay", help="numbers of the plan, by commas")
    p.add_argument("--only", help="only faults whose name holds this")
    p.add_argument("--record", help="append what happened to this file, a JSON object a line")
    p.add_argument("--write", action="store_true", help="put the table into docs/chaos.md")
    p.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    return args


def steps_of(args):
    if args.word == "takeovers":
        return takeovers.plan(args.seed, args.count, args.database, args.only or "")
    steps = soak.plan(args.seed, args.faults, args.database)
    if args.replay:
        steps = [steps[int(n)] for n in args.replay.split(",")]
    return [s for s in steps if not args.only or args.only in s.fault]


def worker(args):
    """One cluster: a JSON line a fault on standard output."""
    exit_on_signals()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    end = time.monotonic() + args.minutes * 60

    def timely():
        for s in steps_of(args):
            if time.monotonic() < end:
                yield s
    kind = takeovers.Takeovers if args.word == "takeovers" else soak.Soak
    kind(args.build, args.database, args.members, args.scale, args.seed, lambda r: out.write(json.dumps(r) + "\n")).run(timely())


class Crew:
    """Workers, each with its database, seed and share of the faults."""

    def __init__(self, args):
        self.args, self.results, self.lines = args, [], queue.Queue()

    def shares(self):
        a = self.args
        kinds = ("pgsql", "mariadb") if a.database == "both" else (a.database,)
        count = 1 if a.replay else max(len(kinds), a.parallel)
        for i in range(count):
            faults = a.faults if a.replay else a.faults // count + (i < a.faults % count)
            seed, of_kind = i // len(kinds), len(range(i % len(kinds), count, len(kinds)))
            rounds = a.count // of_kind + (seed < a.count % of_kind)
            yield kinds[i % len(kinds)], a.seed + seed, rounds if a.word == "takeovers" else faults

    def start(self, kind, seed, faults):
        a = self.args
        words = [sys.executable, os.path.abspath(__file__), a.word, "--worker", "--build", a.build, "--faults", str(faults), "--count", str(faults), "--members", str(a.members),
                 "--database", kind, "--seed", str(seed), "--scale", str(a.scale), "--minutes", str(a.minutes)]
        words += ["--replay", a.replay] if a.replay else []
        words += ["--only", a.only] if a.only else []
        print(f"{kind}: {faults} {'of each' if a.word == 'takeovers' else 'faults'}, seed {seed}", flush=True)
        return subprocess.Popen(["setpriv", "--pdeathsig=TERM", "--"] + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def feed(self, process):
        for line in process.stdout:
            self.lines.put(json.loads(line))

    def run(self):
        workers = [self.start(*share) for share in self.shares()]
        threads = [threading.Thread(target=self.feed, args=(w,), daemon=True) for w in workers]
        try:
            for t in threads:
                t.start()
            while any(t.is_alive() for t in threads) or not self.lines.empty():
                try:
                    self.tell(self.lines.get(timeout=0.5))
                except queue.Empty:
                    continue
            for w in workers:  # it has said all; its own end may take a moment
                with contextlib.suppress(subprocess.TimeoutExpired):
                    w.wait(60)
        finally:
            for w in workers:
                w.terminate()
            status = [w.wait(120) for w in workers]
        return status

    def tell(self, r):
        self.results.append(r)
        took = f"{r['took_ms'] / 1000:5.1f} s" if r.get("took_ms") else "      -"
        bound = f" of {r['worst_ms'] / 1000:4.1f}" if r.get("worst_ms") else "        "
        print(f"{'WRONG' if r['wrong'] else 'late ' if r.get('late') else 'ok   '} {r['db']:7} {r['seed']}/{r['number']:<3} {r['seconds']:5.1f} s  takeover {took}{bound}"
              f"  {r['situation']:7} {r['fault']}", flush=True)
        for w in r["wrong"]:
            print("    " + w.replace("\n", "\n    "), flush=True)
        print("    " + r.pop("logs").replace("\n", "\n    ") if "logs" in r else "", end="\n" if r["wrong"] or r.get("late") else "")
        if self.args.record:
            with open(self.args.record, "a") as f:
                f.write(json.dumps(r) + "\n")


def write(place, text):
    begin = f"<!-- {place} -->"
    with open(DOC) as f:
        doc = f.read()
    before, rest = doc.split(begin)
    with open(DOC, "w") as f:
        f.write(before + begin + "\n" + text + "\n" + END + rest.split(END, 1)[1])


# ---- tests ---------------------------------------------------------------------------------------------------------------

def load_tests():
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        importlib.import_module(os.path.basename(path)[:-3])


def one(args):
    """One test, in a process of its own."""
    name, kind = args.files
    exit_on_signals()
    with time_limit(TESTS[name].seconds):
        try:
            return TESTS[name](args.build, kind)
        except Skip as e:
            print(f"skipped: {e}")
            return 77


def run_test(args, name, kind):
    """(result, line)"""
    began = time.monotonic()
    words = [sys.executable, os.path.abspath(__file__), "one", name, kind, "--build", args.build]
    p = subprocess.Popen(["setpriv", "--pdeathsig=TERM", "--"] + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, errors="replace", start_new_session=True)
    text = p.communicate()[0].strip()
    result = {0: "ok", 77: "skip"}.get(p.returncode, "FAIL")
    print(f"{result:<4} {time.monotonic() - began:6.1f} s  {kind:<7} {name}", flush=True)
    if text:
        print("    " + text.replace("\n", "\n    "), flush=True)
    return result, (name, kind)


def tests(args):
    kinds = ("pgsql", "mariadb") if args.database == "both" else (args.database,)
    wanted = [(name, kind) for name, f in TESTS.items() if re.search(args.pattern, name) and (f.fast or not args.fast)
              for kind in kinds if kind in f.dbs]
    if args.list:
        print("\n".join(f"{kind} {name}" for name, kind in wanted))
        return 0
    # the threads live as long as this process: what they start dies with them
    pool = concurrent.futures.ThreadPoolExecutor(args.parallel)
    found = list(pool.map(lambda w: run_test(args, *w), wanted))
    failed = [w for result, w in found if result == "FAIL"]
    if args.retry and 0 < len(failed) <= RETRY_MAX:
        again = [w for w in failed if run_test(args, *w)[0] == "FAIL"]
        for w in set(failed) - set(again):
            print(f"flaky: {w[1]} {w[0]} passed on its second try only")
        failed = again
    skipped = sum(result == "skip" for result, _ in found)
    print(f"{len(found) - len(failed) - skipped} passed, {len(failed)} failed, {skipped} skipped")
    return 1 if failed or not found else 0


def report(args, results):
    text = f"{soak.summary(results)}\n\n{soak.table(results)}"
    if args.word == "takeovers":
        text = f"{takeovers.summary(results, args, ' '.join(f'{x:.1f}' for x in os.getloadavg()))}\n\n{takeovers.table(results)}"
    print(text)
    if args.write:
        write("takeovers" if args.word == "takeovers" else "soak", text)
    wrong = sum(bool(r["wrong"]) or bool(r.get("late")) for r in results)
    print(f"{len(results) - wrong} passed, {wrong} failed")
    return 1 if wrong or not results else 0


def main():
    args = parse()
    if args.worker:
        return worker(args)
    load_tests()
    if args.word == "one":
        return one(args)
    if args.word == "table":
        return report(args, [json.loads(line) for path in args.files for line in open(path)])
    why = net.permitted()
    if why:
        print(f"skipped: {why}")
        return 77
    for path in sweep():
        print(f"removed what a killed run left: {path}")
    exit_on_signals()
    if args.word == "test":
        return tests(args)
    crew = Crew(args)
    status = crew.run()
    code = report(args, crew.results)
    return code or (1 if any(status) else 0)


if __name__ == "__main__":
    sys.exit(main())
