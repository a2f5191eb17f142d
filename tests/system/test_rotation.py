"""Secrets that change while the site serves, under a bounded load through nginx and PHP-FPM. Counts are printed in the result."""
import json
import os
import subprocess
import sys
import time

from lib.case import check, equal, test
from lib.proc import CLEAN_ENV, as_user, run, wait_for
from lib.servers import MariaDB, Postgres, throw_away_ca
from lib.site import TOP, Load
from test_aws import FakeAws

sys.path.append(os.path.join(TOP, "tests", "aws"))
from fake_rds_iam import Verifier, judge  # noqa: E402

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:moodle/rotated-AbCdEf"
OLD, NEW = "old 'pass' \"w\\ord\" ö%", "new 'pass' \"w\\ord\" ä$1"


class TimedLoad(Load):
    """A load that also knows when each failed request began and ended, by the wall clock."""

    def __init__(self, member, **more):
        super().__init__(member.address, member.port, headers={"Host": member.site.url.split("//")[1]}, **more)
        self.times = []

    def _one(self, connection):
        began = time.time()
        failure = "broken off"
        try:
            failure, reusable = super()._one(connection)
            return failure, reusable
        finally:
            if failure:
                self.times.append((began, time.time()))


def login_user(t, user, password, like="moodle"):
    """A database user who may do all that `like` may, as the clone of AWS's alternating rotation."""
    db = t.bench.installed(t.kind, "base").db
    if db.kind == "pgsql":
        db.sql(f"DROP ROLE IF EXISTS {user}", db="postgres", check=False)
        db.sql(f"CREATE ROLE {user} LOGIN PASSWORD {db.literal(password)} IN ROLE {like}", db="postgres")
    else:
        db.sql(f"CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY {db.literal(password)}; GRANT ALL ON *.* TO '{user}'@'%'", db="")


def set_password(db, user, password):
    db.sql(f"ALTER ROLE {user} PASSWORD {db.literal(password)}" if db.kind == "pgsql"
           else f"ALTER USER '{user}'@'%' IDENTIFIED BY {db.literal(password)}", db="postgres" if db.kind == "pgsql" else "")


class Rotation:
    """A site whose database user and password, or Redis password, come from one secret."""

    def __init__(self, t, versions, redis="shared", database=True, start=True, release="base", whole=False, **settings):
        self.t, self.aws = t, FakeAws(t)
        self.label(versions)
        arns = {"MOODLE_DATABASE_USER": None, "MOODLE_DATABASE_PASSWORD": None, "MOODLE_DATABASE_USER_ARN": ARN + ":username::",
                "MOODLE_DATABASE_PASSWORD_ARN": ARN + ":password::"}
        if whole:  # type, address and login from one secret; the database's name is a setting of its own
            arns = dict.fromkeys(f"MOODLE_DATABASE_{name}" for name in ("TYPE", "HOST", "PORT_NUMBER", "USER", "PASSWORD"))
            arns["MOODLE_DATABASE_SECRET_ARN"] = ARN
        if not database:
            arns = {"MOODLE_REDIS_PASSWORD": None, "MOODLE_REDIS_PASSWORD_ARN": ARN + ":password::"}
        self.site = t.site(installed=release, redis=redis, MOODLECTL_CRON_KEEPALIVE="10s", **arns, **self.aws.env(), **settings)
        self.member = self.site.serve((1,))[0] if start else None

    def label(self, versions):
        """versions: [(id, label, user, password)]"""
        db = {"engine": {"pgsql": "postgres"}.get(self.t.db.kind, self.t.db.kind), "host": self.t.db.host, "port": str(self.t.db.port)}
        self.aws.ask("/-/control", {"secrets": {ARN: [
            {"id": v, "stage": label, "string": json.dumps({**db, "username": user, "password": password, "a key of the future": [1]})}
            for v, label, user, password in versions]}})

    def rotated(self):
        return self.member.log(event="rotated")

    def wait_rotated(self, seconds=30):
        return wait_for("the rotation is followed", self.rotated, seconds)[0]["msg"]

    def values(self):
        return json.loads(self.member.exec(["moodlectl", "secrets", "list", "--json"]).stdout)["values"]

    def replaced_at(self):
        return os.stat(self.member.inside("/run/moodlectl/moodle.json")).st_mtime

    def wait_replaced(self, old):
        """When another moodle.json was first seen there; the file's own time is some milliseconds too early."""
        wait_for("moodle.json is replaced", lambda: self.replaced_at() != old, 60, pause=0.002)
        return time.time()

    def no_secrets_seen(self):
        said = self.member.raw_log() + self.member.errors()
        for value in (OLD, NEW):
            check(value not in said and json.dumps(value)[1:-1] not in said, "a password is in the log")

    def roles_follow(self, since):
        """The cron process that ran at the rotation keeps its session, the next one logs in anew; so does the watching lead role."""
        self.member.exec(["moodlectl", "cron", "run-now"], check=False)

        def ended():
            cron = self.member.status()["cron"]
            return cron.get("last_end_age_ms", 1e12) / 1000 < time.time() - since and cron
        equal(wait_for("the cron process of the rotation has ended", ended, 60, pause=0.3)["last_exit"], 0, "its exit status")
        lines = len(self.member.log(src="cron"))
        wait_for("the next cron process works", lambda: any("Server Time" in o["msg"] for o in self.member.log(src="cron")[lines:]), 60)
        said = [o["msg"] for o in self.member.log(src="lead") if o.get("id") == "E-DB-AUTH" or "answers again" in o["msg"]]
        check(not said or "answers again" in said[-1], f"the lead role does not follow: {said}")


