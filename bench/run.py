#!/usr/bin/env python3
"""Measures moodlectl beside the usual inits and supervisors, and beside the least that is possible, in one interleaved run.

    bench/run.py [FIGURE...] [--quick] [--runs N] [--only NAME,...] [--build DIR] [--write]

Without a FIGURE all of them: startup memory idle signal restart reap lines latency whole stall. Every contestant (contestants.py) is PID 1 of a
PID namespace of its own when this runs as root. The services, and moodlectl's nginx, PHP-FPM, PHP and role program, are one tiny
program (service.c), so that what is measured is the supervisor. Peers that are not installed are left out; Debian has them as tini,
dumb-init, catatonit, runit, s6 and supervisor. --write puts the result into docs/benchmarks.md.
"""
import argparse, os, pathlib, platform, random, re, shutil, signal, statistics, subprocess, sys, tempfile, threading, time

from contestants import all_contestants
from nginx_clients import Load
from place import DEADLINE_S, Session

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SETTLE_S = 0.3
LINES, ORPHANS, LINE = 300_000, 20_000, 200  # as in service.c
IDLE_S = 20
STALL_S = 15


class Figure:
    """`columns`: name -> the contestant that its ratio is taken to, or None. measure() returns one value a column, None where it
    does not apply."""
    once = False  # slow and steady: fewer runs

    def __init__(self, tools, parent):
        self.tools, self.parent = tools, parent

    def session(self, contestant, count, **options):
        return Session(contestant, self.tools, self.parent, count, **options)


class Startup(Figure):
    """From the exec of PID 1 to the main() of its first child, and with two services to that of the last. moodlectl's first child is
    the role that prepares, and its last the one that PHP-FPM waits for; it starts in order, the others start all at once."""
    columns = {'first main(), ms': 'floor', 'two services: last main(), ms': 'floor'}

    def measure(self, c):
        with self.session(c, 1) as s:
            first = (s.place.report()[1] - s.began) / 1e6
        with self.session(c, 2) as s:
            s.place.report()
            last = (s.place.report(c.last)[1] - s.began) / 1e6
        return first, last


def memory_kib(pids):
    pss = anon = 0
    for pid in pids:
        rows = dict(line.split(':') for line in open(f'/proc/{pid}/smaps_rollup').read().split('\n')[1:] if line)
        pss += int(rows['Pss'].split()[0])
        anon += int(rows['Anonymous'].split()[0])
    return pss, anon


class Memory(Figure):
    """Of the supervising processes with two services: idle, and after 300,000 lines and 20,000 orphans. moodlectl's roles, which link
    the database clients and cost memory of their own, are not counted; pages that others map too count in part."""
    once = True
    columns = {'PSS, KiB': 'floor', 'anonymous, KiB': 'floor', 'processes': None, 'PSS after load, KiB': 'floor'}

    def measure(self, c):
        with self.session(c, c.most, output=True) as s:
            s.ready(c.most)
            time.sleep(SETTLE_S)
            pids = s.split()[0]
            pss, anon = memory_kib(pids)
            s.reader.mark()
            os.kill(s.service(), signal.SIGUSR2)
            s.reader.await_lines(LINES)
            if c.reaps:
                os.kill(s.service(), signal.SIGUSR1)
                s.place.report('reaped')
            time.sleep(SETTLE_S)
            return pss, anon, len(pids), memory_kib(s.split()[0])[0]


def cpu_ns(pids):
    return sum(int(open(f'/proc/{p}/schedstat').read().split()[0]) for p in pids)


