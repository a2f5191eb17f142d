#!/usr/bin/env python3
"""The main job, shown: three members of a Moodle cluster on an empty database. Started by ./dev demo, which builds first."""
import argparse
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import source  # noqa: E402
from lib.proc import Block, Failure, RunFolder, exit_on_signals, wait_for  # noqa: E402
from lib.servers import Redis, database  # noqa: E402
from lib.site import TOP, Browser, Code, Load, Programs, Site  # noqa: E402

STATE = os.path.join(TOP, "build", "demo.json")  # how ./dev exec finds the members
HELP = """  status      what each member does        load        30 seconds of requests, counted
  kill N      kill -9 of member N          stop N      drain member N (SIGTERM)
  start N     start member N again         upgrade     restart all members with newer code
  log N       the last log lines of N      quit        take everything down (or Ctrl-C)"""


class Demo:
    def __init__(self, args):
        self.args, self.began, self.numbers = args, time.monotonic(), range(1, args.members + 1)
        self.seen, self.up, self.offsets, self.told, self.release, self.step, self.killed = {}, [], {}, {}, "base", None, set()

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    # ---- set-up ----------------------------------------------------------------------------------------------------

    def choose_code(self):
        tree = self.args.moodle or os.environ.get("MOODLE_SRC")
        if tree and not os.path.exists(os.path.join(tree, "version.php")):
            raise Failure(f"{tree} holds no Moodle")
        if not tree and not self.args.standin:
            tree = source.fetch(os.path.join(TOP, "build", "moodle"), self.say)
        if not tree:
            self.say("using the small STAND-IN for Moodle of tests/standin: same command line contract, a few pages, no real courses.")
            self.say("for the real one: MOODLE_SRC=/path/to/moodle ./dev demo")
        else:
            self.say(f"using the Moodle in {tree}")
        self.code = Code(self.folder, tree, os.environ.get("MOODLE_OLD_SRC"))
        self.newer = "core" if not tree else "base" if self.code.old_source else "plugin"
        self.release = "older" if tree and self.code.old_source else "base"

    def set_up(self):
        programs = Programs(self.folder, self.args.build)
        self.choose_code()
        self.code.path(self.release)
        db = database(self.folder, self.args.db).start()
        self.say(f"{'PostgreSQL' if db.kind == 'pgsql' else 'MariaDB'} on {db.host}:{db.port}, empty")
        redis = Redis(self.folder, password=secrets.token_urlsafe(12)).start()
        self.say(f"Redis on {redis.host}:{redis.port}")
        block = Block("127.0.0", (1,) + tuple(10 + n for n in self.numbers))
        self.password = "Demo-" + secrets.token_urlsafe(9)
        self.site = Site(self.folder, programs, self.code, db, redis, block, "demo",
                         {"MOODLE_PASSWORD": self.password, "MOODLE_SITE_NAME": "moodlectl demonstration", "MOODLECTL_LAME_DUCK": "3s"})
        if not self.code.real:
            self.site.standin(slow_ms=250)  # an install that can be watched
        self.site.front(self.numbers)
        self.site.wait_up([])  # HAProxy believes in a server until it has looked
        self.say(f"HAProxy on {self.site.url}, before {len(self.numbers)} members")

    def start_all(self):
        self.say(f"starting {len(self.numbers)} members at the same instant, each process 1 of its own name space; the database is empty")
        self.members = self.site.start(self.numbers, release=self.release)
        self.write_state()

    def write_state(self):
        os.makedirs(os.path.dirname(STATE), exist_ok=True)
        fd = os.open(STATE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            json.dump({"path": self.site.programs.bin,
                       "members": {m.name: {"pid": m.init_pid, "env": m.env()} for m in self.members if m.alive()}}, f)

    # ---- telling what happens ----------------------------------------------------------------------------------------

    def watch(self):
        """Says what has changed since the last time, in plain words."""
        for m in self.members:
            self.watch_member(m)
        self.watch_log()
        up = sorted(n for n, s in self.site.haproxy.states().items() if s == "UP")
        if up != self.up:
            self.up = up
            self.say(f"HAProxy sends requests to: {', '.join(up) or 'nobody'}")

    def watch_member(self, m):
        words = {"LEAD": "looks at database and Redis", "WARM": "the database is right for its code: starts PHP", "SERVE": "serves Moodle",
                 "HOLD": "holds: it needs a person", "LAME": "is asked to stop: unready, still serving", "QUIESCE": "nginx finishes its requests",
                 "FINISH": "PHP finishes", "SWEEP": "hands over", "ENDED": "has ended"}
        phase = m.phase()
        if phase == self.seen.get(m.name) or phase not in words:
            return
        self.seen[m.name] = phase
        more = ""
        if phase == "HOLD":
            health = m.health()
            self.told[m.name] = health.get("id")
            more = f" ({health.get('id')}: {health.get('reason')})"
        if phase == "ENDED":
            more = f" with status {m.process.returncode}" if m not in self.killed else ": killed"
        self.say(f"{m.name} {words[phase]}{more}")

    def watch_log(self):
        for m in self.members:
            log = [o for o in m.log() if o.get("event") in ("state", "cron.holder")]
            for o in log[self.offsets.get((m.name, m.starts), 0):]:
                if o["event"] == "cron.holder":
                    self.say(f"{m.name} runs cron for the cluster")
                elif o["msg"].startswith("leading"):
                    self.say(f"{m.name} is elected: {o['msg'].partition(': ')[2]}")
                elif o.get("id") == "E-LOCK-BUSY":
                    self.say(f"{m.name} waits: {o['msg'].partition(': ')[2]}")
                elif o.get("id") and o["id"] != self.told.get(m.name):
                    self.say(f"{m.name}: {o['id']} {o['msg'].partition(': ')[2]}")
                self.told[m.name] = o.get("id")
            self.offsets[(m.name, m.starts)] = len(log)
        self.progress()

    def progress(self):
        leading = next((m for m in self.members if self.seen.get(m.name) == "LEAD" and m.alive()), None)
        if not leading:
            return
        try:
            p = leading.status().get("progress")
        except (Failure, ValueError, OSError, IndexError):
            return
        step = p and p.get("total") and (p["phase"], p["done"] * 8 // p["total"])
        if step and (not self.step or step[0] != self.step[0] or step[1] > self.step[1]):
            self.step = step
            self.say(f"  {p['phase']}: {p['done']} of {p['total']}, {p['detail']} (as the holding page shows it)")

    def until(self, what, ready, seconds):
        """Tells on while waiting for something."""
        def look():
            self.watch()
            return ready()
        return wait_for(what, look, seconds, pause=0.3)

    def wait_all(self, seconds=None):
        dead = lambda: [m for m in self.members if not m.alive()]  # noqa: E731
        self.until("all members serve", lambda: all(m.phase() == "SERVE" for m in self.members) or dead(), seconds or (900 if self.code.real else 120))
        if dead():
            raise Failure(f"{dead()[0].name} ended with {dead()[0].process.returncode}\n{dead()[0].tail()}")
        self.until("HAProxy sees them", lambda: len(self.up) == len(self.members), 20)

    def welcome(self):
        m = self.members[-1].name
        print(f"""
  The site is open:  {self.site.url}   (a loopback address of this machine)
  Log in as admin with the password  {self.password}

  Try:  kill 1                                 the cluster goes on; cron moves if it was there
        stop 2                                 a drain: no request is lost (try `load` beside it in another terminal's browser)
        ./dev exec {m} moodlectl status         in another terminal; any command of moodlectl help
        upgrade                                newer code, one member after the other

{HELP}
""", flush=True)

    # ---- words of the person -------------------------------------------------------------------------------------

    def pick(self, words):
        if len(words) == 2 and words[1].lstrip("m").isdigit() and int(words[1].lstrip("m")) in self.numbers:
            return self.members[int(words[1].lstrip("m")) - 1]
        print(f"which member? {words[0]} 1 .. {words[0]} {len(self.numbers)}")
        return None

    def do_status(self, _):
        for m in self.members:
            if not m.alive():
                print(f"  {m.name}: not running (status {m.process.returncode})")
                continue
            s = m.status()
            cron = ", runs cron" if s["cron"]["holder"] else ""
            print(f"  {m.name}: {s['phase']}, {'ready' if s['ready'] else 'not ready'}{cron}, release {s['release']}, http://{m.address}:{m.port} {s['reason']}")

    def do_kill(self, words):
        m = self.pick(words)
        if m and m.alive():
            self.say(f"kill -9 of {m.name}")
            self.killed.add(m)
            m.kill9()

    def do_stop(self, words):
        m = self.pick(words)
        if m and m.alive():
            self.say(f"SIGTERM to {m.name}")
            m.signal(signal.SIGTERM)

    def do_start(self, words):
        m = self.pick(words)
        if m and not m.alive():
            self.killed.discard(m)
            m.start(release=self.release)
            self.write_state()

    def do_upgrade(self, _):
        if self.release == self.newer:
            print("  there is no newer release")
            return
        old, self.release = self.release, self.newer
        if self.code.real:
            self.say("laying out the newer code")
        self.say(f"upgrade from {self.code.version(old)} to {self.code.version(self.newer)}"
                 f"{' (the same Moodle with one plugin more)' if self.newer == 'plugin' else ''}, all but the last member first")
        for m in self.members[:-1] or self.members:
            if m.alive():
                m.signal(signal.SIGTERM)
        for m in self.members[:-1] or self.members:
            self.until(f"{m.name} has ended", lambda m=m: not m.alive(), 60)
            m.start(release=self.newer)
        self.write_state()
        last = self.members[-1]
        self.until("the new members serve", lambda: all(m.phase() == "SERVE" for m in self.members[:-1] or self.members), 900 if self.code.real else 120)
        if last.alive() and len(self.members) > 1:
            self.until(f"{last.name}, still with old code, stops serving", lambda: last.phase() == "HOLD", 40)
            last.signal(signal.SIGTERM)
            self.until(f"{last.name} has ended", lambda: not last.alive(), 60)
        if not last.alive():
            last.start(release=self.newer)
        self.wait_all()
        self.write_state()
        self.say("upgraded; every member serves the new release")

    def do_load(self, _, seconds=30):
        self.say(f"{seconds} seconds of requests through HAProxy")
        with Load(self.site.block.address(1), self.site.front_port) as load:
            end = time.monotonic() + seconds
            self.until("load", lambda: time.monotonic() > end, seconds + 10)
        self.say(load.summary())

    def do_log(self, words):
        m = self.pick(words)
        if m:
            print(m.tail(25))

    def interactive(self):
        self.welcome()
        commands = {"status": self.do_status, "kill": self.do_kill, "stop": self.do_stop, "start": self.do_start, "upgrade": self.do_upgrade,
                    "load": self.do_load, "log": self.do_log, "help": lambda _: print(HELP), "?": lambda _: print(HELP)}
        while True:
            self.watch()
            if not select.select([sys.stdin], [], [], 0.5)[0]:
                continue
            line = sys.stdin.readline()
            words = line.split()
            if not line or words[:1] in (["quit"], ["exit"], ["q"]):
                return 0
            if not words:
                continue
            found = [n for n in commands if n.startswith(words[0].lower())]
            try:
                commands[found[0]](words) if found else print(f"unknown word; these are known:\n{HELP}")
            except (Failure, OSError, subprocess.SubprocessError) as e:
                print(f"  {e}")

    # ---- the tour --------------------------------------------------------------------------------------------------

    def tour(self):
        """Everything by itself; a list of (what, outcome)."""
        results = []
        for what, show in (("one install by one member", self.show_install), ("sessions and application cache in Redis", self.show_redis),
                           ("exactly one cron", self.show_cron), ("the cron member is killed: cron moves", self.show_kill),
                           ("a drain under load loses no request", self.show_drain), ("one upgrade by restarting members with newer code", self.show_upgrade)):
            print(f"\n--- {what}", flush=True)
            try:
                results.append((what, "ok: " + show()))
            except (Failure, OSError, subprocess.SubprocessError) as e:
                results.append((what, f"FAILED: {e}"))
            self.say(results[-1][1])
        failed = sum(1 for _, r in results if r.startswith("FAILED"))
        print("\nSummary\n" + "\n".join(f"  {what}: {r.splitlines()[0]}" for what, r in results))
        print(f"{len(results) - failed} passed, {failed} failed, 0 skipped", flush=True)
        return 1 if failed else 0

    def need(self, truth, message):
        if not truth:
            raise Failure(message)

    def show_install(self):
        runs = self.site.sql("SELECT action, holder, result FROM sup_run WHERE purpose = 'deploy'").split("\n")
        self.need(len(runs) == 1 and runs[0].startswith("install|") and runs[0].endswith("|ok"), f"the database remembers {runs}")
        admins = self.site.sql("SELECT count(*) FROM mdl_user WHERE username = 'admin'")
        self.need(admins == "1", f"{admins} administrators")
        pages = [m.get("/login/index.php").status for m in self.members]
        self.need(pages == [200] * len(pages), f"login pages: {pages}")
        return f"by {runs[0].split('|')[1].split('#')[0]}; one administrator; {len(pages)} login pages"

    def show_redis(self):
        browser = Browser(self.site.block.address(1), self.site.front_port)
        answer = browser.login("admin", self.password)
        self.need(answer.status in (302, 303) and "testsession" in answer.headers.get("Location", ""), f"the administrator cannot log in: {answer.status}")
        keys = self.site.redis.keys(f"{self.site.prefix}*")
        sessions = [k for k in keys if browser.session in k]
        self.need(sessions, "no session in Redis")
        cached = [k for k in keys if k not in sessions and "_m" in k]
        self.need(cached, "no application cache in Redis")
        return f"session {sessions[0][:40]}..., {len(cached)} keys of the cache"

    def show_cron(self):
        m = self.until("one member runs cron", lambda: (self.site.cron_members() + [None])[0], 60)
        self.need(len(self.site.cron_members()) == 1, "more than one member runs cron")
        return f"on {m.name}"

    def show_kill(self):
        holder = self.site.wait_cron()
        began = time.monotonic()
        self.do_kill(["kill", holder.name])
        self.until("cron has moved", lambda: [m for m in self.site.cron_members() if m is not holder], 90)
        took = time.monotonic() - began
        new = self.site.cron_members()[0].name
        self.do_start(["start", holder.name])
        self.wait_all()
        return f"from {holder.name} to {new} in {took:.1f} s"

    def show_drain(self):
        with Load(self.site.block.address(1), self.site.front_port) as load:
            time.sleep(2)
            self.do_stop(["stop", "1"])
            self.until("m1 has ended", lambda: not self.members[0].alive(), 60)
            time.sleep(1)
        self.need(self.members[0].process.returncode == 0, f"m1 ended with {self.members[0].process.returncode}")
        self.need(not load.failed and load.good > 20, f"load: {load.summary()}")
        self.do_start(["start", "1"])
        self.wait_all()
        return load.summary()

    def show_upgrade(self):
        self.do_upgrade([])
        runs = self.site.sql("SELECT action, holder, result FROM sup_run WHERE purpose = 'deploy' AND action = 'upgrade'").split("\n")
        self.need(len(runs) == 1 and runs[0].endswith("|ok"), f"the database remembers {runs}")
        return f"by {runs[0].split('|')[1].split('#')[0]}, to {self.site.config('version')}; the old member stopped serving by itself"

    # ---- the whole -------------------------------------------------------------------------------------------------

    def run(self):
        with RunFolder() as self.folder:
            self.folder.undo.append(lambda: os.path.exists(STATE) and os.unlink(STATE))
            try:
                self.set_up()
                self.start_all()
                self.wait_all()
                return self.tour() if self.args.tour or not sys.stdin.isatty() else self.interactive()
            finally:
                print("\ntaking everything down", flush=True)


def leftovers(path):
    """Processes and mounts that still have to do with the temporary folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().replace(b"\0", b" ").decode("utf-8", "replace")
            if path in words or os.readlink(f"/proc/{pid}/cwd").startswith(path):
                found.append(f"process {pid}: {words[:100]}")
        except OSError:
            continue
    with open("/proc/mounts") as f:
        found += [f"mount: {line.strip()}" for line in f if path in line]
    return found + ([f"folder: {path}"] if os.path.exists(path) else [])


def execute(words):
    """./dev exec MEMBER COMMAND"""
    try:
        with open(STATE) as f:
            state = json.load(f)
    except OSError:
        sys.exit("dev exec: no demonstration runs (./dev demo)")
    name = words[0] if words and words[0].startswith("m") else "m" + (words[0] if words else "")
    member = state["members"].get(name)
    if not member or len(words) < 2:
        sys.exit(f"usage: ./dev exec MEMBER COMMAND...; members: {', '.join(state['members'])}")
    env = {**member["env"], "TERM": os.environ.get("TERM", "dumb")}
    env["PATH"] = state["path"] + ":" + env["PATH"]
    os.environ["PATH"] = env["PATH"]
    os.execvpe("nsenter", ["nsenter", "-t", str(member["pid"]), "--mount", "--pid", "--uts", "--"] + words[1:], env)


def main():
    p = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    p.add_argument("--db", choices=("pgsql", "mariadb"), default="pgsql")
    p.add_argument("--members", type=int, default=3, choices=range(1, 10), metavar="1..9")
    p.add_argument("--moodle", metavar="DIR", help="a real Moodle's code (also MOODLE_SRC)")
    p.add_argument("--standin", action="store_true", help="do not try to download Moodle")
    p.add_argument("--tour", action="store_true", help="show everything by itself and end (so it is without a terminal)")
    p.add_argument("--build", default=os.path.join(TOP, "build", "release"), help=argparse.SUPPRESS)
    p.add_argument("--exec", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.exec is not None:
        return execute(args.exec)
    if os.geteuid() != 0:
        sys.exit("the demonstration needs root (name spaces, users); try sudo ./dev demo")
    exit_on_signals()
    demo, status = Demo(args), 1
    try:
        status = demo.run()
    except KeyboardInterrupt:
        status = 0 if sys.stdin.isatty() else 130
    except Failure as e:
        print(f"\nIt did not work: {e}", file=sys.stderr)
    finally:
        if hasattr(demo, "folder"):
            demo.folder.close()
            left = leftovers(demo.folder.path)
            print("left behind: " + ("nothing" if not left else "; ".join(left)), flush=True)
            status = status or (1 if left else 0)
    return status


if __name__ == "__main__":
    sys.exit(main())