def report(what, load, width=None):
    failed = sum(load.failed.values())
    print(f"rotation: {what}: {load.good} good, {failed} failed{'' if width is None else f', window {width * 1000:.0f} ms'}", flush=True)


@test(seconds=150)
def database_password_of_a_single_user(t):
    """Between the steps setSecret and finishSecret the secret's current version no longer logs in. The pending one does."""
    login_user(t, "rot_single", OLD)
    r = Rotation(t, [("v1", "AWSCURRENT", "rot_single", OLD)])
    r.site.wait_cron()
    old = r.replaced_at()
    with TimedLoad(r.member, threads=3, pause=0.02) as load:
        wait_for("the load runs", lambda: load.good > 20, 20)
        r.label([("v1", "AWSCURRENT", "rot_single", OLD), ("v2", "AWSPENDING", "rot_single", NEW)])
        broken = time.time()
        set_password(t.db, "rot_single", NEW)
        mended = r.wait_replaced(old)
        equal(len(load.times), sum(load.failed.values()), "failed requests with a time")
        good = load.good
        wait_for("requests after the window", lambda: load.good > good + 50, 30)
        r.label([("v0", "AWSPREVIOUS", "rot_single", OLD), ("v2", "AWSCURRENT", "rot_single", NEW)])
        r.member.exec(["moodlectl", "secrets", "refresh"])
        good = load.good
        wait_for("requests after the rotation", lambda: load.good > good + 20, 30)
    report(f"database, single user, {t.kind}", load, mended - broken)
    msg = r.wait_rotated()
    check("from version v1 to v2" in msg and "AWSPENDING" in msg, f"event: {msg}")
    equal(len(r.rotated()), 1, "rotations")
    outside = [(began - broken, ended - broken) for began, ended in load.times if ended < broken or began > mended]
    equal(outside, [], f"failed requests outside of the window of {mended - broken:.3f} s")
    r.roles_follow(mended)
    r.no_secrets_seen()


@test(dbs=("mariadb",), seconds=150)
def database_password_without_a_pending_version(t):
    """A rotation that shows its new version only at the end: the current one is read again and again, never in a fast loop."""
    login_user(t, "rot_bare", OLD)
    r = Rotation(t, [("v1", "AWSCURRENT", "rot_bare", OLD)])
    wait_for("a first look", r.values, 20)
    old = r.replaced_at()
    with TimedLoad(r.member, threads=3, pause=0.1) as load:
        wait_for("the load runs", lambda: load.good > 20, 20)
        broken = time.time()
        set_password(t.db, "rot_bare", NEW)
        r.member.wait_log("E-DB-AUTH of role secrets", lambda o: o.get("src") == "secrets" and o.get("id") == "E-DB-AUTH", 30)
        time.sleep(3)
        asked = len(r.aws.ask("/-/log"))
        r.label([("v0", "AWSPREVIOUS", "rot_bare", OLD), ("v2", "AWSCURRENT", "rot_bare", NEW)])
        mended = r.wait_replaced(old)
        good = load.good
        wait_for("requests after the window", lambda: load.good > good + 50, 30)
    report(f"database, no pending version, {t.kind}", load, mended - broken)
    outside = [(began - broken, ended - broken) for began, ended in load.times if ended < broken or began > mended]
    equal(outside, [], f"failed requests outside of the window of {mended - broken:.3f} s")
    check(asked < 60, f"{asked} requests to AWS in 3 s, with {sum(load.failed.values())} failed requests")
    equal(len(r.rotated()), 1, "rotations")