class Idle(Figure):
    """Context switches of the supervising processes in 20 s in which nothing happens, a minute. moodlectl without its look at PHP-FPM
    (MOODLECTL_FPM_STUCK), which is one wake-up every 30 s."""
    columns = {'wake-ups a minute': None, 'CPU ms a minute': None}
    once = True

    def measure(self, c):
        def total(pids):
            switches = cpu = 0
            for pid in pids:
                rows = dict(line.split(':', 1) for line in open(f'/proc/{pid}/status') if ':' in line)
                switches += int(rows['voluntary_ctxt_switches']) + int(rows['nonvoluntary_ctxt_switches'])
                cpu += int(open(f'/proc/{pid}/schedstat').read().split()[0])
            return switches, cpu
        with self.session(c, c.most) as s:
            s.ready(c.most)
            time.sleep(2)
            pids = s.split()[0]
            before = total(pids)
            time.sleep(IDLE_S)
            after = total(pids)
        return (after[0] - before[0]) * 60 // IDLE_S, round((after[1] - before[1]) / 1e6 * 60 / IDLE_S, 2)


class Signal(Figure):
    """From SIGTERM at PID 1 to the handler of the (first stopped) service, and to the end of PID 1. moodlectl stops in order: nginx, then
    PHP-FPM, then the role, with the lame duck time set to 0; the others tell one service."""
    columns = {'SIGTERM to handler, µs': 'tini', 'SIGTERM to exit, ms': 'tini', 'status': None}

    def measure(self, c):
        with self.session(c, 1) as s:
            s.ready(1)
            time.sleep(SETTLE_S)
            sent, gone, status = s.term()
            return (s.place.report('stopped')[1] - sent) / 1e3, gone / 1e6, status


class Restart(Figure):
    """From the SIGKILL of a service that ran for 1.6 s to the main() of its successor."""
    columns = {'restart, ms': 'floor'}

    def measure(self, c):
        if not c.restarts:
            return (None,)
        with self.session(c, 1) as s:
            s.ready(1)
            time.sleep(1.6)
            pid, begin = s.service(), time.monotonic_ns()
            os.kill(pid, signal.SIGKILL)
            while (born := s.place.report())[1] < begin:
                pass
            return ((born[1] - begin) / 1e6,)


class Reap(Figure):
    """20,000 dead children of a dead service's child, PID 1's in one instant: until the last is reaped. Not for
    those that do not get there in 15 s (supervisord takes 100 a second) or know their own children only (the shells)."""
    once = True
    columns = {'20,000 orphans, ms': 'floor', 'orphans/s': None}

    def measure(self, c):
        if not c.reaps:
            return None, None
        with self.session(c, 1) as s:
            s.ready(1)
            os.kill(s.service(), signal.SIGUSR1)
            ns = s.place.report('reaped')[1]
            return ns / 1e6, int(ORPHANS / (ns / 1e9))


class Lines(Figure):
    """300,000 lines of 200 bytes, written in blocks of 64,000 bytes by one service, to the reader of PID 1's standard output; the CPU of the
    supervising processes alone. Where the service inherits that output, nothing stands between the two and the CPU is 0."""
    columns = {'lines/s, thousands': 'wrap loop', 'CPU, µs a line': 'wrap loop'}

    def measure(self, c):
        with self.session(c, 1, output=True) as s:
            s.ready(1)
            time.sleep(SETTLE_S)
            pids = s.split()[0]

            before = cpu_ns(pids)
            s.reader.mark()
            os.kill(s.service(), signal.SIGUSR2)
            seconds = s.reader.await_lines(LINES)
            return LINES / seconds / 1e3, (cpu_ns(pids) - before) / 1e3 / LINES


