"""A cluster to break: real members (process 1, nginx, PHP-FPM, roles; the stand-in Moodle), each in a network namespace of its own,
and real servers. Its jobs tick (record.py)."""
import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import time

from net import Network  # noqa: I001 - net.py makes tests/system importable
from lib.proc import CLEAN_ENV, Failure, RunFolder, as_user, run, send, wait_for
from lib.case import Skip
from lib.servers import ADMIN_PASSWORD, MariaDB, Postgres, Redis
from lib.site import Code, Programs, Site
from record import tick_of

PREFIX = f"moodlectl-chaos-{os.getpid()}-"
CONNECTIONS = 40  # of the server: few enough to be used up by a test
TICKS = {"pgsql": "CREATE TABLE standin_ticks (id bigserial PRIMARY KEY, purpose varchar(16), epoch bigint, member varchar(64), pid bigint, at_ms bigint)",
         "mariadb": "CREATE TABLE standin_ticks (id bigint AUTO_INCREMENT PRIMARY KEY, purpose varchar(16), epoch bigint, member varchar(64), pid bigint,"
                    " at_ms bigint) ENGINE=InnoDB"}


def sweep():
    """What a harness left that was killed with SIGKILL: its processes die with it, its folder does not. The names removed."""
    gone = []
    for path in glob.glob("/tmp/moodlectl-chaos-*-*"):
        if not os.path.exists(f"/proc/{path.split('-')[2]}"):
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path)
    return gone


def now_ms():
    return time.monotonic_ns() // 1000000


class Primary(Postgres):
    """Commits reach the operating system at once: a killed server must not forget an epoch."""

    def __init__(self, folder, name="postgres", **more):
        super().__init__(folder, name, options=["synchronous_commit=on", "superuser_reserved_connections=5", "hot_standby=on",
                                                "wal_sender_timeout=5s", f"max_connections={CONNECTIONS}"], **more)
        with open(os.path.join(self.data, "pg_hba.conf"), "a") as f:
            f.write(f"host all all {self.place.address}/24 scram-sha-256\nhost replication all {self.place.address}/24 scram-sha-256\n")


class Standby(Postgres):
    """A streaming standby of `primary`, not started."""

    def __init__(self, folder, name, primary, place):  # no initdb: it is a copy
        super(Postgres, self).__init__(folder, name, place)
        self.bin, self.host, self.port = primary.bin, place.address, place.port()
        self.db_user, self.password, self.options = primary.db_user, primary.password, primary.options
        self.data = os.path.join(self.home, "data")
        run(place.words + as_user(self.user) + [f"{self.bin}/pg_basebackup", "-h", primary.host, "-p", str(primary.port), "-U", "postgres", "-D", self.data,
                                                        "-R", "-X", "stream", "-c", "fast"], env={"PGPASSWORD": ADMIN_PASSWORD}, seconds=60, cwd=self.home)

    def promote(self):
        self.sql("SELECT pg_promote(true, 30)", db="postgres")


class Maria(MariaDB):
    def __init__(self, folder, name="mariadb", **more):
        super().__init__(folder, name, options=["innodb-flush-log-at-trx-commit=2", f"max-connections={CONNECTIONS}"], **more)


