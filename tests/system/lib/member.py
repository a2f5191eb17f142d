"""One member: `moodlectl run` as a true process 1 in its own PID, mount and host name space, as in a container."""
import contextlib
import http.client
import json
import os
import signal
import subprocess
import time

from .proc import CLEAN_ENV, Died, Failure, descendants, run, send, wait_for

# Runs inside the new name spaces. Sources are bound aside first, because the places where a container has its directories
# are covered by empty file systems: nothing of the machine's own is touched, and no mount point is left behind.
INIT = r"""set -eu
stage=$1 code=$2 data=$3 cache=$4 owner=$5 name=$6
shift 6
hostname "$name"
mount -t tmpfs -o mode=0755 none "$stage"
mkdir "$stage/code" "$stage/data" "$stage/cache"
mount --bind "$code" "$stage/code"
mount -o remount,bind,ro "$stage/code"
[ "$data" = none ] || mount --bind "$data" "$stage/data"
mount --bind "$cache" "$stage/cache"
for place in /srv /run /var/www /var/cache; do mount -t tmpfs -o mode=0755 none "$place"; done
mkdir /srv/moodle /run/moodlectl /var/cache/moodlectl
mount --rbind "$stage/code" /srv/moodle
[ "$data" = none ] || { mkdir /var/www/moodledata; mount --bind "$stage/data" /var/www/moodledata; }
mount --bind "$stage/cache" /var/cache/moodlectl
mount -t tmpfs -o "mode=0755,size=64m,uid=$owner" none /run/moodlectl
[ ! -e "$stage.sh" ] || . "$stage.sh"
"""
AS_PID_1 = 'exec "$@"\n'
AS_CHILD = '"$@" & echo $! >"$stage.pid"; trap "kill -TERM $!" TERM; wait $! && s=0 || s=$?; [ $s -ne 143 ] || { wait $! && s=0 || s=$?; }; exit $s\n'


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


def http_get(address, port, path, method="GET", headers=None, body=None, seconds=20):
    c = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        c.request(method, path, body=body, headers=headers or {})
        r = c.getresponse()
        return Response(r.status, r.headers, r.read())
    finally:
        c.close()


