#!/usr/bin/env python3
"""Stops members under load and counts the requests that are lost.

    run.py [matrix] [--quick] [--jobs N] [--write]     every kind of request x every balancer x every signal
    run.py stops [--count 1000] [--jobs N] [--write]   one stop after another, balancer removed before and 2 s late in turns
    run.py peers [--count 3] [--jobs N] [--write]      the same load and files under the usual inits and supervisors
    run.py reload [--count 10]                         reloads and restarts of one member, over and over

matrix: one member for each balancer and signal, with all kinds of requests at once. Balancers: `removed` has stopped sending when the
signal comes; the others go on for 2 s, 15 s, or without end. A cell must be 0; for the balancer that never learns it, connections
refused by a member that has stopped listening are shown, and all else must be 0. --quick: three members, for CI.

reload: nginx.conf changes, then restart nginx, then restart php-fpm, under all kinds of requests but that of 25 s (php-fpm's workers
finish what they have before any of them takes new work, so that a restart of it would wait for the longest). 0 may be lost.

Moodle is the stand-in of tests/standin, or MOODLE_SRC=/path of a real one. --write puts the table into docs/drain.md. Needs root."""
import argparse
import collections
import itertools
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import peers  # noqa: E402
from lib.case import Bench, Case, Failure, check, equal  # noqa: E402
from lib.proc import exit_on_signals, wait_for  # noqa: E402
from load import DOWNLOAD, KINDS, LONG, REFUSED, SCRIPT, Balancer, Load  # noqa: E402

NEVER, LAST_MOMENT = float("inf"), 0.5
# name: seconds that it sends after the signal, lame duck, budget: so that a request of 25 s begun at the last moment still fits
BALANCERS = {"removed": (-0.1, 5, 35), "2 s late": (2, 5, 35), "15 s late": (15, 18, 50), "never": (NEVER, 5, 40)}
SIGNALS = ("TERM", "QUIT", "WINCH", "INT")
QUICK = (("removed", "TERM", (-0.1, 2, 20)), ("2 s late", "QUIT", (2, 4, 20)), ("never", "INT", (NEVER, 2, 20)))


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", nargs="?", choices=("matrix", "stops", "peers", "reload"), default="matrix")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--count", type=int)
    p.add_argument("--jobs", type=int, default=4, help="members under load side by side")
    p.add_argument("--pause", type=float, default=0.2, help="between two requests of one client, in seconds")
    p.add_argument("--minutes", type=float, default=600, help="stops: no new one after that")
    p.add_argument("--build", default=os.path.join(TOP, "build", "release"))
    p.add_argument("--write", action="store_true")
    p.add_argument("--keep", action="store_true")
    return p.parse_args()


def report(member):
    """The numbers of the member's own report; {} when it did not come to one."""
    lines = [line for line in member.raw_log().split("\n") if '"DrainDuration"' in line]
    return json.loads(lines[-1]) if lines else {}


class Stop:
    """One member, all kinds of requests, one balancer, one signal."""

    def __init__(self, site, number, balancer, sig, times, kinds=KINDS, pause=0.2):
        self.site, self.number, self.balancer, self.sig, self.kinds, self.pause = site, number, balancer, sig, kinds, pause
        self.late, self.lame, self.budget = times
        self.load, self.wrong, self.report, self.took, self.settings = None, [], {}, 0.0, {}

    def lost(self, kind):
        return sum(n for how, n in self.load.lost[kind].items() if self.late != NEVER or how != REFUSED)

    def refused(self, kind):
        return self.load.lost[kind][REFUSED] if self.late == NEVER else 0

    def start(self):
        # fast back: the members of one site share nothing but the database and the files, so they may stop side by side
        self.member = self.site.member(self.number, env={"MOODLECTL_LAME_DUCK": f"{int(self.lame * 1000)}ms", "MOODLECTL_STOP_TIMEOUT": f"{self.budget}s",
                                                         "MOODLECTL_FPM_CHILDREN": 16, "MOODLECTL_CRON": "false", **self.settings})
        self.member.start()
        self.member.wait_phase("SERVE", 300)

    def run(self):
        self.start()
        rule = Balancer()
        self.load = Load(self.member, rule, self.kinds, self.pause).start()
        for kind in self.kinds:
            if kind in LONG:
                wait_for(f"{kind} under way", lambda kind=kind: self.load.under_way(kind), 10)
        time.sleep(1.5 if LONG[0] in self.kinds else 0.5)
        began = time.monotonic()
        if self.late < 0:  # removed: the last request has been sent, many are under way
            rule.last.set()
            time.sleep(LAST_MOMENT)
            rule.until = time.monotonic()
            time.sleep(-self.late)
        else:
            rule.until = began + self.late if self.late != NEVER else None
            threading.Timer(min(self.late, self.lame) - LAST_MOMENT, rule.last.set).start()
        began = time.monotonic()
        self.member.signal(getattr(signal, f"SIG{self.sig}"))
        status = self.member.wait_exit(self.budget + 20)
        self.took = time.monotonic() - began
        time.sleep(0.5)
        rule.over.set()
        check(self.load.join(100), "a client still waits")
        self.report = report(self.member)
        self.judge(status)
        return self

    def judge(self, status):
        for kind in self.kinds:
            how = {k: n for k, n in self.load.lost[kind].items() if self.late != NEVER or k != REFUSED}
            if how:
                self.wrong.append(f"{kind}: {how}")
            if not self.load.good[kind]:
                self.wrong.append(f"{kind}: no request at all")
        if status != 0 or not self.report.get("DrainClean"):
            self.wrong.append(f"exit status {status}, {[o['msg'] for o in self.member.log(event='drain.end')]}")
        if self.report.get("RequestsCut") or self.report.get("RequestsAborted"):
            self.wrong.append(f"its own report: {self.report}")
        if self.took > self.budget:
            self.wrong.append(f"the stop took {self.took:.1f} s")


