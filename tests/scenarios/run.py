#!/usr/bin/env python3
"""The scenarios of the coordination (table.py), by one command.

    run.py --build DIR [NUMBER...] [--db pgsql|mariadb]     runs their tests, then prints the table with the results; --write puts it
                                                            into docs/coordination-tests.md
    run.py --list                                           the table, as it stands in docs/coordination-tests.md
    run.py --check                                          that 1 to 41 are there and every test of the table exists

A test that is missing or skipped fails its scenario. The databases' tests run beside each other: they wait more than they work. Needs root, as
the suites do."""
import argparse
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TESTS = os.path.join(ROOT, "tests")
sys.path.insert(0, HERE)
from table import NOT_HERE, REAL, SCENARIOS  # noqa: E402

SEED = "1"
ROUND = 40  # more than there are faults: each comes once at least
DOC = os.path.join(ROOT, "docs", "coordination-tests.md")


def text(*path):
    with open(os.path.join(TESTS, *path)) as f:
        return f.read()


def marked(folder):
    """The names of the functions marked @test in the files of a suite."""
    files = [n for n in sorted(os.listdir(os.path.join(TESTS, folder))) if n.endswith(".py")]
    return {n for f in files for n in re.findall(r"^@test\b.*\ndef (\w+)", text(folder, f), re.M)}


def existing():
    faults = set(re.findall(r'^@fault\("([^"]+)"', text("chaos", "faults.py"), re.M))
    return {"contract": marked("contract"), "system": marked("system"), "kill": set(re.findall(r'"(\w+)"', text("kill", "run.py").split("KINDS = ")[1].split("\n")[0])),
            "lease": set(re.findall(r"cmocka_unit_test\((\w+)\)", text("contract", "lease.c"))),
            "chaos": faults, "takeovers": faults, "cluster": marked("chaos") | set(re.findall(r'^    \("(\w+)", "', text("chaos", "test_scenarios.py"), re.M)), "model": {"model"}}


def problems():
    if [s.number for s in SCENARIOS] != list(range(1, 42)):
        yield "the numbers are not 1 to 41"
    known = existing()
    for s in SCENARIOS:
        if not s.tests and not s.lacks:
            yield f"{s.number}: neither a test nor a reason"
        for t in s.tests:
            suite, name = t.split(":", 1)
            if name not in known.get(suite, ()):
                yield f"{s.number}: there is no test {t}"


def listing():
    lines = ["| | scenario | databases | shown by | not shown |", "|---|---|---|---|---|"]
    lines += [f"| {s.number} | {s.text} | {', '.join(s.dbs) or '-'} | {', '.join(f'`{t}`' for t in s.tests)} | {s.lacks} |" for s in SCENARIOS]
    whole = sum(not s.lacks for s in SCENARIOS)
    return "\n".join(lines + ["", f"{whole} of {len(SCENARIOS)} are shown whole, the others in part. {NOT_HERE}"])


