#!/usr/bin/env python3
"""Measures moodlectl beside tini, s6, a bare shell and a minimal libuv program, in one interleaved run.

    bench/run.py [--quick] [--runs N] [--build DIR] [--write]

Three figures: exec of PID 1 to the main() of its first child; PSS of the supervising processes, idle with two services; SIGTERM
to exit with two services that end at once. Every contestant is PID 1 of a PID namespace of its own when this runs as root. The
services, and moodlectl's nginx, PHP-FPM, PHP and role program, are one tiny program (service.c), so that what is measured is the
supervisor. --write puts the result into docs/benchmarks.md.
"""
import argparse, os, pathlib, platform, random, shutil, socket, statistics, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SETTLE_S = 0.3
DEADLINE_S = 15


class Place:
    """The directory of one start: the programs by their names, the report socket."""

    def __init__(self, tools, parent):
        self.tools, self.tmpfs = tools, None
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=parent))
        self.dir.chmod(0o755)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.dir / 'report.sock'))
        os.chmod(self.dir / 'report.sock', 0o777)
        self.socket.settimeout(DEADLINE_S)

    def program(self, name, tool='service'):
        path = self.dir / name
        os.link(self.tools / tool, path)
        return str(path)

    def script(self, name, text):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def memory(self):
        """The subdirectory "run", in memory as in a container, where there is a tmpfs."""
        shm = '/dev/shm' if os.access('/dev/shm', os.W_OK) else self.dir
        self.tmpfs = tempfile.mkdtemp(prefix='moodlectl-bench-', dir=shm)
        os.chmod(self.tmpfs, 0o755)
        os.symlink(self.tmpfs, self.dir / 'run')
        return pathlib.Path(self.tmpfs)

    def report(self):
        name, ns = self.socket.recv(100).decode().split()
        return name, int(ns)

    def close(self):
        self.socket.close()
        if self.tmpfs:
            shutil.rmtree(self.tmpfs, ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Contestant:
    """One adapter: how to start `count` services under it, and when they are all there."""
    env = {}

    def argv(self, place, count):
        raise NotImplementedError

    def version(self):
        return ''

    def await_ready(self, place, first, count):
        for _ in range(count - 1):
            place.report()


class Shell(Contestant):
    name, what = 'shell', 'sh as PID 1: starts the services, traps SIGTERM, waits'

    def argv(self, place, count):
        service = place.program('service')
        starts = ' '.join(f'{service} & p{i}=$!;' for i in range(count))
        pids = ' '.join(f'$p{i}' for i in range(count))
        return ['/bin/sh', '-c', f"trap 'kill -TERM {pids}' TERM; {starts} wait; wait; exit 0"]

    def version(self):
        return os.path.basename(os.path.realpath('/bin/sh')) + ' ' + package('dash')


class Floor(Contestant):
    name, what = 'floor', 'bench/uvfloor.c, the least a supervisor on libuv can be'

    def argv(self, place, count):
        return [place.program('uvfloor', 'uvfloor')] + [place.program(f'service{i}') for i in range(count)]

    def version(self):
        return 'libuv ' + subprocess.run(['pkg-config', '--modversion', 'libuv'], capture_output=True, text=True).stdout.strip()


class Tini(Contestant):
    name, what = 'tini', 'tini -g; a second service is started by a shell that then becomes the first'

    def argv(self, place, count):
        service = place.program('service')
        if count == 1:
            return [shutil.which('tini'), '-g', '--', service]
        return [shutil.which('tini'), '-g', '--', '/bin/sh', '-c', f'{service} & ' * (count - 1) + f'exec {service}']

    def version(self):
        return package('tini')


class S6(Contestant):
    name, what = 's6', 's6-svscan as PID 1, one s6-supervise a service, its own SIGTERM handling'

    def argv(self, place, count):
        service = place.program('service')
        for i in range(count):
            (place.dir / f'scan/s{i}').mkdir(parents=True)
            os.symlink(service, place.dir / f'scan/s{i}/run')
        (place.dir / 'scan/.s6-svscan').mkdir()
        os.symlink('/bin/true', place.dir / 'scan/.s6-svscan/finish')
        return [shutil.which('s6-svscan'), '-t0', str(place.dir / 'scan')]

    def version(self):
        return package('s6')


class Moodlectl(Contestant):
    name, what = 'moodlectl', 'moodlectl run, with tiny programs for nginx, PHP-FPM, PHP and the roles'

    def __init__(self, build):
        self.build = build

    def argv(self, place, count):
        run = place.memory()
        for d in (run / 'www', run / 'state', place.dir / 'local'):
            d.mkdir()
        for name in ('nginx', 'php-fpm', 'php', 'moodlectl-role'):
            place.program(name)
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        (place.dir / 'listen').write_text(str(port))
        self.env = {
            'MOODLE_URL': 'http://127.0.0.1', 'MOODLE_DATABASE_TYPE': 'pgsql', 'MOODLE_DATABASE_HOST': '127.0.0.1',
            'MOODLE_DATABASE_USER': 'u', 'MOODLE_DATABASE_PASSWORD': 'p', 'MOODLECTL_HTTP_LISTEN': f'127.0.0.1:{port}',
            'MOODLECTL_RUN_DIR': str(run), 'MOODLECTL_LOCAL_DIR': str(place.dir / 'local'), 'MOODLECTL_CRON': 'false',
            'MOODLECTL_NGINX': str(place.dir / 'nginx'), 'MOODLECTL_PHP_FPM': str(place.dir / 'php-fpm'),
            'MOODLECTL_PHP': str(place.dir / 'php'), 'MOODLECTL_LAME_DUCK': '0s', 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',
        }
        return [place.program('moodlectl', 'moodlectl'), 'run']

    def await_ready(self, place, first, count):
        until = time.monotonic() + DEADLINE_S
        while not (place.dir / 'run/state/open').exists():
            if time.monotonic() > until:
                raise TimeoutError('moodlectl does not open the site')
            time.sleep(0.01)

    def version(self):
        out = subprocess.run([str(self.build / 'moodlectl'), 'version'], capture_output=True, text=True).stdout.split('\n')[0]
        return out.replace('moodlectl ', '')


def package(name):
    out = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', name], capture_output=True, text=True)
    return out.stdout.strip() or '?'


def processes(root):
    """root and all below it, by /proc of the outside."""
    children = {}
    for p in pathlib.Path('/proc').iterdir():
        if p.name.isdigit():
            try:
                ppid = int((p / 'stat').read_text().rsplit(')', 1)[1].split()[1])
                children.setdefault(ppid, []).append(int(p.name))
            except (OSError, IndexError):
                pass
    todo, found = [root], []
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def memory_kib(root, place):
    """PSS and anonymous memory of everything that is no service."""
    services = {os.stat(place.tools / 'service').st_ino}
    pss = anon = count = 0
    for pid in processes(root):
        if os.stat(f'/proc/{pid}/exe').st_ino in services:
            continue
        rows = dict(line.split(':') for line in open(f'/proc/{pid}/smaps_rollup').read().split('\n')[1:] if line)
        pss += int(rows['Pss'].split()[0])
        anon += int(rows['Anonymous'].split()[0])
        count += 1
    return pss, anon, count


def start(contestant, place, count, namespaced):
    argv = contestant.argv(place, count)
    command = [str(place.tools / 'launch')] + (['--namespace'] if namespaced else []) + argv
    env = contestant.env or {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'}
    launcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    words = {}
    while len(words) < 2:
        line = launcher.stdout.readline()
        if not line:
            raise RuntimeError(f'{contestant.name} could not be started')
        key, value = line.split()
        words[key] = int(value)
    return launcher, words['pid'], words['start']


def measure(contestant, tools, parent, namespaced):
    """One start with one service, one with two: a dict of figures."""
    out = {}
    for count in (1, 2):
        place = Place(tools, parent)
        try:
            launcher, pid, begin = start(contestant, place, count, namespaced)
            name, born = place.report()
            if count == 1:
                out['first main(), ms'] = (born - begin) / 1e6
                launcher.stdin.close()  # kills
            else:
                contestant.await_ready(place, name, count)
                time.sleep(SETTLE_S)
                out['PSS, KiB'], out['anonymous, KiB'], out['processes'] = memory_kib(pid, place)
                launcher.stdin.write('term\n')
                launcher.stdin.flush()
                gone = launcher.stdout.readline().split()
                out['SIGTERM to exit, ms'] = int(gone[1]) / 1e6
                out['status'] = int(gone[2])
                launcher.stdin.close()
            launcher.wait(DEADLINE_S)
        finally:
            place.close()
    return out


def compile_tools(build, tools):
    cc = os.environ.get('CC', 'cc')
    for name in ('service', 'launch', 'uvfloor'):
        subprocess.run([cc, '-O2', '-D_GNU_SOURCE', '-o', tools / name, HERE / f'{name}.c'] + (['-luv'] if name == 'uvfloor' else []), check=True)
    shutil.copy(build / 'moodlectl', tools / 'moodlectl')


FIGURES = ['first main(), ms', 'PSS, KiB', 'anonymous, KiB', 'processes', 'SIGTERM to exit, ms']


def figure(values):
    m, lo, hi = statistics.median(values), min(values), max(values)
    if all(isinstance(v, int) for v in values):
        return f'{m:.0f}' if lo == hi else f'{m:.0f} ({lo}-{hi})'
    return f'{m:.2f} ({lo:.2f}-{hi:.2f})'


def table(contestants, results):
    head = ['Contestant'] + FIGURES[:1] + ['x shell', 'x floor', 'PSS, KiB', 'x floor', 'anonymous, KiB', 'processes', 'SIGTERM to exit, ms', 'x shell', 'x floor', 'status']
    rows = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]

    def ratio(c, key, base):
        return f'{statistics.median([r[key] for r in results[c.name]]) / statistics.median([r[key] for r in results[base]]):.2f}'
    for c in contestants:
        v = {k: figure([r[k] for r in results[c.name]]) for k in FIGURES}
        rows.append('| ' + ' | '.join([
            c.name, v[FIGURES[0]], ratio(c, FIGURES[0], 'shell'), ratio(c, FIGURES[0], 'floor'), v['PSS, KiB'], ratio(c, 'PSS, KiB', 'floor'),
            v['anonymous, KiB'], v['processes'], v['SIGTERM to exit, ms'], ratio(c, 'SIGTERM to exit, ms', 'shell'),
            ratio(c, 'SIGTERM to exit, ms', 'floor'), '/'.join(sorted({str(r['status']) for r in results[c.name]}))]) + ' |')
    return '\n'.join(rows)


def machine():
    cpu = next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), platform.machine())
    mem = int(open('/proc/meminfo').readline().split()[1]) // 1024 // 1024
    distro = dict(l.rstrip().split('=', 1) for l in open('/etc/os-release') if '=' in l)['PRETTY_NAME'].strip('"')
    return f'{cpu}, {os.cpu_count()} CPUs, {mem} GiB, Linux {platform.release()}, {distro}'


