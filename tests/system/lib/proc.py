"""Processes, waiting, free addresses and one temporary folder a run; everything is undone at the end, however it ends."""
import atexit
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CLEAN_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/"}


class Failure(Exception):
    """Something that a test or the demonstration waited for did not come about."""


class Died(Failure):
    """It cannot come about any more: no use waiting on."""


def wait_for(what, ready, seconds, pause=0.05):
    """Calls ready() until it gives something true, and gives that; Failure after so many seconds. An exception counts as no."""
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = ready()
            if value:
                return value
            last = value
        except Died:
            raise
        except Exception as e:  # noqa: BLE001 - the server is not there yet; what it said is in the message at the end
            last = e
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s (last: {last!r})")
        time.sleep(pause)


def free_port(address="127.0.0.1"):
    with socket.socket() as s:
        s.bind((address, 0))
        return s.getsockname()[1]


class Block:
    """Loopback addresses 127.A.B.* and a port that no other run uses: held by an abstract socket, so it ends with us."""

    def __init__(self, first=None, last_bytes=(1, 11, 12, 13)):
        choices = [(first, 8080), (first, 8880)] if first else []
        choices += [(f"127.{random.randint(16, 250)}.{random.randint(1, 250)}", random.choice((8080, 8880, 9980))) for _ in range(60)]
        for self.net, self.port in choices:
            self._lock = socket.socket(socket.AF_UNIX)
            try:
                self._lock.bind(f"\0moodlectl-{self.net}")
                for last in last_bytes:
                    with socket.socket() as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind((self.address(last), self.port))
                return
            except OSError:
                self._lock.close()
        raise Failure("no free block of loopback addresses")

    def address(self, last):
        return f"{self.net}.{last}"

    def close(self):
        self._lock.close()


def as_user(user, death="KILL"):
    """The words before a command that make it run as this user and end with us. Nothing of it when we are not root."""
    words = ["setpriv", f"--pdeathsig={death}"]
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        words += [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups"]
    return words + ["--"]


def user_or(user, other="nobody"):
    try:
        pwd.getpwnam(user)
        return user
    except KeyError:
        return other


def run(words, check=True, seconds=60, env=None, **more):
    """A command's CompletedProcess with text output; Failure with its words when it fails."""
    p = subprocess.run(words, env={**CLEAN_ENV, **(env or {})}, timeout=seconds, stdin=more.pop("stdin", subprocess.DEVNULL),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **more)
    if check and p.returncode != 0:
        raise Failure(f"{' '.join(map(str, words))}: status {p.returncode}\n{p.stdout[-2000:]}{p.stderr[-2000:]}")
    return p


def descendants(pid):
    """All processes below pid, in no order."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as f:
                parents[int(name)] = int(f.read().rpartition(")")[2].split()[1])
    found, todo = [], [pid]
    while todo:
        above = todo.pop()
        below = [p for p, parent in parents.items() if parent == above]
        found += below
        todo += below
    return found


def cpu_seconds(root):
    """Processor time of a server: its process, those it has reaped (a session of PostgreSQL is a process), those that live."""
    fields = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as f:
            fields[int(name)] = f.read().rpartition(")")[2].split()

    def of(pid):
        below = sum(of(p) for p, f in fields.items() if int(f[1]) == pid)
        return below + sum(map(int, fields[pid][11:15])) / os.sysconf("SC_CLK_TCK")
    return of(root)


def send(pid, sig):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)


class Loopback:
    """Where a server lives: its address, a free port, and the words before a command that run it there."""
    address, words = "127.0.0.1", []

    def port(self):
        return free_port(self.address)


class Server:
    """One process of ours with a log file. start() waits until ready() is true; stop() ends it and what it started."""
    STOP = signal.SIGTERM
    DEATH = "KILL"
    user = "nobody"
    START_SECONDS = 60

    def __init__(self, run_folder, name, place=None):
        self.name, self.place = name, place or Loopback()
        self.home = run_folder.make(name, self.user)
        self.log_path = os.path.join(self.home, name + ".log")
        self.process, self.under = None, []  # under: words of a program that runs the server's own
        run_folder.servers.append(self)

    def command(self):
        raise NotImplementedError

    def ready(self):
        raise NotImplementedError

    @property
    def pid(self):
        return self.process.pid if self.process else 0

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def launch(self):
        """Starts it without waiting."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.place.words + as_user(self.user, self.DEATH) + self.under + self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, cwd=self.home, env={**CLEAN_ENV, "HOME": self.home})

    def ask(self, words, **more):
        """Runs a client where the server is."""
        return run(self.place.words + words, **more)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def _ready_or_dead(self):
        if not self.alive():
            raise Died(f"{self.name} ended with {self.process.returncode}:\n{self.log()[-2000:]}")
        return self.ready()

    def start(self):
        self.launch()
        wait_for(f"{self.name} answers", self._ready_or_dead, self.START_SECONDS)
        return self

    def _end(self, sig, seconds):
        if not self.alive():
            return
        below = descendants(self.pid)
        send(self.pid, signal.SIGCONT)
        send(self.pid, sig)
        for pid in below:
            send(pid, signal.SIGCONT)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            for pid in [self.pid] + descendants(self.pid):
                send(pid, signal.SIGKILL)
            self.process.wait(10)

    def stop(self):
        self._end(self.STOP, 15)

    def kill(self):
        """As if its machine had lost power."""
        if self.alive():
            for pid in [self.pid] + descendants(self.pid):
                send(pid, signal.SIGKILL)
            self.process.wait(10)

    def restart(self):
        self.stop()
        return self.start()

    def freeze(self):
        """It keeps its connections but answers nothing."""
        for pid in [self.pid] + descendants(self.pid):
            send(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in descendants(self.pid) + [self.pid]:
            send(pid, signal.SIGCONT)

    def __enter__(self):
        return self if self.alive() else self.start()

    def __exit__(self, *_):
        self.stop()


class RunFolder:
    """The temporary folder of one run, and all servers and members that live in it. close() leaves nothing behind."""

    def __init__(self, keep=False, prefix="moodlectl-"):
        self.path = tempfile.mkdtemp(prefix=prefix)
        os.chmod(self.path, 0o711)
        self.servers, self.undo, self.keep, self._closed = [], [], keep, False
        atexit.register(self.close)

    def make(self, name, user=None, mode=0o700):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        if user and os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def close(self):
        if self._closed:
            return
        self._closed = True
        with shielded():
            for undo in [s.stop for s in reversed(self.servers)] + self.undo[::-1]:
                try:
                    undo()
                except Exception as e:  # noqa: BLE001 - the rest must be taken down all the same
                    print(f"clean-up: {e}", file=sys.stderr)
            if not self.keep:
                shutil.rmtree(self.path, ignore_errors=True)
                if os.path.exists(self.path):
                    print(f"clean-up: {self.path} could not be removed", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def shielded():
    """No signal interrupts the clean-up (a second Ctrl-C included)."""
    old = {}
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(ValueError):  # not the main thread
            old[sig] = signal.signal(sig, signal.SIG_IGN)
    try:
        yield
    finally:
        for sig, handler in old.items():
            signal.signal(sig, handler)


def exit_on_signals():
    """TERM and HUP end the program as Ctrl-C does: through every `finally`."""
    def leave(sig, _frame):
        sys.exit(128 + sig)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
