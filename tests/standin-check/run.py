#!/usr/bin/env python3
"""Ask the stand-in Moodle and a real one the same questions, on PostgreSQL and MariaDB, and report where they differ.

run.py [--db pgsql|mariadb] [--only NAME]... [--record]

Without MOODLE_SRC the stand-in is compared with expected-<db>.json, the answers of a real Moodle 4.5.6 recorded with --record.
With MOODLE_SRC=/path/to/moodle that tree is asked as well (a copy of it, by hard links: nothing in it changes).
Exit status 1: a difference; the stand-in is wrong. 77: a program that is needed is not installed.
"""

import argparse
import json
import os
import pathlib
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import databases        # noqa: E402
from questions import QUESTIONS     # noqa: E402
from site_under_test import Site    # noqa: E402


def ask(site, only, verbose):
    """Answers by question; a question that fails is an answer, too."""
    answers = {}
    try:
        for question in QUESTIONS:
            name = question.__name__
            if only and name not in only:
                continue
            begin = time.monotonic()
            try:
                answer = question(site)
            except Exception:
                answer = {"failed": traceback.format_exc().splitlines()[-3:]}
            answers[name] = json.loads(json.dumps(answer))
            if verbose:
                print(f"  {site.kind}: {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    finally:
        site.close()
    return answers


def differences(expected, got, path=""):
    """Where two answers differ, as lines."""
    if type(expected) is type(got) is dict:
        keys = dict.fromkeys([*expected, *got])
        return [line for key in keys for line in differences(expected.get(key), got.get(key), f"{path}.{key}")]
    if type(expected) is type(got) is list and len(expected) == len(got):
        return [line for i in range(len(expected)) for line in differences(expected[i], got[i], f"{path}[{i}]")]
    return [] if expected == got else [f"{path}\n      real:     {json.dumps(expected)}\n      stand-in: {json.dumps(got)}"]


def check(db, args, run_folder):
    server = databases.database(run_folder, db)
    redis = databases.Redis(run_folder, name=f"redis-{db}").start()
    folder = pathlib.Path(run_folder.path)
    recorded = HERE / f"expected-{db}.json"
    expected = json.loads(recorded.read_text()) if recorded.exists() else {}
    source = os.environ.get("MOODLE_SRC")
    if source:
        print(f"{db}: asking the real tree {source}", flush=True)
        real = ask(Site("real", source, folder / f"real-{db}", server, redis, databases.free_port()), args.only, True)
        for name in sorted(set(real) & set(expected)):
            if differences(expected[name], real[name]):
                print(f"{db}: note: the real tree's answer to {name} is not the recorded one")
        if args.record:
            expected.update({name: answer for name, answer in real.items() if not (isinstance(answer, dict) and "failed" in answer)})
            recorded.write_text(json.dumps(expected, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        expected = real
    print(f"{db}: asking the stand-in", flush=True)
    site = Site("standin", HERE.parent / "standin" / "tree", folder / f"standin-{db}", server, redis, databases.free_port())
    got = ask(site, args.only, args.verbose)
    redis.stop()
    server.stop()
    bad = 0
    for name, answer in got.items():
        if name not in expected:
            found = [": nobody recorded a real answer"]
        else:
            found = differences(expected[name], answer)
        bad += bool(found)
        print(f"  {'not ok' if found else 'ok'} {name}")
        for line in found:
            print(f"    {name}{line}")
    print(f"{db}: {len(got)} questions, {bad} answered differently", flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", choices=("pgsql", "mariadb"), action="append")
    parser.add_argument("--only", action="append")
    parser.add_argument("--record", action="store_true", help="write the real answers to expected-<db>.json")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the temporary folder")
    args = parser.parse_args()
    missing = databases.missing()
    if missing:
        print(f"skipped: not installed: {', '.join(missing)}")
        return 77
    databases.exit_on_signals()
    with databases.RunFolder(keep=args.keep) as run_folder:
        os.chmod(run_folder.path, 0o755)
        bad = sum(check(db, args, run_folder) for db in args.db or ("pgsql", "mariadb"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
