"""Looks for secrets where none may be: raw and in the ways in which programs write them. The encoders are Python's, not ours."""
import base64
import contextlib
import json
import os
import stat
import threading
import urllib.parse

from .proc import descendants


def forms(value):
    """{bytes: name of the way of writing} for one secret."""
    raw = value.encode()
    found = {raw: "raw", raw.hex().encode(): "hex"}
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        found.setdefault(text[1:-1].encode(), "JSON")
        found.setdefault(text[1:-1].replace("/", "\\/").encode(), "JSON")
    for text in (urllib.parse.quote(value, safe=""), urllib.parse.quote(value), urllib.parse.quote_plus(value)):
        found.setdefault(text.encode(), "URL")
    for before in range(3):  # alone, or behind other bytes: without the digits that depend on the neighbours
        digits = base64.b64encode(b"\0" * before + raw)
        digits = digits[(0, 2, 3)[before]:len(digits) - (4 if (before + len(raw)) % 3 else 0)]
        found.setdefault(digits, "base64")
        found.setdefault(digits.replace(b"+", b"-").replace(b"/", b"_"), "base64")
    return found


class Needles:
    """The secrets by name; found() says which of them are in some bytes."""

    def __init__(self, values):
        self.lock, self.forms = threading.Lock(), {}
        for name, value in values.items():
            self.add(name, value)

    def add(self, name, value):
        with self.lock:
            self.forms.update({form: (name, way) for form, way in forms(value).items()})

    def found(self, data):
        data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        with self.lock:
            return {names for form, names in self.forms.items() if form in data}


def process_leaks(pid, needles):
    """{(program, place, secret, way)} of one process: its arguments and its environment."""
    found = set()
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read()
        program = os.path.basename(words.split(b"\0")[0].split(b" ")[0].decode("utf-8", "replace").rstrip(":"))
        found |= {(program, "cmdline", *n) for n in needles.found(words)}
        with open(f"/proc/{pid}/environ", "rb") as f:
            found |= {(program, "environ", *n) for n in needles.found(f.read())}
    return found


class Watch(threading.Thread):
    """Looks at every process below `root` (and at root) again and again until it is stopped."""

    def __init__(self, root, needles, pause=0.01):
        super().__init__(daemon=True)
        self.root, self.needles, self.pause = root, needles, pause
        self.leaks, self.programs, self.rounds, self._stop_now = set(), set(), 0, threading.Event()

    def run(self):
        while not self._stop_now.is_set():
            for pid in [self.root] + descendants(self.root):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as f:
                    self.programs.add(f.read().strip())
                self.leaks |= process_leaks(pid, self.needles)
            self.rounds += 1
            self._stop_now.wait(self.pause)

    def stop(self):
        self._stop_now.set()
        self.join(10)
        return self.leaks

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def tree_files(top, most=1 << 22):
    """(path below top, stat, bytes) of every regular file."""
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                st = os.lstat(path)
                if stat.S_ISREG(st.st_mode):
                    with open(path, "rb") as f:
                        yield os.path.relpath(path, top), st, f.read(most)


def mode_of(st):
    return f"{st.st_mode & 0o7777:04o} {st.st_uid}:{st.st_gid}"