@test(seconds=150)
def database_password_of_alternating_users(t):
    """Both users log in until the next rotation: nothing may fail."""
    login_user(t, "rot_one", OLD)
    login_user(t, "rot_two", NEW, like="rot_one" if t.kind == "pgsql" else "moodle")
    r = Rotation(t, [("v1", "AWSCURRENT", "rot_one", OLD)], whole=True, MOODLECTL_SECRETS_REFRESH="1s")
    r.site.wait_cron()
    with TimedLoad(r.member, threads=3, pause=0.02) as load:
        wait_for("the load runs", lambda: load.good > 20, 20)
        r.label([("v0", "AWSPREVIOUS", "rot_one", OLD), ("v2", "AWSCURRENT", "rot_two", NEW)])
        r.wait_rotated()
        good = load.good
        wait_for("requests after the rotation", lambda: load.good > good + 50, 30)
    report(f"database, alternating users, {t.kind}", load)
    check("from version v1 to v2" in r.rotated()[0]["msg"], f"event: {r.rotated()}")
    equal({v["version"] for v in r.values()}, {"v2"}, "versions in use")
    equal(load.failed, {}, "failed requests")
    if t.kind == "pgsql":  # ten seconds of waiting; the single user's test does it on both
        r.roles_follow(time.time())
    r.no_secrets_seen()


def caches_are_in_redis(r, redis):
    """Moodle takes files instead of a Redis that refuses it, without a word: the keys must come back there."""
    for key in redis.keys(r.site.prefix + "m*"):
        redis.cli("DEL", key)

    def look():
        r.member.get("/login/index.php")
        return redis.keys(r.site.prefix + "m*")
    wait_for("keys of the cache in Redis", look, 20, pause=0.2)


@test(dbs=("pgsql",), seconds=150)
def redis_password_with_two_valid(t):
    """As ElastiCache's ROTATE and then SET: both passwords log in for a while, then the old one does not. Nothing may fail."""
    redis = t.redis(password=OLD)
    r = Rotation(t, [("v1", "AWSCURRENT", "", OLD)], redis=redis, database=False)
    with TimedLoad(r.member, threads=3, pause=0.02) as load:
        wait_for("the load runs", lambda: load.good > 20, 20)
        redis.cli("ACL", "SETUSER", "default", ">" + NEW)
        r.label([("v0", "AWSPREVIOUS", "", OLD), ("v2", "AWSCURRENT", "", NEW)])
        r.member.exec(["moodlectl", "secrets", "refresh"])
        r.wait_rotated()
        redis.cli("ACL", "SETUSER", "default", "<" + OLD)
        redis.password = NEW
        good = load.good
        wait_for("requests with the new password only", lambda: load.good > good + 50, 30)
    report("redis, two valid passwords", load)
    check("from version v1 to v2" in r.rotated()[0]["msg"], f"event: {r.rotated()}")
    equal(load.failed, {}, "failed requests")
    caches_are_in_redis(r, redis)
    r.no_secrets_seen()


@test(dbs=("pgsql",), seconds=150)
def redis_password_at_once(t):
    """requirepass knows one password: what is asked before the member has learnt the new one fails, and nothing else."""
    redis = t.redis(password=OLD)
    r = Rotation(t, [("v1", "AWSCURRENT", "", OLD)], redis=redis, database=False)
    old = r.replaced_at()
    with TimedLoad(r.member, threads=3, pause=0.02) as load:
        wait_for("the load runs", lambda: load.good > 20, 20)
        r.label([("v1", "AWSCURRENT", "", OLD), ("v2", "AWSPENDING", "", NEW)])
        broken = time.time()
        redis.cli("CONFIG", "SET", "requirepass", NEW)
        redis.password = NEW
        mended = r.wait_replaced(old)
        good = load.good
        wait_for("requests after the window", lambda: load.good > good + 50, 30)
    report("redis, one password", load, mended - broken)
    check("AWSPENDING" in r.wait_rotated(), f"event: {r.rotated()}")
    outside = [(began - broken, ended - broken) for began, ended in load.times if ended < broken or began > mended]
    equal(outside, [], f"failed requests outside of the window of {mended - broken:.3f} s")
    caches_are_in_redis(r, redis)
    r.no_secrets_seen()