class Latency(Figure):
    """2,000 lines of 200 bytes a second for 3 s: from each write of the service to the return of the read behind PID 1, which is Python's here
    and has its share in it; and the CPU of the supervising processes."""
    once = True
    columns = {'median, µs': 'wrap loop', '99 %, µs': 'wrap loop', 'CPU, µs a line': 'wrap loop'}

    def measure(self, c):
        with self.session(c, 1, output=True) as s:
            s.ready(1)
            time.sleep(SETTLE_S)
            pids = s.split()[0]
            before = cpu_ns(pids)
            s.reader.kept = []
            os.kill(s.service(), signal.SIGHUP)
            s.place.report('paced')
            time.sleep(SETTLE_S)
            cpu = cpu_ns(pids) - before
            took = sorted((now - int(sent)) / 1e3 for now, chunk in s.reader.kept for sent in re.findall(rb'sent (\d+) x', chunk))
            return took[len(took) // 2], took[len(took) * 99 // 100], cpu / 1e3 / len(took)


class Whole(Figure):
    """Two services write 300,000 lines each at once: the lines on PID 1's standard output that are not whole, and those that never came."""
    once = True
    columns = {'broken': None, 'missing': None}

    def measure(self, c):
        if c.most < 2:
            return None, None
        with self.session(c, 2, output=True) as s:
            s.ready(2)
            time.sleep(SETTLE_S)
            s.reader.kept = []
            for pid in s.services(c.writers):
                os.kill(pid, signal.SIGUSR2)
            for _ in range(2):
                s.place.report('written')
            time.sleep(2)
            lines = [line for line in b''.join(chunk for _, chunk in s.reader.kept).split(b'\n') if line.count(b'x') > 20 or re.search(rb'\d{7} ', line)]
            whole = sum(bool(re.search(rb'(^|")\d{7} x{191}("|$)', line)) for line in lines)
            return len(lines) - whole, 2 * LINES - whole


class Stall(Figure):
    """nginx is the service, its access log is PID 1's standard output, and 900 requests a second come for 15 s. Then the same while nobody
    reads that output: how many requests are answered. The reader goes on for a while: are the lines that are missing counted by a line
    in the log? It stops again, and PID 1 gets SIGTERM: how long until it has ended (at most 15 s are waited)?"""
    columns = {'answered, reader lives': None, 'answered, reader stopped': None, 'share': None, 'lines missing': None, 'of them told': None,
               'SIGTERM to exit, stopped, ms': None}
    once = True

    def measure(self, c):
        with self.session(c, 1, output=True, nginx=True) as s:
            load = Load(s.place.port())
            load.await_answer(DEADLINE_S)
            s.reader.kept = []
            free = load.run(STALL_S)
            s.reader.paused.set()
            stopped = load.run(STALL_S)
            s.reader.paused.clear()
            time.sleep(3)
            text = b''.join(chunk for _, chunk in s.reader.kept)
            missing = load.answered - text.count(b'"path":"/bench/')
            told = sum(int(n) for n in re.findall(rb'(\d+) access lines of nginx', text))
            s.reader.kept = None
            s.reader.paused.set()
            load.run(1)
            timer = threading.Timer(DEADLINE_S, s.launcher.kill)
            timer.start()
            try:
                gone = round(s.term()[1] / 1e6)
            except RuntimeError:
                gone = DEADLINE_S * 1000
            timer.cancel()
            s.reader.paused.clear()
            return free, stopped, round(stopped / free, 3), missing, told, gone


FIGURES = {f.__name__.lower(): f for f in (Startup, Memory, Idle, Signal, Restart, Reap, Lines, Latency, Whole, Stall)}


def show(values):
    values = [v for v in values if v is not None]
    if not values:
        return '-'
    m, lo, hi = statistics.median(values), min(values), max(values)
    if all(isinstance(v, int) for v in values):
        return f'{m:.0f}' if lo == hi else f'{m:.0f} ({lo}-{hi})'
    digits = 0 if m >= 100 else 2
    return f'{m:.{digits}f} ({lo:.{digits}f}-{hi:.{digits}f})'


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def table(figure, contestants, results):
    head = ['Contestant']
    for column, base in figure.columns.items():
        head += [column] + ([f'x {base}'] if base else [])
    rows = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    for c in contestants:
        cells = [c.name]
        for i, (column, base) in enumerate(figure.columns.items()):
            mine = [r[i] for r in results[c.name]]
            cells.append(show(mine))
            if base:
                own, other = median(mine), median([r[i] for r in results.get(base, [])])
                cells.append(f'{own / other:.2f}' if own is not None and other else '-')
        rows.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(rows)


def compile_tools(build, tools):
    cc = os.environ.get('CC', 'cc')
    for name in ('service', 'launch', 'uvfloor', 'floor'):
        subprocess.run([cc, '-O2', '-D_GNU_SOURCE', '-o', tools / name, HERE / f'{name}.c'] + (['-luv'] if name == 'uvfloor' else []), check=True)
    shutil.copy(build / 'moodlectl', tools / 'moodlectl')


def machine():
    cpu = next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), platform.machine())
    mem = int(open('/proc/meminfo').readline().split()[1]) // 1024 // 1024
    distro = dict(l.rstrip().split('=', 1) for l in open('/etc/os-release') if '=' in l)['PRETTY_NAME'].strip('"')
    return f'{cpu}, {os.cpu_count()} CPUs, {mem} GiB, Linux {platform.release()}, {distro}'