def document(contestants, results, runs, namespaced, load):
    lines = ['# Measurements', '',
             'Written by `bench/run.py --write`. Medians, with (least-most), of one run in which the contestants took turns in random order;',
             'compare within the table, not across machines.', '',
             f'* Machine: {machine()}; load average {load[0]:.1f} before, {os.getloadavg()[0]:.1f} after', f'* Starts of each contestant: {runs} with one service, {runs} with two',
             f'* {"Each contestant was PID 1 of a PID namespace of its own" if namespaced else "Not root: the contestants were ordinary processes"}',
             '', table(contestants, results), '', '| Contestant | Version | What it is here |', '|---|---|---|']
    lines += [f'| {c.name} | {c.version()} | {c.what} |' for c in contestants]
    lines += ['', '* **first main()**: from the exec of PID 1 to the first instruction of its first child. moodlectl\'s first child is the role that',
              '  prepares; the others start the service itself.',
              '* **PSS, anonymous, processes**: of the supervising processes, idle, with two services (moodlectl: nginx, PHP-FPM and one role beside them,',
              '  which are not counted; its role processes link database clients and cost memory of their own).',
              '* **SIGTERM to exit**: two services that end at once. moodlectl stops in order (the lame duck time set to 0, nginx, then PHP-FPM, then the',
              '  role), the others tell all at once.', '']
    return '\n'.join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='5 runs of each instead of 25')
    parser.add_argument('--runs', type=int, help='number of runs of each')
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build/release', help='build directory (default: build/release)')
    parser.add_argument('--write', action='store_true', help='write docs/benchmarks.md')
    args = parser.parse_args()
    runs = args.runs or (5 if args.quick else 25)
    if not (args.build / 'moodlectl').exists():
        sys.exit(f'{args.build}/moodlectl is not built; try ./dev build')
    namespaced = os.geteuid() == 0
    contestants = [Shell(), Floor()] + [c() for c in (Tini, S6) if shutil.which({'tini': 'tini', 's6': 's6-svscan'}[c.name])]
    contestants.append(Moodlectl(args.build))
    missing = {'tini', 's6'} - {c.name for c in contestants}
    if missing:
        print(f'not installed, left out: {", ".join(sorted(missing))}', file=sys.stderr)
    results = {c.name: [] for c in contestants}
    load = os.getloadavg()
    if load[0] > os.cpu_count():
        print(f'this machine is busy (load average {load[0]:.1f}): figures will be too high', file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix='moodlectl-bench-') as parent:
        os.chmod(parent, 0o755)
        tools = pathlib.Path(parent) / 'tools'
        tools.mkdir()
        compile_tools(args.build, tools)
        for n in range(runs):
            for c in random.sample(contestants, len(contestants)):
                results[c.name].append(measure(c, tools, parent, namespaced))
            print(f'\r{n + 1} of {runs}', end='', file=sys.stderr, flush=True)
        print(file=sys.stderr)
    text = document(contestants, results, runs, namespaced, load)
    print(text)
    if args.write:
        (ROOT / 'docs/benchmarks.md').write_text(text)


if __name__ == '__main__':
    main()