class Matrix:
    def __init__(self, args):
        self.args, self.bench = args, Bench(args.build, os.environ.get("MOODLE_SRC"), None, args.keep)
        self.case = Case(self.bench, "pgsql", "drain")
        self.done, self.failed, self.lock = [], [], threading.Lock()

    def site(self):
        tree = self.bench.code.path("base")
        with open(f"{tree}/drain.php", "w") as f:
            f.write(SCRIPT)
        with open(f"{tree}/drain.css", "w") as f:
            f.write("/* a static file */\n")
        site = self.case.site(installed="base")
        with open(f"{site.data}/drain.bin", "wb") as f:
            f.truncate(DOWNLOAD)
        return site

    def one(self, stop):
        try:
            stop.run()
        except Exception as e:  # noqa: BLE001 - counted, and the others go on
            stop.wrong.append(str(e) if isinstance(e, Failure) else traceback.format_exc()[-1500:])
        finally:
            if stop.member.alive():
                stop.member.stop()
        with self.lock:
            self.done.append(stop)
            good, lost = sum(stop.load.good.values()) if stop.load else 0, sum(map(stop.lost, stop.kinds)) if stop.load else 0
            print(f"{'FAIL' if stop.wrong else 'ok  '} {getattr(stop, 'name', '')} {stop.balancer}, SIG{stop.sig}: {good} good, {lost} lost, "
                  f"{sum(map(stop.refused, stop.kinds)) if stop.load else 0} refused after its end, stopped in {stop.took:.1f} s", flush=True)
            for line in stop.wrong:
                print(f"     {line}", flush=True)

    def all(self, stops):
        work, threads = iter(stops), []

        def take():
            while True:
                with self.lock:
                    stop = next(work, None)
                if stop is None:
                    return
                self.one(stop)
        for _ in range(self.args.jobs):
            threads.append(threading.Thread(target=take))
            threads[-1].start()
        for t in threads:
            t.join()

    def close(self):
        self.case.end()
        self.bench.close()


