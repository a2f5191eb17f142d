"""Where a contestant runs: its directory, its start, its processes."""
import os, pathlib, shutil, socket, subprocess, tempfile, threading, time

DEADLINE_S = 15


class Place:
    """The directory of one start: the programs by their names, the report socket."""

    def __init__(self, tools, parent):
        self.tools, self.tmpfs, self.listen, self.nginx = tools, None, None, False
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=parent))
        self.dir.chmod(0o755)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.dir / 'report.sock'))
        os.chmod(self.dir / 'report.sock', 0o777)
        self.socket.settimeout(DEADLINE_S)

    def port(self):
        if not self.listen:
            with socket.socket() as s:
                s.bind(('127.0.0.1', 0))
                self.listen = s.getsockname()[1]
        return self.listen

    def use_nginx(self):
        """The service is nginx, which writes its access lines to standard output."""
        self.nginx = True
        (self.dir / 'nginx.conf').write_text(
            f'daemon off; worker_processes 1; pid {self.dir}/nginx.pid; error_log stderr warn; events {{}}\n'
            'http { log_format json escape=json \'{"path":"$request_uri","status":$status,"seconds":$request_time,"agent":"$http_user_agent"}\';\n'
            'access_log /dev/stdout json; keepalive_requests 1000000;\n'
            + ''.join(f'{n}_temp_path {self.dir}/{n};\n' for n in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
            + f'server {{ listen 127.0.0.1:{self.port()}; location / {{ return 200 "x"; }} }} }}\n')

    def program(self, name, tool='service'):
        path = self.dir / name
        if self.nginx and name.startswith(('service', 'nginx')):
            return self.script(name, f'#!/bin/sh\nexec {shutil.which("nginx") or "/usr/sbin/nginx"} -c {self.dir}/nginx.conf\n')
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

    def report(self, wanted=None):
        """The next (name, number) that a service reports; with a name, the next of that name."""
        while True:
            name, ns = self.socket.recv(100).decode().split()
            if wanted in (None, name):
                return name, int(ns)

    def close(self):
        self.socket.close()
        if self.tmpfs:
            shutil.rmtree(self.tmpfs, ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)


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


class Reader(threading.Thread):
    """Reads what a contestant writes: bytes, lines, the last bytes, and when they came."""

    def __init__(self, fd):
        super().__init__(daemon=True)
        self.fd, self.lines, self.bytes, self.tail, self.paused = fd, 0, 0, b'', threading.Event()
        self.kept = None  # a list: (when, ns; bytes) of all that was read
        self.start()

    def run(self):
        while chunk := os.read(self.fd, 1 << 20):
            now = time.monotonic_ns()
            self.lines += chunk.count(b'\n')
            self.bytes += len(chunk)
            if self.kept is not None:
                self.kept.append((now, chunk))
            self.tail = (self.tail + chunk)[-65536:]
            while self.paused.is_set():
                time.sleep(0.05)
        os.close(self.fd)

    def await_lines(self, count):
        """Seconds until `count` more lines are there than at the call of mark()."""
        until = time.monotonic() + DEADLINE_S
        while self.lines - self.marked < count:
            if time.monotonic() > until:
                raise TimeoutError(f'{self.lines - self.marked} of {count} lines came')
            time.sleep(0.001)
        return time.monotonic() - self.begin

    def mark(self):
        self.marked, self.begin = self.lines, time.monotonic()


class Session:
    """One start of a contestant with `count` services, as PID 1 of a PID namespace when this runs as root."""

    def __init__(self, contestant, tools, parent, count, output=False, nginx=False):
        self.place, self.contestant = Place(tools, parent), contestant
        try:
            if nginx:
                self.place.use_nginx()
            self.start(count, output)
        except BaseException:
            self.place.close()
            raise

    def start(self, count, output):
        argv = self.contestant.argv(self.place, count)
        command = [str(self.place.tools / 'launch')] + (['--namespace'] if os.geteuid() == 0 else [])
        fds = ()
        if output:
            r, w = os.pipe()
            command, fds = command + ['--output', str(w)], (w,)
        env = self.contestant.env or {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'}
        self.launcher = subprocess.Popen(command + argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, pass_fds=fds)
        if output:
            os.close(w)
            self.reader = Reader(r)
        words = self.words(2)
        self.pid, self.began = words['pid'][0], words['start'][0]

    def words(self, count):
        out = {}
        for _ in range(count):
            line = self.launcher.stdout.readline().split()
            if not line:
                raise RuntimeError(f'{self.contestant.name} could not be started')
            out[line[0]] = [int(v) for v in line[1:]]
        return out

    def ready(self, count):
        name, born = self.place.report()
        self.contestant.await_ready(self.place, name, count)
        return born

    def split(self):
        """(pids that supervise, pids of the services)"""
        services = {os.stat(self.place.tools / 'service').st_ino}
        below = [[], []]
        for pid in processes(self.pid):
            try:
                below[os.stat(f'/proc/{pid}/exe').st_ino in services].append(pid)
            except OSError:
                pass  # gone meanwhile
        return below

    def services(self, names):
        """The pids of the services that were started under these names."""
        return [pid for pid in self.split()[1] if os.path.basename(open(f'/proc/{pid}/cmdline').read().split('\0')[0]) in names]

    def service(self):
        """The pid of the service that measures act on."""
        for pid in self.services([self.contestant.service]):
            return pid
        raise RuntimeError(f'{self.contestant.name} has no {self.contestant.service}')

    def term(self):
        """SIGTERM to PID 1: (when, ns; ns until it had ended; its status)"""
        self.launcher.stdin.write('term\n')
        self.launcher.stdin.flush()
        words = self.words(2)
        return words['sent'][0], words['gone'][0], words['gone'][1]

    def close(self):
        self.launcher.stdin.close()
        self.launcher.wait(DEADLINE_S)
        self.place.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
