#!/usr/bin/env python3
"""Runs the system tests: run.py [--db pgsql|mariadb|both] [-k PATTERN] [--jobs N] [--build DIR] [--keep] [--list]

Each test runs the real programs with a real database, Redis, nginx and PHP-FPM; Moodle is the stand-in of tests/standin, or a
real one: MOODLE_SRC=/path [MOODLE_OLD_SRC=/path of an older release]. Needs root. One line a test; the last line counts."""
import argparse
import glob
import importlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from lib.case import TESTS, Bench, Case, Skip, time_limit  # noqa: E402
from lib.proc import exit_on_signals  # noqa: E402


RETRY_MAX = 3  # more than that is no accident of a busy machine


def load_tests():
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        importlib.import_module(os.path.basename(path)[:-3])


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--db", choices=("pgsql", "mariadb", "both"), default="both")
    p.add_argument("-k", dest="pattern", default="", help="only tests whose name matches this regular expression")
    p.add_argument("--jobs", type=int, default=2, help="so many at the same time")
    p.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    p.add_argument("--retry", action="store_true", help=f"up to {RETRY_MAX} failed tests get a second try, alone; said aloud in the result")
    p.add_argument("--keep", action="store_true", help="leave the temporary folder for a look")
    p.add_argument("--list", action="store_true")
    p.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return p.parse_args()


def run_one(bench, name, kind, number):
    """(result, message) of one test."""
    function = TESTS[name]
    case = Case(bench, kind, f"{'p' if kind == 'pgsql' else 'm'}{number}x")
    try:
        if function.standin and bench.code.real:
            raise Skip("needs a knob of the stand-in Moodle")
        with time_limit(function.real_seconds if bench.code.real else function.seconds):
            function(case)
        return "ok", ""
    except Skip as e:
        return "skip", str(e)
    except Exception as e:  # noqa: BLE001 - any exception is a failed test
        where = traceback.extract_tb(e.__traceback__)
        lines = [f"{os.path.basename(f.filename)}:{f.lineno}" for f in where if "/test_" in f.filename]
        words = str(e) if type(e).__name__ in ("Failure", "Died") else f"{type(e).__name__}: {e}\n{traceback.format_exc()[-1500:]}"
        return "FAIL", f"{' '.join(lines)}: {words}\n{case.tails()}"
    finally:
        case.end()


def worker(args):
    """Takes lines `NUMBER DB TEST` and answers each with one JSON line."""
    exit_on_signals()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    bench = Bench(args.build, os.environ.get("MOODLE_SRC"), os.environ.get("MOODLE_OLD_SRC"), args.keep)
    try:
        for line in sys.stdin:
            number, kind, name = line.split()
            began = time.monotonic()
            result, message = run_one(bench, name, kind, number)
            out.write(json.dumps({"result": result, "message": message, "seconds": time.monotonic() - began}) + "\n")
    except KeyboardInterrupt:
        pass
    finally:
        if args.keep:
            print(f"kept: {bench.folder.path}", file=sys.stderr)
        bench.close()


class Pool:
    def __init__(self, args, work):
        self.args, self.work, self.counts, self.lock = args, work, {"ok": 0, "FAIL": 0, "skip": 0}, threading.Lock()
        self.failed = []

    def report(self, kind, name, answer):
        with self.lock:
            self.counts[answer["result"]] += 1
            note = f"  ({answer['message']})" if answer["result"] == "skip" else ""
            print(f"{answer['result']:<4} {answer['seconds']:6.1f} s  {kind:<7} {name}{note}", flush=True)
            if answer["result"] == "FAIL":
                self.failed.append((kind, name))
                print("    " + answer["message"].replace("\n", "\n    "), flush=True)

    def feed(self, process):
        while True:
            try:
                number, kind, name = self.work.get_nowait()
            except queue.Empty:
                break
            process.stdin.write(f"{number} {kind} {name}\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                self.report(kind, name, {"result": "FAIL", "message": "the worker ended", "seconds": 0})
                break
            self.report(kind, name, json.loads(line))
        process.stdin.close()

    def run(self):
        words = [sys.executable, os.path.abspath(__file__), "--worker", "--build", self.args.build] + (["--keep"] if self.args.keep else [])
        workers = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
                   for _ in range(max(1, min(self.args.jobs, self.work.qsize())))]
        threads = [threading.Thread(target=self.feed, args=(w,)) for w in workers]
        try:
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        except BaseException:
            for w in workers:
                w.terminate()
            raise
        finally:
            for w in workers:
                w.wait()


def run_all(args, wanted, first_number=0):
    work = queue.Queue()
    for number, (kind, name) in enumerate(wanted, first_number):
        work.put((number, kind, name))
    pool = Pool(args, work)
    pool.run()
    return pool


def second_try(args, pool):
    """A test that needs it is reported, for somebody to mend: it fails the run only when it fails again, alone on the machine."""
    args.jobs = 1
    again = run_all(args, pool.failed, 1000)
    for line in pool.failed:
        if line not in again.failed:
            print(f"flaky: {' '.join(line)} passed on its second try only")
    pool.counts["ok"] += again.counts["ok"]
    pool.counts["FAIL"] = again.counts["FAIL"]
    pool.failed = again.failed


def main():
    args = parse()
    args.build = os.path.abspath(args.build)
    load_tests()
    if args.worker:
        return worker(args)
    kinds = ("pgsql", "mariadb") if args.db == "both" else (args.db,)
    wanted = []
    for name, function in TESTS.items():
        # a test for which one database suffices runs on the first that is asked for
        dbs = [k for k in kinds if k in function.dbs] or ([kinds[0]] if len(function.dbs) == 1 else [])
        wanted += [(function.seconds, kind, name) for kind in dbs if re.search(args.pattern, name)]
    wanted.sort(key=lambda w: -w[0])
    if args.list:
        for _, kind, name in wanted:
            print(kind, name)
        return 0
    if os.geteuid() != 0:
        sys.exit("run.py: needs root (name spaces, users); try sudo")
    exit_on_signals()
    began = time.monotonic()
    pool = run_all(args, [(kind, name) for _, kind, name in wanted])
    if args.retry and 0 < len(pool.failed) <= RETRY_MAX:
        second_try(args, pool)
    for line in pool.failed:
        print(f"failed: {' '.join(line)}")
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{pool.counts['ok']} passed, {pool.counts['FAIL']} failed, {pool.counts['skip']} skipped")
    return 1 if pool.counts["FAIL"] or not pool.counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
