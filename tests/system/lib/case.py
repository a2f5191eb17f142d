"""What a test gets: servers that are started once and shared, sites of its own, and a clear way to fail or to skip."""
import contextlib
import shutil
import signal

from .member import Member
from .proc import Block, Failure, RunFolder, run
from .servers import HAProxy, Redis, database
from .site import Code, Programs, Site

TESTS = {}


class Skip(Exception):
    """This test cannot run here; the message says why."""


def test(dbs=("pgsql", "mariadb"), seconds=120, standin=False, real_seconds=900, fast=False):
    """Marks a test. dbs: the databases that it must pass on (one suffices where the database plays no part).
    standin: needs a knob that only the stand-in Moodle has. fast: also part of the short set, where there is one (tests/chaos)."""
    def mark(function):
        function.dbs, function.seconds, function.standin, function.real_seconds, function.fast = dbs, seconds, standin, real_seconds, fast
        TESTS[function.__module__.removeprefix("test_") + "." + function.__name__] = function
        return function
    return mark


def check(truth, message):
    if not truth:
        raise Failure(message)


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {found!r}, should be {wanted!r}")


class Bench:
    """The shared part: one temporary folder, one server of each kind, one code tree of each release."""

    def __init__(self, build, source=None, old_source=None, keep=False):
        self.folder = RunFolder(keep)
        self.code = Code(self.folder, source, old_source)
        self.programs = Programs(self.folder, build)
        self._servers, self._installed = {}, {}

    def database(self, kind):
        if kind not in self._servers:
            self._servers[kind] = database(self.folder, kind).start()
        return self._servers[kind]

    def redis(self):
        if "redis" not in self._servers:
            self._servers["redis"] = Redis(self.folder, password="re dis'\"\\$").start()
        return self._servers["redis"]

    def installed(self, kind, release):
        """(database, folder) of a site that was installed once with that release; copied by Case.site(installed=...)."""
        key = (kind, release)
        if key not in self._installed:
            case = Case(self, kind, f"tpl{len(self._installed)}{kind}")
            site = case.site()
            try:
                site.serve([1], release=release, seconds=600 if self.code.real else 90)[0].drain()
            finally:
                case.end(keep_databases=True)
            run(["rm", "-rf", f"{site.data}/sessions"])
            self._installed[key] = site
        return self._installed[key]

    def close(self):
        self.folder.close()


class Case:
    def __init__(self, bench, kind, name):
        self.bench, self.kind, self.name = bench, kind, name
        self.folder, self.code, self.real = bench.folder, bench.code, bench.code.real
        self.stack, self.sites, self.count = contextlib.ExitStack(), [], 0

    @property
    def db(self):
        return self.bench.database(self.kind)

    def redis(self, **more):
        """A Redis of the test's own."""
        self.count += 1
        r = Redis(self.folder, f"{self.name}-redis{self.count}", **more).start()
        self.stack.callback(r.stop)
        return r

    def server(self, **more):
        """A database server of the test's own, for tests that break it."""
        self.count += 1
        s = database(self.folder, self.kind, name=f"{self.name}-db{self.count}", **more).start()
        self.stack.callback(s.stop)
        return s

    def site(self, installed=None, db=None, redis="shared", **settings):
        """A site: an empty database, or with installed="base" a copy of one that has been installed."""
        self.count += 1
        redis = self.bench.redis() if redis == "shared" else redis
        template = self.bench.installed(self.kind, installed) if installed else None
        site = Site(self.folder, self.bench.programs, self.code, db or self.db, redis, Block(), f"{self.name}{self.count}", settings)
        self.sites.append(site)
        if template:
            copy_database(template.db, template.db_name, site.db, site.db_name)
            run(["cp", "-a", template.data + "/.", site.data], seconds=120)
        return site

    def end(self, keep_databases=False):
        for site in self.sites:
            for m in site.members.values():
                m.stop()
            if site.haproxy:
                site.haproxy.stop()
            site.block.close()
            if not keep_databases:
                with contextlib.suppress(Failure):
                    site.db.drop(site.db_name)
                shutil.rmtree(site.data, ignore_errors=True)
        self.stack.close()

    def tails(self):
        return "\n".join(m.tail() for s in self.sites for m in s.members.values() if m.process)

    def standin(self):
        if self.real:
            raise Skip("needs a knob of the stand-in Moodle")


def copy_database(source, source_name, dest, dest_name):
    if source.kind == "pgsql":
        if source is not dest:
            raise Failure("a copy must be on the same server")
        source.end_sessions(source_name)
        dest.drop(dest_name)
        dest.sql(f'CREATE DATABASE "{dest_name}" TEMPLATE "{source_name}" OWNER moodle', db="postgres")
        return
    dump = f"mariadb-dump --no-defaults --socket={source.socket} -u root --single-transaction {source_name} | " \
           f"mariadb --no-defaults --socket={dest.socket} -u root {dest_name}"
    run(["bash", "-o", "pipefail", "-c", dump], seconds=300)


@contextlib.contextmanager
def time_limit(seconds):
    def late(*_):
        raise Failure(f"the test took longer than {seconds} s")
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


__all__ = ["Bench", "Case", "Failure", "HAProxy", "Member", "Skip", "TESTS", "check", "equal", "test", "time_limit"]
