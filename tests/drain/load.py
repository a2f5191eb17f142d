"""What stands before a member in these tests: clients, and the rule by which a load balancer sends to it.

It is no real balancer on purpose: it never tries again, knows no other member, and stops sending at exactly the second that the test
is about, so that each lost request is seen. (HAProxy with its checks, retries and three members is cluster.drain_loses_no_request.)
It does what every balancer does: a kept connection that the member has closed is not used again."""
import collections
import select
import socket
import threading
import time

SCRIPT = """<?php
// Pages of tests/drain: a script that takes ?ms, and with ?file a download by X-Accel-Redirect.
define('NO_MOODLE_COOKIES', true);
require(__DIR__ . '/config.php');
if (isset($_GET['file'])) {
    header('Content-Type: application/octet-stream');
    header('X-Accel-Redirect: /-/dataroot/drain.bin');
    die;
}
if (isset($_GET['ms'])) {
    usleep(1000 * (int)$_GET['ms']);
    $DB->get_field_sql('SELECT 1');
}
echo strlen(file_get_contents('php://input')), " bytes came</html>\\n";
"""
PAGE = "/login/index.php"
DOWNLOAD = 48 << 20
UPLOAD = 1 << 20
KINDS = ("short", "5 s", "25 s", "upload", "download", "kept", "HTTP/1.0")
LONG = ("5 s", "25 s", "upload", "download")
REFUSED = "refused"


class Balancer:
    """Sends until `until` (time.monotonic(); None: without end)."""

    def __init__(self):
        self.until, self.over, self.last = None, threading.Event(), threading.Event()  # last: half a second before it stops to send

    def sends(self):
        return not self.over.is_set() and (self.until is None or time.monotonic() < self.until)


class Lost(Exception):
    """One request that got no whole, good answer; the message says how."""


class Connection:
    def __init__(self, member, seconds=90):
        self.member, self.keeps = member, True
        try:
            self.socket = socket.create_connection((member.address, member.port), timeout=seconds)
        except ConnectionRefusedError:
            raise Lost(REFUSED) from None
        except OSError as e:
            raise Lost(f"connect: {type(e).__name__}") from None

    def is_stale(self):
        """The other side has closed it, or said something unasked."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def close(self):
        self.socket.close()

    def ask(self, path, version="1.1", headers=(), body=b"", over_s=0, read_s=0):
        """One request. over_s: the body takes that long; read_s: so does reading the answer."""
        method = "POST" if body else "GET"
        lines = [f"{method} {path} HTTP/{version}", f"Host: {self.member.site.url.split('//')[1]}", *headers]
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/octet-stream"]
        try:
            self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
            self._send(body, over_s)
            return self._answer(read_s)
        except TimeoutError:
            raise Lost("no answer in time") from None
        except OSError as e:
            raise Lost(f"closed ({type(e).__name__})") from None

    def _send(self, body, over_s):
        step = max(1, len(body) // 20)
        for at in range(0, len(body), step):
            self.socket.sendall(body[at:at + step])
            time.sleep(over_s / 20)

    def _answer(self, read_s):
        data = b""
        while b"\r\n\r\n" not in data:
            block = self.socket.recv(65536)
            if not block:
                raise Lost("closed without an answer" if not data else "cut head")
            data += block
        head, _, body = data.partition(b"\r\n\r\n")
        status, headers = int(head.split(b" ", 2)[1]), {}
        for line in head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        got, whole = self._body(body, headers, read_s)
        self.keeps = whole is not None and headers.get("connection") != "close"
        if status >= 400:
            raise Lost(f"status {status}")
        if whole is False:
            raise Lost(f"cut body, {got} bytes")
        return status, headers

    def _body(self, body, headers, read_s):
        """(bytes, whole?); None: ends with the connection, so nobody knows."""
        length = int(headers["content-length"]) if "content-length" in headers else None
        chunked = headers.get("transfer-encoding") == "chunked"
        got, last, began = len(body), body[-5:], time.monotonic()
        while length is None or got < length:
            if chunked and last.endswith(b"0\r\n\r\n"):
                return got, True
            if read_s and length:  # as fast as a client that needs read_s for all of it
                time.sleep(max(0, read_s * got / length - (time.monotonic() - began)))
            block = self.socket.recv(1 << 18)
            if not block:
                return got, None if length is None and not chunked else False
            got, last = got + len(block), (last + block)[-5:]
        return got, True


class Load:
    """All kinds of requests at once to one member, each counted by kind: good, and lost by how."""

    def __init__(self, member, balancer, kinds=KINDS, pause=0.2, idle_connections=3):
        self.member, self.balancer, self.pause = member, balancer, pause
        self.lock, self.good, self.lost, self.pool = threading.Lock(), collections.Counter(), collections.defaultdict(collections.Counter), []
        self.begun, self.slowest = collections.Counter(), collections.Counter()
        workers = {"short": (2, self.short), "1 s": (2, self.script(1000)), "5 s": (2, self.script(5000)), "25 s": (2, self.script(25000)), "upload": (2, self.upload),
                   "download": (2, self.download), "kept": (4, self.kept), "HTTP/1.0": (2, self.old)}
        self.idle_connections = idle_connections if "kept" in kinds else 0
        self.threads = [threading.Thread(target=self.work, args=(kind, i, workers[kind][1]), daemon=True)
                        for kind in kinds for i in range(workers[kind][0])]

    # ---- one request of each kind --------------------------------------------------------------------------------

    def once(self, path, **more):
        c = Connection(self.member)
        try:
            c.ask(path, headers=["Connection: close"], **more)
        finally:
            c.close()

    def short(self, _):
        self.once(PAGE)

    def script(self, ms):
        return lambda _: self.once(f"/drain.php?ms={ms}")

    def upload(self, _):
        self.once("/drain.php", body=b"u" * UPLOAD, over_s=5)

    def download(self, _):
        self.once("/drain.php?file=1", read_s=5)

    def old(self, number):
        c = Connection(self.member)
        try:
            c.ask(PAGE, version="1.0", headers=["Connection: keep-alive"] if number else [])
        finally:
            c.close()

    def kept(self, number):
        """From a pool that all four share; some of it is never used before the very end, as in a balancer's pool."""
        c = None
        with self.lock:
            while len(self.pool) > self.idle_connections and not c:
                c = self.pool.pop(0)
                if c.is_stale():
                    c.close()
                    c = None
        c = c or Connection(self.member)
        try:
            c.ask(PAGE if number else "/drain.css")
        except Lost:
            c.close()
            raise
        if c.keeps:
            with self.lock:
                self.pool.append(c)
        else:
            c.close()

    # ---- the load ------------------------------------------------------------------------------------------------

    def work(self, kind, number, request):
        if number % 2 and kind in LONG + ("1 s",):  # these begin at the last moment
            self.balancer.last.wait()
        while not self.balancer.over.is_set():
            if not self.balancer.sends():
                return
            began = time.monotonic()
            with self.lock:
                self.begun[kind] += 1
            try:
                request(number)
                with self.lock:
                    self.good[kind] += 1
                    self.slowest[kind] = max(self.slowest[kind], time.monotonic() - began)
            except Lost as e:
                with self.lock:
                    self.lost[kind][str(e)] += 1
            self.balancer.over.wait(self.pause)

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def under_way(self, kind):
        with self.lock:
            return self.begun[kind] - self.good[kind] - sum(self.lost[kind].values())

    def join(self, seconds):
        end = time.monotonic() + seconds
        for t in self.threads:
            t.join(max(0.1, end - time.monotonic()))
        for c in self.pool:
            c.close()
        return not any(t.is_alive() for t in self.threads)
