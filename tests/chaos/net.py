"""One cluster's own network: a hub namespace with a bridge, where database and Redis live, and a namespace for each member,
joined to it by a veth pair. A namespace lives as long as the process that holds it, and that process dies with us, so that
nothing is left however we end. Packets are lost on arrival, so nobody is told: no RST, no ICMP, no EPERM."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
from lib.proc import CLEAN_ENV, Failure, free_port, run, wait_for  # noqa: E402,F401

LIFE_SECONDS = 7200  # of a namespace, whatever happens
SERVER_PORT = 5000


class Space:
    """A network namespace."""

    def __init__(self):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", "unshare", "--net", "--", "sleep", str(LIFE_SECONDS)],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, env=CLEAN_ENV)
        self.path = f"/proc/{self.process.pid}/ns/net"
        self.words = ["nsenter", f"--net={self.path}", "--"]
        wait_for("a network namespace", self._made, 10, pause=0.005)
        self("ip", "link", "set", "lo", "up")

    def _made(self):
        if self.process.poll() is not None:
            raise Failure(f"unshare: {self.process.stderr.read().decode()}")
        return os.readlink(self.path) != os.readlink("/proc/self/ns/net")

    def __call__(self, *words, check=True):
        return run(self.words + list(words), check=check)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class Place:
    """An address in the hub, for one server (lib.proc.Loopback is the other kind of place)."""

    def __init__(self, hub, address):
        self.address, self.words = address, hub.words
        hub("ip", "addr", "add", f"{address}/24", "dev", "br0")

    def port(self):
        return SERVER_PORT


class Network:
    """address() and port are what lib.site.Site asks of a block of addresses."""
    NET = "10.77.0"
    port = 8080

    def __init__(self, numbers):
        self.hub = Space()
        self.spaces, self.holders, self.rules, self.places = {}, {}, [], 0
        self.hub("ip", "link", "add", "br0", "type", "bridge")
        self.hub("ip", "link", "set", "br0", "up")
        for n in numbers:
            self._join(n)

    def address(self, last):
        return f"{self.NET}.{last}"

    def place(self):
        """A new home for a server: 10.77.0.100 and up."""
        self.places += 1
        return Place(self.hub, self.address(99 + self.places))

    def _join(self, n):
        space = self.spaces[n] = Space()
        self.hub("ip", "link", "add", f"v{n}", "type", "veth", "peer", "name", "eth0", "netns", str(space.process.pid))
        self.hub("ip", "link", "set", f"v{n}", "master", "br0", "up")
        space("ip", "addr", "add", f"{self.address(10 + n)}/24", "dev", "eth0")
        space("ip", "link", "set", "eth0", "up")

    # ---- what a network can do to a member ----------------------------------------------------------------------

    def _rule(self, space, *words):
        space("iptables", "-w", "-I", *words)
        self.rules.append((space, words))

    def cut(self, n, requests=True, answers=True):
        """requests: what the member sends is lost; answers: what is sent to it."""
        if requests:
            self._rule(self.hub, "INPUT", "-s", self.address(10 + n), "-j", "DROP")
        if answers:
            self._rule(self.spaces[n], "INPUT", "-i", "eth0", "-j", "DROP")

    def slow(self, n, delay_ms, loss_percent, seed=0):
        """Every packet of the member, in both directions, arrives so much later or not at all."""
        space = self.spaces[n]
        self.holders[n] = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--"] + space.words + [sys.executable, os.path.join(HERE, "delay.py"),
                                           str(delay_ms), str(loss_percent), str(seed)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=CLEAN_ENV)
        if self.holders[n].stdout.readline() != b"ready\n":
            raise Failure("delay.py did not start")
        self._rule(space, "INPUT", "-i", "eth0", "-j", "NFQUEUE", "--queue-num", "1")
        self._rule(space, "OUTPUT", "-o", "eth0", "-j", "NFQUEUE", "--queue-num", "1")

    def heal(self):
        while self.rules:
            space, words = self.rules.pop()
            space("iptables", "-w", "-D", *words)
        for n in list(self.holders):
            holder = self.holders.pop(n)
            holder.kill()
            holder.wait()
            holder.stdout.close()

    def stop(self):
        for n in list(self.holders):
            self.holders.pop(n).kill()
        for space in [*self.spaces.values(), self.hub]:
            space.stop()


def permitted():
    """None, or why network namespaces with packet filters cannot be had here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        net = Network([1])
    except (Failure, OSError) as e:
        return f"no network namespaces here: {str(e).strip().splitlines()[-1]}"
    try:
        net.cut(1)
        net.heal()
        net.slow(1, 1, 0)
        net.heal()
    except (Failure, OSError) as e:
        return f"no packet filters here: {str(e).strip().splitlines()[-1]}"
    finally:
        net.stop()
    return None
