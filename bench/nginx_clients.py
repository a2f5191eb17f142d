"""Requests at a steady pace over connections that are kept."""
import socket, threading, time

THREADS, PER_SECOND = 4, 900
REQUEST = b'GET /bench/%d HTTP/1.1\r\nHost: localhost\r\nUser-Agent: ' + b'bench ' * 30 + b'\r\n\r\n'


class Load:
    def __init__(self, port):
        self.port, self.answered, self.lock = port, 0, threading.Lock()

    def connect(self):
        s = socket.create_connection(('127.0.0.1', self.port), timeout=1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self, s, number):
        s.sendall(REQUEST % number)
        answer = b''
        while b'\r\n\r\nx' not in answer:
            chunk = s.recv(4096)
            if not chunk:
                raise OSError('closed')
            answer += chunk
        return answer.startswith(b'HTTP/1.1 200')

    def await_answer(self, seconds):
        until = time.monotonic() + seconds
        while True:
            try:
                with self.connect() as s:
                    if self.ask(s, 0):
                        self.answered += 1
                        return
            except OSError:
                pass
            if time.monotonic() > until:
                raise TimeoutError('nginx does not answer')
            time.sleep(0.02)

    def worker(self, seconds):
        begin, sent, s = time.monotonic(), 0, None
        while (now := time.monotonic()) < begin + seconds:
            due = begin + sent * THREADS / PER_SECOND
            if due > now:
                time.sleep(due - now)
            sent += 1
            try:
                s = s or self.connect()
                good = self.ask(s, sent)
            except OSError:
                good, s = False, s and s.close()
            with self.lock:
                self.answered += good
        if s:
            s.close()

    def run(self, seconds):
        """The number of requests that were answered in that time."""
        before = self.answered
        threads = [threading.Thread(target=self.worker, args=(seconds,)) for _ in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return self.answered - before