class Short(Stop):
    """One of many: new and kept connections, downloads too small to last, and a request of a second that begins at the last moment."""
    KINDS = ("short", "kept", "HTTP/1.0", "1 s")

    def __init__(self, site, number, serial, pause):
        late = serial % 2 == 1
        super().__init__(site, number, "2 s late" if late else "removed", SIGNALS[serial // 2 % 4], (2, 2.5, 15) if late else (-0.02, 0.5, 15),
                         self.KINDS, pause)


class Peer(Stop):
    """moodlectl as it comes, or another process 1 with the same nginx and PHP-FPM. Whatever is refused counts as lost."""
    KINDS = ("short", "5 s", "upload", "download", "kept", "HTTP/1.0")

    def __init__(self, site, number, name, balancer, pause):
        self.name = name
        super().__init__(site, number, balancer, peers.PEERS.get(name, (None, "TERM"))[1], (2, 3, 20) if balancer == "2 s late" else (-0.1, 3, 20), self.KINDS, pause)

    def start(self):
        if self.name == "moodlectl":
            return super().start()
        env = {"MOODLECTL_FPM_CHILDREN": 16, "MOODLECTL_STOP_TIMEOUT": f"{self.budget}s", "MOODLECTL_LAME_DUCK": f"{self.lame}s"}
        self.member = self.site.member(self.number, env=env)
        folder = self.member.home + "/peer"
        os.mkdir(folder)
        self.member.command = peers.command(self.name, folder)
        self.member.start()
        wait_for(f"{self.name} serves", lambda: self.member.get("/drain.php").status == 200, 30)

    def judge(self, status):
        if self.name == "moodlectl":
            super().judge(status)


class Reload(Stop):
    """No stop: the files change and the services follow, again and again, while all kinds of requests come."""

    def __init__(self, site, number, count, pause):
        super().__init__(site, number, "reload", "HUP", (0, 5, 40), [k for k in KINDS if k != "25 s"], pause)
        self.count = count
        self.templates = site.folder.make(f"{site.name}-templates", mode=0o755)
        shutil.copytree(site.programs.templates, self.templates, dirs_exist_ok=True)
        self.settings = {"MOODLECTL_TEMPLATE_DIR": self.templates}

    def change(self, number):
        with open(f"{self.templates}/nginx.conf.tmpl", "r+") as f:
            text = re.sub(r"gzip_min_length \d+", f"gzip_min_length {1024 + number}", f.read())
            f.seek(0)
            f.write(text)

    def run(self):
        self.start()
        rule = Balancer()
        rule.last.set()
        self.load = Load(self.member, rule, self.kinds, self.pause).start()
        time.sleep(2)
        began = time.monotonic()
        for i in range(self.count):
            self.change(i + 1)
            for words, follows in ((["reload"], "nginx follows"), (["restart", "php-fpm"], "php-fpm follows"), (["restart", "nginx"], "nginx follows")):
                said = self.member.exec(["moodlectl", *words]).stdout
                check(follows in said, f"{words}: {said}")
        self.took = time.monotonic() - began
        rule.until = time.monotonic()
        check(self.load.join(60), "a client still waits")
        equal(self.member.drain(60), 0, "exit status")
        equal([o for o in self.member.log(event="child") if "backoff" in o["msg"]], [], "services that died")
        for kind in self.kinds:
            if self.load.lost[kind]:
                self.wrong.append(f"{kind}: {dict(self.load.lost[kind])}, slowest {self.load.slowest[kind]:.1f} s")


def run_stops(args):
    """Each of the --jobs places has an address of its own, where one member after the other lives and ends."""
    matrix = Matrix(args)
    count, end, next_serial, places = args.count or 1000, time.monotonic() + args.minutes * 60, itertools.count(), []
    try:
        site = matrix.site()

        def place(number):
            while (serial := next(next_serial)) < count and time.monotonic() < end:
                matrix.one(Short(site, number, serial, args.pause))
        for number in range(1, args.jobs + 1):
            places.append(threading.Thread(target=place, args=(number,)))
            places[-1].start()
        for t in places:
            t.join()
        lines = []
        for balancer in ("removed", "2 s late"):
            done = [s for s in matrix.done if s.balancer == balancer and s.load]
            took = sorted(s.took for s in done)
            lines.append(f"| {balancer} | {len(done)} | {sum(sum(s.load.begun.values()) for s in done)} | {sum(sum(map(s.lost, s.kinds)) for s in done)} | "
                         f"{sum(bool(s.wrong) for s in done)} | {took[len(took) // 2]:.2f} | {took[-1]:.2f} |")
        head = ["| balancer | stops | requests | lost | stops with a fault | median s | longest s |", "|---|---|---|---|---|---|---|"]
        print("\n".join(head + lines))
        if args.write:
            write("stops", [f"{time.strftime('%Y-%m-%d')}, {moodle(matrix)}, {where()}, {args.jobs} members side by side.", "", *head, *lines])
        wrong = sum(bool(s.wrong) for s in matrix.done)
        print(f"{len(matrix.done) - wrong} passed, {wrong} failed")
        return 1 if wrong or not matrix.done else 0
    finally:
        matrix.close()


def run_peers(args):
    """Lost requests of one stop: median, least and most; by how, of the median run."""
    matrix = Matrix(args)
    try:
        site = matrix.site()
        names = ["moodlectl"] + [n for n in peers.PEERS if peers.is_here(n)]
        matrix.all([Peer(site, n, name, balancer, args.pause)
                    for n, (_, name, balancer) in enumerate(itertools.product(range(args.count or 3), names, ("removed", "2 s late")), 1)])
        rows = ["| process 1, signal | balancer removed before: lost | balancer 2 s late: lost | how | longest stop, s |", "|---|---|---|---|---|"]
        for name in names:
            cells, how, took = [], collections.Counter(), 0
            for balancer in ("removed", "2 s late"):
                runs = sorted((s for s in matrix.done if s.name == name and s.balancer == balancer and s.load), key=lambda s: sum(map(s.lost, s.kinds)))
                lost = [sum(map(s.lost, s.kinds)) for s in runs]
                cells.append(f"{lost[len(lost) // 2]} ({lost[0]}–{lost[-1]}) of {sum(runs[len(runs) // 2].load.begun.values())}" if runs else "-")
                took = max([took, *(s.took for s in runs)])
                for kind in runs[len(runs) // 2].kinds if runs else ():
                    for words, n in runs[len(runs) // 2].load.lost[kind].items():
                        how["refused" if words == REFUSED else words.split(",")[0] if words.startswith("status") else "cut or closed"] += n
            rows.append(f"| {name}{'' if 'QUIT' in name else ', TERM'} | {cells[0]} | {cells[1]} | {', '.join(f'{k} {n}' for k, n in how.most_common()) or '-'} | {took:.1f} |")
        print("\n".join(rows))
        if args.write:
            write("peers", [f"{time.strftime('%Y-%m-%d')}, {moodle(matrix)}, {where()}.", "", *rows])
        wrong = sum(bool(s.wrong) for s in matrix.done)
        print(f"{len(matrix.done) - wrong} passed, {wrong} failed")
        return 1 if wrong else 0
    finally:
        matrix.close()


def version_of(words):
    p = subprocess.run(words, capture_output=True, text=True)
    return (p.stdout + p.stderr).strip().split("\n")[0]


def where():
    php = version_of(["php", "-v"]).split(" (")[0]
    nginx = version_of(["/usr/sbin/nginx", "-v"]).rpartition("/")[2]
    return f"{os.cpu_count()} processors, Linux {platform.release()}, nginx {nginx}, {php}"


def moodle(matrix):
    return f"Moodle {matrix.bench.code.version('base')}" if matrix.bench.code.real else "the stand-in"


def table(matrix):
    """A row for each kind and balancer, a column for each signal: lost of sent; for `never` the refused ones behind it."""
    found = {(s.balancer, s.sig): s for s in matrix.done if s.load}
    signals = [s for s in SIGNALS if any(sig == s for _, sig in found)]
    rows = [f"| request | balancer | {' | '.join(signals)} |", "|---|---|" + "---|" * len(signals)]
    for kind in KINDS:
        for balancer in BALANCERS:
            cells = []
            for sig in signals:
                s = found.get((balancer, sig))
                text = f"{s.lost(kind)} of {s.load.begun[kind] - s.refused(kind)}" if s else "-"
                cells.append(text + (f" (+ {s.refused(kind)} refused)" if s and balancer == "never" else ""))
            rows.append(f"| {kind} | {balancer} | {' | '.join(cells)} |")
    return rows


def write(name, lines):
    """Between the markers of docs/drain.md."""
    path = os.path.join(TOP, "docs", "drain.md")
    with open(path) as f:
        text = f.read()
    begin, end = f"<!-- measured: {name} -->\n", "<!-- end -->"
    head, _, rest = text.partition(begin)
    with open(path, "w") as f:
        f.write(head + begin + "\n".join(lines) + "\n" + end + rest.partition(end)[2])


def run_matrix(args):
    matrix = Matrix(args)
    try:
        site = matrix.site()
        if args.what == "reload":
            stops = [Reload(site, 1, args.count or 10, args.pause)]
        elif args.quick:
            kinds = [k for k in KINDS if k != "25 s"]
            stops = [Stop(site, n, b, sig, times, kinds, args.pause) for n, (b, sig, times) in enumerate(QUICK, 1)] + [Reload(site, 9, 1, args.pause)]
        else:  # the longest first
            order = sorted(BALANCERS, key=lambda b: -BALANCERS[b][2])
            stops = [Stop(site, n, b, sig, BALANCERS[b], KINDS, args.pause) for n, (b, sig) in enumerate(((b, s) for b in order for s in SIGNALS), 1)]
        matrix.all(stops)
        wrong = sum(bool(s.wrong) for s in matrix.done)
        whole = args.what == "matrix" and not args.quick
        if whole:
            print("\n".join(table(matrix)))
        if args.write and whole:
            write("matrix with Moodle" if matrix.bench.code.real else "matrix", [f"{time.strftime('%Y-%m-%d')}, {moodle(matrix)}, {where()}.", "", *table(matrix)])
        print(f"{len(stops) - wrong} passed, {wrong} failed")
        return 1 if wrong or not stops else 0
    finally:
        matrix.close()


def main():
    args = parse()
    args.build = os.path.abspath(args.build)
    if os.geteuid() != 0:
        sys.exit("run.py: needs root (name spaces, users); try sudo")
    exit_on_signals()
    return {"stops": run_stops, "peers": run_peers}.get(args.what, run_matrix)(args)


if __name__ == "__main__":
    sys.exit(main())