class Cluster:
    def __init__(self, build, kind, members=3, scale=50, keep=False, tick_ms=25, clock=False, **settings):
        self.kind, self.numbers, self.scale, self.tick_ms = kind, range(1, members + 1), scale, tick_ms
        self.folder = RunFolder(keep, prefix=PREFIX)
        self.net = Network(self.numbers)
        self.folder.undo.append(self.net.stop)
        self.hosts = os.path.join(self.folder.path, "hosts")
        self.code, self.programs = Code(self.folder), Programs(self.folder, build)
        self.db = (Primary if kind == "pgsql" else Maria)(self.folder, place=self.net.place())
        if clock:
            self.fake_clock()
        self.db.start()
        self.redis = Redis(self.folder, password="redis of the cluster", place=self.net.place()).start()
        self.settings = {"MOODLECTL_LEASE_SCALE": scale, "MOODLECTL_FPM_CHILDREN": 1, "MOODLECTL_LAME_DUCK": "0s", "MOODLECTL_CRON_KEEPALIVE": "20s",
                         "MOODLE_DATABASE_HOST": "writer.test", **settings}
        self.point_at(self.db)
        self.generation, self.thaws, self.standby, self.undo = 0, [], None, []
        self.fresh_site()

    def point_at(self, db):
        """The name writer.test leads to that server from now on, as a database service's endpoint does after a failover."""
        line = f"{db.host:15} writer.test\n127.0.0.1 localhost\n"
        with open(self.hosts, "r+" if os.path.exists(self.hosts) else "w") as f:  # in place: members have it mounted
            f.write(line)
        os.chmod(self.hosts, 0o644)
        self.settings["MOODLE_DATABASE_PORT_NUMBER"] = db.port

    # ---- the site -----------------------------------------------------------------------------------------------------

    def fresh_site(self):
        """An empty database, an empty moodledata, members that are not started."""
        self.generation += 1
        cluster = self

        class NetSite(Site):
            def network_words(self, number):
                return cluster.net.spaces[number].words
        if self.generation > 1:
            self.site.db.drop(self.site.db_name)
        self.site = NetSite(self.folder, self.programs, self.code, self.db, self.redis, self.net, f"chaos{self.generation}", self.settings)
        self.db.sql(TICKS[self.kind], db=self.site.db_name, admin=False)
        self.standin()
        # odd ones are process 1 of their container, even ones run below an init
        self.members = [self.site.member(n, before=f"mount --bind {self.hosts} /etc/hosts", pid1=bool(n % 2)) for n in self.numbers]

    def standin(self, **keys):
        self.site.standin(tick_ms=self.tick_ms, **keys)

    def version(self, release):
        """As Moodle stores it: 2024100706.00 is 2024100706."""
        return self.code.version(release).removesuffix(".00")

    def start(self, release="base"):
        for m in self.members:
            if not m.alive():
                m.start(release=release)

    def serving(self, seconds=90):
        for m in self.members:
            m.wait_phase("SERVE", seconds)
        return self

    def member(self, name):
        return next(m for m in self.members if m.name == name)

    # ---- what the jobs left behind ------------------------------------------------------------------------------------

    def marks(self):
        """Where both traces end now: (position in the file, row in the table)."""
        try:
            size = os.path.getsize(os.path.join(self.site.data, "ticks"))
        except FileNotFoundError:
            size = 0
        return size, int(self.site.sql("SELECT COALESCE(max(id), 0) FROM standin_ticks"))

    def file_ticks(self, mark=0):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.site.data, "ticks"), errors="replace") as f:
            f.seek(mark)
            return [t for t in (tick_of(line, " ") for line in f) if t]
        return []

    def last_ticks(self, size=4000):
        """The newest ones, cheaply."""
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.site.data, "ticks"), "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - size))
            return [t for t in (tick_of(line, " ") for line in f.read().decode(errors="replace").split("\n")[1:-1]) if t]
        return []

    def database_ticks(self, mark=0):
        rows = self.site.sql(f"SELECT purpose, epoch, member, pid, at_ms FROM standin_ticks WHERE id > {mark} ORDER BY id").split("\n")
        return [t for t in (tick_of(r, "|") for r in rows) if t]

    def runs(self):
        """(epoch, action, target, result) of every install and upgrade."""
        rows = self.site.sql("SELECT epoch, action, target, result FROM sup_run WHERE purpose = 'deploy' ORDER BY epoch")
        return [(int(r[0]), *r[1:]) for r in (line.split("|") for line in rows.split("\n") if line)]

    def gap_ms(self, purpose, old, new):
        """Between the end of one epoch's work and the start of another's, by the server's clock; None when one of them has no such time."""
        ms = "(extract(epoch FROM b.started_at - a.finished_at) * 1000)::bigint" if self.kind == "pgsql" else \
            "TIMESTAMPDIFF(MICROSECOND, a.finished_at, b.started_at) DIV 1000"
        found = self.site.sql(f"SELECT {ms} FROM sup_run a, sup_run b WHERE a.purpose = '{purpose}' AND b.purpose = a.purpose AND a.epoch = {old}"
                              f" AND b.epoch = {new}")
        return int(found) if found.lstrip("-").isdigit() else None

    def started_ms(self, purpose, epoch):
        """When that epoch's work began, by the server's clock (which is this machine's); None when it is not known."""
        ms = "(extract(epoch FROM started_at) * 1000)::bigint" if self.kind == "pgsql" else "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', started_at) DIV 1000"
        found = self.site.sql(f"SELECT {ms} FROM sup_run WHERE purpose = '{purpose}' AND epoch = {epoch}")
        return int(found) if found.isdigit() else None

    def row(self, purpose):
        """(epoch, holder's member, phase) of the coordination row."""
        words = self.site.sql(f"SELECT epoch, holder, phase FROM sup_coord WHERE purpose = '{purpose}'").split("|")
        return int(words[0]), words[1].split("#")[0], words[2]

    def effective(self, purpose, since_ms=600):
        """The newest tick of the purpose when it is fresh: who is at work now."""
        found = [t for t in self.last_ticks() if t.purpose == purpose and t.at > now_ms() - since_ms]
        return found[-1] if found else None

    def wait_effective(self, purpose, seconds=60, but_epoch=None, after_ms=0):
        def look():
            t = self.effective(purpose)
            return t if t and t.epoch != but_epoch and t.at > after_ms else None
        try:
            return wait_for(f"somebody does {purpose}", look, seconds, pause=0.02)
        except Failure as e:
            raise Failure(f"{e}\n{self.tails()}") from None

    def tails(self):
        return "\n".join(m.tail(60) for m in self.members if m.process)

    # ---- processes of a member ----------------------------------------------------------------------------------------

    def pids(self, member, what):
        """what: cron or lead (the role), keeper, php (the job's script). Outer numbers."""
        found = []
        for pid, words in member.processes().items():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as f:
                name = f.read().strip()
                kind = "keeper" if name == "moodlectl-keep" else "php" if "/admin/cli/" in words and name.startswith("php") else \
                    words.split()[1] if name == "moodlectl-role" and len(words.split()) > 1 else ""
                if kind == what:
                    found.append(pid)
        return found

    def pid(self, member, what):
        found = self.pids(member, what)
        if not found:
            raise Failure(f"{member.name} has no {what}: {member.processes()}")
        return found[0]

    def signal(self, member, what, sig):
        for pid in self.pids(member, what):
            send(pid, sig)

    def thaw(self, member, most_ms=1000):
        """The job's script first: the worst order. Its steps on files until it is ended are excused."""
        at = now_ms()
        self.signal(member, "php", signal.SIGCONT)
        member.thaw()
        self.thaws.append((member.name, at, most_ms))

    # ---- the database server ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def clients(self, count, statement):
        """So many sessions of the site's user that do this meanwhile; those that the server refuses are not missed."""
        db = self.site.db
        if self.kind == "pgsql":
            words = ["psql", "-XAtq", "-h", db.host, "-p", str(db.port), "-U", db.db_user, "-d", self.site.db_name, "-c", statement]
            env = {"PGPASSWORD": db.password}
        else:
            words = ["mariadb", "--no-defaults", "-h", db.host, "-P", str(db.port), "-u", db.db_user, self.site.db_name, "-e", statement]
            env = {"MYSQL_PWD": db.password}
        found = [subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--"] + db.place.words + words, env={**CLEAN_ENV, **env}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(count)]
        try:
            yield
        finally:
            for p in found:
                p.kill()
                p.wait()
            with contextlib.suppress(Failure):  # a killed client does not end its statement
                self.end_sleepers()

    def end_sleepers(self):
        if self.kind == "pgsql":
            self.db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' AND pid <> pg_backend_pid()", db="postgres")
            return
        for one in self.db.sql("SELECT id FROM information_schema.processlist WHERE info LIKE '%DO SLEEP(%' AND id <> CONNECTION_ID()", db="").split():
            self.db.sql(f"KILL {one}", db="", check=False)

    def fake_clock(self):
        """The server lives by a clock that step_clock sets (libfaketime); its timers do not."""
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not library:
            raise Skip("libfaketime is not installed")
        self.clock = os.path.join(self.db.home, "clock")
        self.step_clock("+0")
        self.db.under = ["env", f"LD_PRELOAD={library[0]}", f"FAKETIME_TIMESTAMP_FILE={self.clock}", "FAKETIME_CACHE_DURATION=1",
                         "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"]

    def step_clock(self, offset):
        with open(self.clock, "w") as f:
            f.write(offset + "\n")
        os.chmod(self.clock, 0o644)

    def add_standby(self):
        self.standby = Standby(self.folder, f"standby{self.net.places}", self.db, self.net.place()).start()
        return self.standby

    def take(self, new):
        """The promoted one is the database from now on."""
        self.db = self.site.db = new
        self.standby = None

    def heal(self):
        """Whatever a fault left: every member runs or is dead, every server answers, the network is whole."""
        self.net.heal()
        for m in self.members:
            if m.alive():
                m.thaw()
        while self.undo:
            self.undo.pop()()
        if not self.db.alive():
            self.db.start()
        self.db.thaw()

    # ---- the end ------------------------------------------------------------------------------------------------------

    def close(self):
        for m in self.members:
            m.stop()
        self.folder.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


__all__ = ["Cluster", "Standby", "json", "now_ms", "sweep"]