@test(dbs=("pgsql",), seconds=120)
def a_boot_between_two_steps(t):
    """Started when the secret's current version is the old password and the pending one the new: prepare knows the current one only."""
    login_user(t, "rot_boot", NEW)
    r = Rotation(t, [("v1", "AWSCURRENT", "rot_boot", OLD), ("v2", "AWSPENDING", "rot_boot", NEW)])
    equal(r.member.get("/login/index.php").status, 200, "login page")
    check("AWSPENDING" in r.wait_rotated(), f"event: {r.rotated()}")
    r.no_secrets_seen()


@test(dbs=("pgsql",), seconds=150, standin=True)
def rotated_while_a_member_upgrades(t):
    """The upgrade's own session lives on; the lead role, whose session ends meanwhile, takes its lock again with the new password."""
    login_user(t, "rot_upgrade", OLD)
    r = Rotation(t, [("v1", "AWSCURRENT", "rot_upgrade", OLD)], start=False, release="older")
    r.site.standin(slow_ms=700)
    m, = r.site.start((1,))
    r.member = m
    m.wait_log("a line of the upgrade", lambda o: o.get("src") == "upgrade", 60)
    set_password(t.db, "rot_upgrade", NEW)
    r.label([("v0", "AWSPREVIOUS", "rot_upgrade", OLD), ("v2", "AWSCURRENT", "rot_upgrade", NEW)])
    m.exec(["moodlectl", "secrets", "refresh"])
    r.wait_rotated()
    equal(m.phase(), "LEAD", "phase after the rotation")
    ended = r.site.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{r.site.db_name}' AND application_name LIKE 'moodlectl%'")
    check("t" in ended, f"no session of a role was there: {ended}")
    m.wait_log("the lock is taken again", lambda o: "taken again in a new session" in o.get("msg", ""), 20)
    m.wait_phase("SERVE", 90)
    equal(m.get("/login/index.php").status, 200, "login page")
    r.no_secrets_seen()


@test(dbs=("pgsql",), seconds=150)
def an_outage_of_secrets_manager(t):
    """Touches nothing: the last good value stays, its age is a metric, the level of the alarm rises."""
    login_user(t, "rot_outage", OLD)
    r = Rotation(t, [("v1", "AWSCURRENT", "rot_outage", OLD)], MOODLECTL_SECRETS_REFRESH="1s")
    m = r.member
    wait_for("a first look", r.values, 20)
    r.aws.ask("/-/control", {"faults": [{"do": "error500", "times": 0}]})
    with TimedLoad(m, threads=1, pause=0.1) as load:
        for level in ("warn", "error"):
            m.wait_log(f"E-SEC-SERVICE as {level}", lambda o, level=level: o.get("id") == "E-SEC-SERVICE" and o["level"] == level, 60)
    equal(load.failed, {}, "failed requests")
    ages = [o["SecretAge"] for o in m.log() if "SecretAge" in o]
    check(ages[-1] > 10 and ages[0] < 5, f"ages: {ages}")
    value = next(v for v in r.values() if v["setting"] == "MOODLE_DATABASE_PASSWORD")
    check(value["id"] == "E-SEC-SERVICE" and value["version"] == "v1" and value["age_ms"] > 10000, f"secrets list: {value}")
    p = m.exec(["moodlectl", "secrets", "check"], check=False)
    equal(p.returncode, 69, f"secrets check: {p.stdout}{p.stderr}")
    r.aws.ask("/-/control", {"faults": []})
    m.wait_log("the end of it", lambda o: o.get("src") == "secrets" and "well again" in o.get("msg", ""), 60)
    r.no_secrets_seen()