class Runner:
    """Each test once for each database, however many scenarios name it. Results: "ok", or what was wrong."""

    def __init__(self, build):
        self.build, self.results = build, {}
        listed = subprocess.run([sys.executable, os.path.join(TESTS, "system", "run.py"), "--list"], capture_output=True, text=True).stdout
        self.system = {re.sub(r" \w+\.", " ", line) for line in listed.split("\n")}

    def words(self, suite, name, db):
        at = lambda *p: [sys.executable, os.path.join(TESTS, *p), "--build", self.build]  # noqa: E731
        return {"contract": at("contract", "run.py") + ["--db", db, name], "lease": at("contract", "run.py") + ["--db", db, "lease"],
                "system": at("system", "run.py") + ["--db", db, "-k", rf"\.{name}$"],
                "chaos": at("chaos", "run.py")[:2] + ["soak", "--build", self.build, "--database", db, "--faults", str(ROUND), "--parallel", "1", "--seed", SEED, "--only", name],
                "takeovers": at("chaos", "run.py")[:2] + ["takeovers", "--build", self.build, "--database", db, "--count", "10", "--parallel", "2", "--scale", "50", "--only", name],
                "cluster": at("chaos", "run.py")[:2] + ["test", "--build", self.build, "--database", db, "-k", rf"\.{name}$"],
                "kill": at("kill", "run.py")[:2] + [name, "--build", self.build, "--database", db, "--count", "3", "--scale", "25"],
                "model": ["env", f"BUILD={self.build}", os.path.join(TESTS, "model", "run.sh")]}[suite]

    def run_all(self, scenarios, dbs):
        """Every test once; the results are kept."""
        def of(db):
            for s in scenarios:
                for t in s.tests if db in s.dbs or (not s.dbs and db == dbs[0]) else ():
                    self.run(t, db if s.dbs else "")
        threads = [threading.Thread(target=of, args=(db,)) for db in dbs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def run(self, test, db):
        suite, name = test.split(":", 1)
        words = self.words(suite, name, db)
        key = tuple(words)
        if suite == "system" and f"{db} {name}" not in self.system:
            return "ok"  # it has nothing to do with the database, and runs with the other one
        if test in REAL and not os.environ.get("MOODLE_SRC"):
            return "not run without MOODLE_SRC"
        if key not in self.results:
            p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace")
            self.results[key] = self.verdict(p, suite)
            print(f"{'ok' if self.results[key] == 'ok' else 'FAIL':4} {db or '-':8} {test}", flush=True)
            if self.results[key] != "ok":
                print("    " + p.stdout[-4000:].replace("\n", "\n    "), flush=True)
        return self.results[key]

    @staticmethod
    def verdict(p, suite):
        if p.returncode != 0:
            return "skipped" if p.returncode == 77 else "failed"
        counts = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", p.stdout, re.M)
        if suite == "model":
            return "ok"
        return "ok" if counts and int(counts[-1][0]) > 0 and counts[-1][2] in ("", "0") else "skipped"


def outcome(rows, old, began):
    """Of this run, as it stands in the document. A run of single numbers replaces their lines of the last whole one."""
    mine = {n: f"| {n} | {', '.join(dbs) or '-'} | {state} |" for n, dbs, state in rows}
    whole = len(mine) == len(SCENARIOS)
    lines = {} if whole else {int(m.group(1)): m.group(0) for m in re.finditer(r"^\| (\d+) \|.*$", old, re.M)}
    lines.update(mine)
    head = [line for line in old.split("\n") if line.startswith(("The whole set", "Again"))] if not whole else []
    head.append(f"{'The whole set' if whole else 'Again: ' + ', '.join(map(str, mine))}, on {time.strftime('%Y-%m-%d', time.gmtime())}, "
                f"{(time.monotonic() - began) / 60:.0f} minutes on {os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f}: "
                f"{sum('FAIL' not in line for line in mine.values())} passed, {sum('FAIL' in line for line in mine.values())} failed.")
    return "\n".join(head + ["", "| | databases | result |", "|---|---|---|"] + [lines[n] for n in sorted(lines)])


def write(rows, began):
    with open(DOC) as f:
        before, rest = f.read().split("<!-- outcome -->")
    old, after = rest.split("<!-- end -->", 1)
    with open(DOC, "w") as f:
        f.write(f"{before}<!-- outcome -->\n{outcome(rows, old, began)}\n<!-- end -->{after}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("numbers", nargs="*", type=int)
    p.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    p.add_argument("--db", choices=("pgsql", "mariadb"))
    p.add_argument("--write", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("--check", action="store_true")
    a = p.parse_args()
    wrong = list(problems())
    if wrong:
        print("\n".join(wrong))
        return 1
    if a.check:
        print(f"{len(SCENARIOS)} scenarios, every test of the table exists")
        return 0
    if a.list:
        print(listing())
        return 0
    runner, failed, passed, began = Runner(os.path.abspath(a.build)), 0, 0, time.monotonic()
    lines, rows = [], []
    wanted = [s for s in SCENARIOS if not a.numbers or s.number in a.numbers]
    runner.run_all(wanted, (a.db,) if a.db else ("pgsql", "mariadb"))
    for s in wanted:
        dbs = [d for d in s.dbs if a.db in (None, d)] or ([""] if not s.dbs else [])
        bad = [f"{t} on {d or '-'}: {r}" for t in s.tests for d in dbs for r in [runner.run(t, d)] if r != "ok" and not r.startswith("not run")]
        lacks = [s.lacks] if s.lacks else [f"{t} not run without MOODLE_SRC" for t in s.tests if t in REAL and not os.environ.get("MOODLE_SRC")]
        state = "FAIL " + "; ".join(bad) if bad else "not on this database" if not dbs else f"part ({lacks[0]})" if lacks else "ok"
        failed, passed = failed + bool(bad), passed + (not bad and bool(dbs))
        lines.append(f"{s.number:3} {state:4}  {s.text}")
        rows.append((s.number, dbs if dbs != [""] else [], state))
    print("\n".join(lines))
    print(f"{passed} passed, {failed} failed")
    if a.write:
        write(rows, began)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