class Member:
    """site: a lib.site.Site. `env` is over the site's settings; None takes a setting away. before: shell lines run
    after the mounts and before moodlectl. user: run as this user and not as root. pid1=False: as the child of a shell."""

    def __init__(self, site, number, release="base", env=None, before="", user=None, pid1=True, data="shared", command=("run",)):
        self.site, self.number, self.name = site, number, f"m{number}"
        self.address, self.port = site.block.address(10 + number), site.block.port
        self.release, self.user, self.pid1, self.data, self.before = release, user, pid1, data, before
        self.command, self.extra = list(command), dict(env or {})
        self.home = site.folder.make(f"{site.name}-{self.name}-{len(site.folder.servers)}", mode=0o755)
        self.starts, self.process, self._pid = 0, None, 0
        site.folder.servers.append(self)

    # ---- start and end -------------------------------------------------------------------------------------------

    def env(self):
        e = dict(CLEAN_ENV)
        e.update(self.site.env())
        e["MOODLECTL_HTTP_LISTEN"] = f"{self.address}:{self.port}"
        e.update(self.extra)
        return {k: str(v) for k, v in e.items() if v is not None}

    def start(self, release=None):
        """Starts it without waiting for anything."""
        if self.alive():
            raise Failure(f"{self.name} runs already")
        self.release = release or self.release
        self.starts += 1
        self._pid = 0
        stage = os.path.join(self.home, f"stage{self.starts}")
        cache = self.site.folder.make(f"{self.site.name}-{self.name}-cache{self.starts}", self.site.web_user)
        os.mkdir(stage)
        if self.before:
            with open(stage + ".sh", "w") as f:
                f.write(self.before + "\n")
        self.out_path, self.err_path = stage + ".out", stage + ".err"
        data = {"shared": self.site.data, "none": "none"}.get(self.data, self.data)
        owner = self.site.uid(self.user) if self.user else 0
        words = ["setpriv", "--pdeathsig=KILL", "--"] + self.site.network_words(self.number) + ["unshare", "--pid", "--fork", "--mount", "--uts", "--mount-proc", "--kill-child", "--",
                 "/bin/sh", "-c", INIT + (AS_PID_1 if self.pid1 else AS_CHILD), "init", stage, self.site.code(self.release), data, cache,
                 str(owner), self.name]
        if self.user:
            words += ["setpriv", f"--reuid={owner}", f"--regid={self.site.gid(self.user)}", "--init-groups", "--"]
        words += [self.site.program("moodlectl")] + self.command
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self.env(), start_new_session=True)
        self.started_at = time.monotonic()
        return self

    @property
    def init_pid(self):
        """Process 1 of the member, by the number that it has outside."""
        if not self._pid:
            self._pid = wait_for(f"{self.name} has a process 1", self._first_child, 5, pause=0.005)
        return self._pid

    def _first_child(self):
        if not self.alive():
            raise Died(f"{self.name} ended with {self.process.returncode}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return int(f.read().split()[0])

    @property
    def pid(self):
        """moodlectl itself: process 1, or with pid1=False the shell's child."""
        if self.pid1:
            return self.init_pid
        with open(f"/proc/{self.init_pid}/task/{self.init_pid}/children") as f:
            return int(f.read().split()[0])

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, sig):
        send(self.pid, sig)

    def kill9(self):
        """As when a host is lost: the kernel ends everything in the name space."""
        send(self.init_pid, signal.SIGKILL)
        self.process.wait(15)

    def freeze(self):
        for pid in [self.init_pid] + descendants(self.init_pid):
            send(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in descendants(self.init_pid) + [self.init_pid]:
            send(pid, signal.SIGCONT)

    def wait_exit(self, seconds=30):
        """The exit status; negative when a signal ended it."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s; phase {self.phase()}\n{self.tail()}") from None
        found = [line for line in (self.raw_log() + self.errors()).split("\n") if "Sanitizer" in line or "runtime error:" in line]
        if found:
            raise Failure(f"{self.name}: {found[0]}")
        return status

    def stop(self, seconds=30):
        """Ends it politely if it can be; for the end of a test."""
        if not self.alive():
            return
        with contextlib.suppress(OSError, Failure):
            self.thaw()
            send(self.init_pid, signal.SIGKILL)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    def drain(self, seconds=40):
        self.signal(signal.SIGTERM)
        return self.wait_exit(seconds)

    # ---- looking in ----------------------------------------------------------------------------------------------

    def inside(self, path):
        """That file of the member, seen from outside."""
        return f"/proc/{self.init_pid}/root{path}"

    def health(self, what="ready"):
        try:
            with open(self.inside(f"/run/moodlectl/www/{what}.json")) as f:
                return json.load(f)
        except (OSError, ValueError, Failure):
            return {}

    def phase(self):
        return self.health().get("phase", "") if self.alive() else "ENDED"

    def wait_phase(self, wanted, seconds=60):
        """Until the phase is one of these words."""
        wanted = (wanted,) if isinstance(wanted, str) else wanted

        def look():
            if not self.alive() and "ENDED" not in wanted:
                raise Died(f"{self.name} ended with {self.process.returncode} instead of {wanted}\n{self.tail()}")
            now = self.phase()
            return now if now in wanted else None
        try:
            return wait_for(f"{self.name} in {'/'.join(wanted)}", look, seconds)
        except Died:
            raise
        except Failure as e:
            raise Failure(f"{e}; phase {self.phase()} {self.health()}\n{self.tail()}") from None

    def exec(self, words, check=True, seconds=60, user=None, env=None, stdin=None):
        """Runs a command inside, as `docker exec` does; a CompletedProcess."""
        if words[0] in ("moodlectl", "moodlectl-role"):
            words = [self.site.program(words[0])] + list(words[1:])
        drop = ["setpriv", f"--reuid={self.site.uid(user)}", f"--regid={self.site.gid(user)}", "--init-groups", "--"] if user else []
        e = self.env()
        e.update(env or {})
        p = subprocess.run(["nsenter", "-t", str(self.init_pid), "--mount", "--root", "--pid", "--uts", "--net", "--"] + drop + list(words), env=e, text=True,
                           errors="replace", timeout=seconds, capture_output=True, **({"input": stdin} if stdin else {"stdin": subprocess.DEVNULL}))
        if check and p.returncode != 0:
            raise Failure(f"{self.name}: {' '.join(words)}: status {p.returncode}\n{p.stdout[-2000:]}{p.stderr[-2000:]}")
        return p

    def status(self):
        return json.loads(self.exec(["moodlectl", "status", "--json"]).stdout)

    def get(self, path, headers=None, **more):
        """As through the load balancer: with the site's own name, since Moodle redirects a request for any other."""
        return http_get(self.address, self.port, path, headers={"Host": self.site.url.split("//")[1], **(headers or {})}, **more)

    # ---- the log -------------------------------------------------------------------------------------------------

    def raw_log(self):
        with open(self.out_path, errors="replace") as f:
            return f.read()

    def errors(self):
        with open(self.err_path, errors="replace") as f:
            return f.read()

    def log(self, src=None, event=None, id=None):  # noqa: A002
        """The log lines as objects, only those with these values."""
        found = []
        for line in self.raw_log().split("\n")[:-1] if self.process else []:
            try:
                o = json.loads(line)
            except ValueError:
                o = None
            if not isinstance(o, dict):
                o = {"src": "?", "level": "error", "msg": line, "not_json": True}
            if (src is None or o.get("src") == src) and (event is None or o.get("event") == event) and (id is None or o.get("id") == id):
                found.append(o)
        return found

    def wait_log(self, what, match, seconds=30):
        """The first log line for which match(line) is true."""
        def look():
            found = next((o for o in self.log() if match(o)), None)
            if not found and not self.alive():
                raise Died(f"{self.name} ended with {self.process.returncode} before it said: {what}\n{self.tail()}")
            return found
        try:
            return wait_for(f"{self.name} says: {what}", look, seconds)
        except Died:
            raise
        except Failure as e:
            raise Failure(f"{e}\n{self.tail()}") from None

    def tail(self, lines=12):
        rows = [f"  {self.name} {o.get('src')}: {o.get('id', '')} {o.get('msg', '')}"[:300] for o in self.log() if o.get("src") not in ("nginx.access", None)]
        return "\n".join(rows[-lines:] + [f"  {self.name} stderr: {line}" for line in self.errors().split("\n")[-6:] if line])

    def processes(self):
        """{pid: words} of all processes inside, process 1 included."""
        found = {}
        for pid in [self.init_pid] + descendants(self.init_pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
                found[pid] = f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return found


def command_output(site, words, env=None, seconds=30):
    """`moodlectl WORDS` by itself, outside of any member."""
    e = {**site.env(), **(env or {})}
    return run([site.program("moodlectl")] + list(words), env={k: str(v) for k, v in e.items() if v is not None}, check=False, seconds=seconds)