def document(figures, contestants, results, runs, load):
    lines = ['# Measurements', '',
             'Written by `bench/run.py --write`. Medians, with (least-most), of one run in which the contestants took turns in random order;',
             'compare within a table, not across machines. Requests lost when one member is stopped, beside the same inits: docs/drain.md',
             '(`./dev drain-matrix peers`).', '',
             f'* Machine: {machine()}; load average {load[0]:.1f} before, {os.getloadavg()[0]:.1f} after',
             f'* Runs of each contestant: {runs}; {max(1, runs // 5)} of the slow figures (memory, idle, reap, latency, whole, stall)',
             f'* {"Each contestant was PID 1 of a PID namespace of its own" if os.geteuid() == 0 else "Not root: the contestants were ordinary processes"}']
    for name, figure in figures.items():
        lines += ['', f'## {name}', '', ' '.join(figure.__doc__.split()), '', table(figure, contestants, results[name])]
    lines += ['', '## The contestants', '', '| Contestant | Version | What it is here |', '|---|---|---|']
    lines += [f'| {c.name} | {c.version()} | {c.what} |' for c in contestants] + ['']
    return '\n'.join(lines)


def run(figures, contestants, tools, parent, runs):
    results = {}
    for name, kind in figures.items():
        figure = kind(tools, parent)
        results[name] = {c.name: [] for c in contestants}
        rounds = max(1, runs // 5) if kind.once else runs
        for n in range(rounds):
            for c in random.sample(contestants, len(contestants)):
                results[name][c.name].append(figure.measure(c))
            print(f'\r{name}: {n + 1} of {rounds}', end='', file=sys.stderr, flush=True)
        print(file=sys.stderr)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('figure', nargs='*', metavar='FIGURE', choices=[[], *FIGURES])
    parser.add_argument('--quick', action='store_true', help='5 runs of each instead of 25')
    parser.add_argument('--runs', type=int, help='number of runs of each')
    parser.add_argument('--only', default='', help='contestants, by name, comma separated')
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build/release', help='build directory (default: build/release)')
    parser.add_argument('--write', action='store_true', help='write docs/benchmarks.md')
    args = parser.parse_args()
    runs = args.runs or (5 if args.quick else 25)
    if not (args.build / 'moodlectl').exists():
        sys.exit(f'{args.build}/moodlectl is not built; try ./dev build')
    contestants, missing = all_contestants(args.build)
    if args.only:
        contestants = [c for c in contestants if c.name in args.only.split(',')]
    if missing:
        print(f'not installed, left out: {", ".join(missing)}', file=sys.stderr)
    load = os.getloadavg()
    if load[0] > os.cpu_count():
        print(f'this machine is busy (load average {load[0]:.1f}): figures will be too high', file=sys.stderr)
    figures = {n: FIGURES[n] for n in (args.figure or FIGURES)}
    with tempfile.TemporaryDirectory(prefix='moodlectl-bench-') as parent:
        os.chmod(parent, 0o755)
        tools = pathlib.Path(parent) / 'tools'
        tools.mkdir()
        compile_tools(args.build, tools)
        results = run(figures, contestants, tools, parent, runs)
    text = document(figures, contestants, results, runs, load)
    print(text)
    if args.write:
        (ROOT / 'docs/benchmarks.md').write_text(text)


if __name__ == '__main__':
    main()