def put(path, text):
    with open(path + ".new", "w") as f:
        f.write(text + "\n")
    os.chmod(path + ".new", 0o600)
    os.rename(path + ".new", path)


@test(dbs=("mariadb",), seconds=120)
def files_and_commands(t):
    """Mounted files that change; a value that does not log in is not used; what is not ours to log in with is replaced."""
    login_user(t, "rot_file", OLD)
    folder = t.folder.make(f"{t.name}-mounted", mode=0o755)
    database, smtp = f"{folder}/database", f"{folder}/smtp"
    put(database, OLD)
    put(smtp, "smtp old word")
    site = t.site(installed="base", MOODLE_DATABASE_USER="rot_file", MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_PASSWORD_FILE=database,
                  MOODLE_SMTP_HOST="localhost", MOODLE_SMTP_USER="mailer", MOODLE_SMTP_PASSWORD_FILE=smtp)
    m, = site.serve((1,))
    m.exec(["moodlectl", "secrets", "check"])

    def held(section):
        with open(m.inside("/run/moodlectl/moodle.json")) as f:
            return json.load(f)[section]["password"]
    put(smtp, "smtp new word")
    put(database, "a wrong one")
    p = m.exec(["moodlectl", "secrets", "refresh"], check=False)
    equal((p.returncode, "E-DB-AUTH" in p.stdout), (77, True), f"refresh with a wrong password: {p.stdout}{p.stderr}")
    equal((held("db"), held("smtp")), (OLD, "smtp new word"), "passwords in moodle.json")
    equal(m.get("/login/index.php").status, 200, "login page with the old password")
    set_password(t.db, "rot_file", NEW)
    put(database, NEW)
    p = m.exec(["moodlectl", "secrets", "refresh"])
    equal(held("db"), NEW, "password in moodle.json")
    equal(m.get("/login/index.php").status, 200, "login page with the new password")
    mode = os.stat(m.inside("/run/moodlectl/moodle.json"))
    equal((mode.st_mode & 0o777, mode.st_uid, mode.st_gid), (0o440, 0, site.gid("www-data")), "mode and owner of moodle.json")
    p = m.exec(["moodlectl", "secrets", "list"])
    check("MOODLE_DATABASE_PASSWORD" in p.stdout and database in p.stdout and "E-" not in p.stdout, f"secrets list: {p.stdout}")
    m.exec(["moodlectl", "reload"])
    m.wait_log("the reload is done", lambda o: o.get("event") == "reload" and "rendered" in o["msg"], 30)
    equal(held("db"), NEW, "password in moodle.json after a reload")
    said = m.raw_log() + m.errors() + p.stdout
    for value in (OLD, NEW, "a wrong one", "smtp old word", "smtp new word"):
        check(value not in said and json.dumps(value)[1:-1] not in said, "a password was shown")
    equal(m.drain(), 0, f"exit status\n{m.tail()}")


@test(dbs=("pgsql",))
def nothing_to_follow(t):
    m, = t.site(installed="base").serve((1,))
    p = m.exec(["moodlectl", "secrets", "refresh"], check=False)
    equal((p.returncode, "nothing to follow" in p.stderr), (69, True), f"refresh: {p.stderr}")
    check("No setting" in m.exec(["moodlectl", "secrets", "list"]).stdout, "secrets list")
    equal([c["state"] for c in m.status()["children"] if c["name"] == "secrets"], ["down"], "role secrets")


KEYS = {"id": "ASIATEMPORARY1", "key": "temporary/key+1=", "token": "session//token+1=="}
LIFETIME_S = 4


class TokenPostgres(Postgres):
    """Asks an LDAP server of ours what a password is worth."""

    def __init__(self, folder, name):
        super().__init__(folder, name, options=tls_options(folder, name, self.user, "ssl=on", "ssl_cert_file", "ssl_key_file"))
        self.verifier = Verifier(KEYS, LIFETIME_S)
        hba = os.path.join(self.data, "pg_hba.conf")
        with open(hba) as f:
            rest = f.read()
        with open(hba, "w") as f:
            f.write(f'hostssl all iam_user all ldap ldapserver=127.0.0.1 ldapport={self.verifier.port} ldapprefix="" ldapsuffix=""\n' + rest)

    def make_user(self, database):
        self.sql("CREATE ROLE iam_user LOGIN IN ROLE moodle", db="postgres")
        self.sql("GRANT ALL ON SCHEMA public TO iam_user", db=database)

    def verdicts(self):
        return self.verifier.verdicts

    def stop(self):
        super().stop()
        self.verifier.__exit__()


