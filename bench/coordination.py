#!/usr/bin/env python3
"""Measures what the coordination of many members costs their database, and how soon one of them leads.

    bench/coordination.py [--members N] [--seconds N] [--db pgsql|mariadb|both] [--build DIR] [--write]

Real servers (PostgreSQL, MariaDB) in a temporary folder, real moodlectl-role processes, the stand-in Moodle. Of N members that start at
once on an empty database: the time from the start of the first role to the first leader, until all serve, and the most sessions
open meanwhile. Then, with all members idle (the role lead looks for new versions, the role cron stands by, one of them has the lease): CPU
time of the server's processes as per cent of one core, sessions open on average and at most. The cron script itself sleeps, so that
what is measured is the coordination. --write puts the result into docs/coordination-cost.md.
"""
import argparse
import os
import pathlib
import statistics
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
from run import machine  # noqa: E402
sys.path.insert(0, str(ROOT / "tests/contract"))
from rig import RunFolder, Site, cpu_seconds, database, wait_for  # noqa: E402


class Sessions(threading.Thread):
    """Counts established connections to the server's port, twice a second, without a session of its own."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.counts, self.done = f"{port:04X}", [], False
        self.start()

    def run(self):
        while not self.done:
            with open("/proc/net/tcp") as f:
                rows = [line.split() for line in f.readlines()[1:]]
            self.counts.append(sum(r[1].endswith(":" + self.port) and r[3] == "01" for r in rows))
            time.sleep(0.5)

    def end(self):
        self.done = True
        self.join()
        return self.counts


def start(site, members):
    sessions = Sessions(site.server.port)
    began = time.monotonic()
    leads = [m.start("lead") for m in members]
    wait_for("a leader", lambda: any("leading" in (s for s, _ in r.states()) for r in leads), 60, 0.01)
    leader = time.monotonic() - began
    for r in leads:
        r.wait_state("current", 120)
    return {"first leader, s": leader, "all serve, s": time.monotonic() - began, "most sessions": max(sessions.end())}


def idle(site, members, seconds):
    crons = [m.start("cron") for m in members]
    wait_for("a cron", lambda: any(e["event"] == "cron" and e["holder"] for r in crons for e in r.events()), 60)
    time.sleep(15)  # everybody has looked, and stands by
    sessions = Sessions(site.server.port)
    began, cpu = time.monotonic(), cpu_seconds(site.server.pid)
    time.sleep(seconds)
    used, took = cpu_seconds(site.server.pid) - cpu, time.monotonic() - began
    counts = sessions.end()
    return {"idle, % of a core": 100 * used / took, "sessions": statistics.mean(counts), "idle: most sessions": max(counts)}


def floor(server, seconds=10):
    """What the server does by itself."""
    cpu = cpu_seconds(server.pid)
    time.sleep(seconds)
    return 100 * (cpu_seconds(server.pid) - cpu) / seconds


def measure(kind, args):
    with RunFolder() as folder:
        server = database(folder, kind).start()
        site = Site(folder, server, str(args.build / "moodlectl-role"))
        site.standin(cron_sleep=1)
        members = [site.member(f"m{i}", watch_ms=5000, cron_keepalive_s=180) for i in range(args.members)]
        try:
            out = {"server alone, % of a core": floor(server)}
            out.update(start(site, members))
            out.update(idle(site, members, args.seconds))
        finally:
            site.end()
        out["version"] = server.sql("SELECT version()").split(" (")[0]
        return out


FIGURES = ["first leader, s", "all serve, s", "most sessions", "server alone, % of a core", "idle, % of a core", "sessions", "idle: most sessions"]


def document(results, args, load):
    lines = ["# What the coordination costs the database", "",
             "Written by `bench/coordination.py --write`, which says what is measured.", "",
             f"* Machine: {machine()}; load average {load[0]:.1f} before, {os.getloadavg()[0]:.1f} after",
             f"* {args.members} members, each with the roles lead and cron at their default intervals; idle for {args.seconds} s", "",
             "| " + " | ".join(["database"] + FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for r in results:
        lines.append("| " + " | ".join([r["version"]] + [f"{r[k]:.2f}" if isinstance(r[k], float) else str(r[k]) for k in FIGURES]) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60, help="how long the idle members are measured")
    parser.add_argument("--db", choices=["pgsql", "mariadb", "both"], default="both")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="build directory (default: build/release)")
    parser.add_argument("--write", action="store_true", help="write docs/coordination-cost.md")
    args = parser.parse_args()
    args.build = args.build.resolve()
    load = os.getloadavg()
    if load[0] > os.cpu_count():
        print(f"this machine is busy (load average {load[0]:.1f}): times will be too long", file=sys.stderr)
    results = [measure(kind, args) for kind in (["pgsql", "mariadb"] if args.db == "both" else [args.db])]
    text = document(results, args, load)
    print(text)
    if args.write:
        (ROOT / "docs/coordination-cost.md").write_text(text)


if __name__ == "__main__":
    main()