class TokenMariaDB(MariaDB):
    """Asks a program of ours by PAM, whose configuration is in a name space of the server's own. The client plugin is the one of RDS."""

    def __init__(self, folder, name):
        super().__init__(folder, name, options=tls_options(folder, name, self.user, "ssl", "ssl-cert", "ssl-key") +
                         ["plugin-load-add=auth_pam_v1", "pam-use-cleartext-plugin=ON", "plugin-maturity=unknown"])
        self.pam, self.said = folder.make(name + "-pam", mode=0o755), os.path.join(self.home, "verdicts")
        script = os.path.join(self.pam, "judge.py")
        with open(script, "w") as f:
            f.write(f"import os, sys\nsys.path.append({os.path.join(TOP, 'tests', 'aws')!r})\nfrom fake_rds_iam import judge\n"
                    f"why = judge(sys.stdin.read().rstrip(chr(0)), os.environ['PAM_USER'], {KEYS!r}, {LIFETIME_S})\n"
                    f"open({self.said!r}, 'a').write(why + chr(10))\nsys.exit(bool(why))\n")
        with open(os.path.join(self.pam, "moodlectl-tokens"), "w") as f:
            f.write(f"auth required pam_exec.so expose_authtok quiet /usr/bin/python3 -B {script}\naccount required pam_permit.so\n")

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/pam.d && exec "$@"', self.pam] +
                                            as_user(self.user, self.DEATH) + self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, cwd=self.home, env=CLEAN_ENV)

    def make_user(self, _):
        self.sql("CREATE USER 'iam_user'@'%' IDENTIFIED VIA pam USING 'moodlectl-tokens' REQUIRE SSL; GRANT ALL ON *.* TO 'iam_user'@'%'", db="")

    def verdicts(self):
        with open(self.said) as f:
            return f.read().split("\n")[:-1]


def tls_options(folder, name, user, on, cert_option, key_option):
    _, cert, key = throw_away_ca(folder.make(name + "-tls", user, 0o711))
    run(["chown", user, key])
    os.chmod(key, 0o600)
    return [on, f"{cert_option}={cert}", f"{key_option}={key}"]


@test(seconds=150)
def database_tokens(t):
    """MOODLE_DATABASE_AUTH=iam: a server that has every token checked, and takes it for four seconds only, never refuses a request."""
    aws, name = FakeAws(t), f"{t.name}-tokens"
    db = (TokenPostgres if t.kind == "pgsql" else TokenMariaDB)(t.folder, name)
    t.stack.callback(db.stop)
    db.start()
    site = t.site(db=db, MOODLE_DATABASE_AUTH="iam", MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_USER="iam_user", MOODLE_DATABASE_TLS="verify-full",
                  MOODLE_DATABASE_CA_FILE=f"{t.folder.path}/{name}-tls/ca.pem", MOODLECTL_SECRETS_REFRESH="1s", AWS_REGION="eu-central-1", **aws.env())
    db.make_user(site.db_name)
    m, = site.serve((1,), seconds=600 if t.real else 100)
    with TimedLoad(m, threads=2, pause=0.1) as load:
        end = time.time() + 2 * LIFETIME_S
        wait_for("tokens have come and gone", lambda: time.time() > end and load.good > 30, 60)
    report(f"database, IAM tokens, {t.kind}", load)
    equal(load.failed, {}, "failed requests")
    with open(m.inside("/run/moodlectl/moodle.json")) as f:
        token = json.load(f)["db"]["password"]
    equal(judge(token, "iam_user", KEYS), "", "the token in moodle.json")
    equal({v for v in db.verdicts() if v}, set(), "tokens that were refused")
    check(len(db.verdicts()) > 30, f"the server looked at {len(db.verdicts())} tokens only")
    value, = json.loads(m.exec(["moodlectl", "secrets", "list", "--json"]).stdout)["values"]
    equal(value["source"], "RDS IAM token", "source")
    equal(m.log(event="rotated"), [], "a fresh token is no rotation")
    check("X-Amz-Signature" not in m.raw_log() + m.errors(), "a token is in the log")
