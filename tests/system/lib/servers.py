"""PostgreSQL, MariaDB, Redis and HAProxy of our own: temporary folder, free loopback port, unprivileged user.

    with RunFolder() as folder:
        db = database(folder, "pgsql").start()
        redis = Redis(folder, password="secret").start()
        print(db.sql("SELECT 1"), redis.cli("PING"))

Every server has start, stop, restart, kill, freeze, thaw (see proc.Server)."""
import glob
import os
import signal
import sys

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.proc import Failure, RunFolder, Server, as_user, free_port, run, user_or  # noqa: E402,F401

PASSWORD = "db 'pass' \"w\\ord\" $1;#ö%"  # any byte is legal in a password: every test proves it
ADMIN_PASSWORD = "of-the-server"


def pgsql_literal(text):
    return "'" + text.replace("'", "''") + "'"


def mysql_literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Postgres(Server):
    kind = "pgsql"
    user = user_or("postgres")
    STOP = signal.SIGINT  # its "fast" stop
    DEATH = "QUIT"        # its "immediate" one: takes its shared memory along
    literal = staticmethod(pgsql_literal)

    def __init__(self, folder, name="postgres", options=(), password=PASSWORD, place=None):
        super().__init__(folder, name, place)
        bins = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2]))
        if not bins:
            raise Failure("PostgreSQL is not installed")
        self.bin, self.host, self.port = bins[-1], self.place.address, self.place.port()
        self.db_user, self.password, self.options = "moodle", password, list(options)
        self.data = os.path.join(self.home, "data")
        pw = os.path.join(self.home, "pw")
        with open(pw, "w") as f:
            f.write(ADMIN_PASSWORD + "\n")
        os.chmod(pw, 0o644)
        run(as_user(self.user) + [f"{self.bin}/initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256",
                                  f"--pwfile={pw}", "-E", "UTF8", "--locale=C.UTF-8", "-N"], seconds=120, cwd=self.home)

    def command(self):
        words = [f"{self.bin}/postgres", "-D", self.data, "-h", self.host, "-p", str(self.port), "-k", self.home]
        # durability is not what is tested; a small machine runs many of these
        for option in ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200"] + self.options:
            words += ["-c", option]
        return words

    def sql(self, query, db="moodle", admin=True, seconds=30, check=True):
        """The rows as text, columns parted by | (psql -At)."""
        user, password = ("postgres", ADMIN_PASSWORD) if admin else (self.db_user, self.password)
        p = self.ask(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.host, "-p", str(self.port), "-U", user, "-d", db, "-c", query],
                env={"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "5"}, seconds=seconds, check=check)
        return p.stdout.strip()

    def ready(self):
        return self.sql("SELECT 1", db="postgres") == "1"

    def create(self, name):
        """An empty database of that name, owned by moodle."""
        if not self.sql("SELECT 1 FROM pg_roles WHERE rolname='moodle'", db="postgres"):
            self.sql(f"CREATE ROLE moodle LOGIN PASSWORD {pgsql_literal(self.password)}", db="postgres")
        self.sql(f'CREATE DATABASE "{name}" OWNER moodle', db="postgres")

    def drop(self, name):
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', db="postgres")

    def tables(self, db="moodle"):
        return int(self.sql("SELECT count(*) FROM pg_tables WHERE schemaname='public'", db=db))

    def set_read_only(self, on, db="moodle"):
        """As a demoted writer: transactions of new sessions are read only."""
        self.sql(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}", db="postgres")
        self.sql("SELECT pg_reload_conf()", db="postgres")

    def end_sessions(self, db="moodle"):
        self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{db}' AND pid<>pg_backend_pid()", db="postgres")


class MariaDB(Server):
    kind = "mariadb"
    user = user_or("mysql")
    DEATH = "TERM"
    literal = staticmethod(mysql_literal)

    def __init__(self, folder, name="mariadb", options=(), password=PASSWORD, place=None):
        super().__init__(folder, name, place)
        self.host, self.port = self.place.address, self.place.port()
        self.db_user, self.password, self.options = "moodle", password, list(options)
        self.data, self.socket = os.path.join(self.home, "data"), os.path.join(self.home, "sock")
        # tmpdir of its own: a server that starts, and this program, remove all #sql* files there (mysql_rm_tmp_tables, sql/sql_base.cc),
        # those of a running neighbour, too, which crashes then (in ha_maria::drop_table)
        run(as_user(self.user) + ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.home}", "--auth-root-authentication-method=normal",
                                  "--skip-test-db", "--innodb-flush-method=fsync", "--innodb-log-file-size=16M"], seconds=120, cwd=self.home)

    def command(self):
        return ["mariadbd", "--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.home}", f"--socket={self.socket}", f"--bind-address={self.host}",
                f"--port={self.port}", f"--pid-file={self.home}/pid", "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=16M",
                "--innodb-buffer-pool-size=128M", "--skip-name-resolve", "--max-connections=200", "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_unicode_ci", "--skip-log-bin"] + [f"--{o}" for o in self.options]

    def sql(self, query, db="moodle", admin=True, seconds=30, check=True):
        """The rows as text, columns parted by |."""
        words = ["mariadb", "--no-defaults", "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4"]
        if admin:
            words += [f"--socket={self.socket}", "-u", "root"]
        else:
            words += ["-h", self.host, "-P", str(self.port), "-u", self.db_user]
        p = self.ask(words + ([db] if db not in ("", "postgres") else []) + ["-e", query], env={} if admin else {"MYSQL_PWD": self.password},
                seconds=seconds, check=check)
        return p.stdout.strip().replace("\t", "|")

    def ready(self):
        return self.sql("SELECT 1", db="") == "1"

    def create(self, name):
        self.sql(f"CREATE USER IF NOT EXISTS 'moodle'@'%' IDENTIFIED BY {mysql_literal(self.password)}", db="")
        self.sql(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", db="")
        self.sql(f"GRANT ALL ON `{name}`.* TO 'moodle'@'%'", db="")

    def drop(self, name):
        self.sql(f"DROP DATABASE IF EXISTS `{name}`", db="")

    def tables(self, db="moodle"):
        return int(self.sql(f"SELECT count(*) FROM information_schema.tables WHERE table_schema='{db}'", db=""))

    def set_read_only(self, on, db="moodle"):
        self.sql(f"SET GLOBAL read_only = {'ON' if on else 'OFF'}", db="")

    def end_sessions(self, db="moodle"):
        ids = self.sql(f"SELECT id FROM information_schema.processlist WHERE db='{db}'", db="").split()
        for one in ids:
            self.sql(f"KILL {one}", db="", check=False)


def database(folder, kind, **more):
    """A database server, not started. kind: pgsql or mariadb."""
    return {"pgsql": Postgres, "mariadb": MariaDB}[kind](folder, **more)


def throw_away_ca(folder_path, host="127.0.0.1"):
    """(ca, certificate, key): made now, for this run alone."""
    at = lambda name: os.path.join(folder_path, name)  # noqa: E731
    with open(at("ext"), "w") as f:
        f.write(f"subjectAltName=IP:{host},DNS:localhost\n")
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=moodlectl tests",
         "-keyout", at("ca.key"), "-out", at("ca.pem")])
    run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}", "-keyout", at("server.key"),
         "-out", at("server.csr")])
    run(["openssl", "x509", "-req", "-in", at("server.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2",
         "-extfile", at("ext"), "-out", at("server.pem")])
    os.chmod(at("server.key"), 0o644)
    os.chmod(at("ca.pem"), 0o644)
    return at("ca.pem"), at("server.pem"), at("server.key")


def redis_quoted(text):
    """For redis.conf: every byte as a hexadecimal escape."""
    return '"' + "".join(f"\\x{b:02x}" for b in text.encode()) + '"'


class Redis(Server):
    user = user_or("redis")

    def __init__(self, folder, name="redis", password="", acl_user="", tls=False, options=(), place=None):
        super().__init__(folder, name, place)
        self.host, self.port, self.password, self.acl_user, self.tls, self.ca = self.place.address, self.place.port(), password, acl_user, tls, ""
        lines = [f"bind {self.host}", f"dir {self.home}", 'save ""', "appendonly no", "daemonize no", "databases 16", "logfile \"\""] + list(options)
        if tls:
            self.home_tls = folder.make(name + "-tls", self.user, 0o711)
            self.ca, cert, key = throw_away_ca(self.home_tls, self.host)
            lines += ["port 0", f"tls-port {self.port}", f"tls-cert-file {cert}", f"tls-key-file {key}", f"tls-ca-cert-file {self.ca}", "tls-auth-clients no"]
        else:
            lines += [f"port {self.port}"]
        if acl_user:
            lines += ["user default off", f"user {acl_user} on {redis_quoted('>' + password)} ~* &* +@all"]
        elif password:
            lines += [f"requirepass {redis_quoted(password)}"]
        self.conf = os.path.join(self.home, "redis.conf")
        with open(self.conf, "w") as f:
            f.write("\n".join(lines) + "\n")
        os.chmod(self.conf, 0o644)

    def command(self):
        return ["redis-server", self.conf]

    def cli(self, *words, db=0):
        tls = ["--tls", "--cacert", self.ca] if self.tls else []
        user = ["--user", self.acl_user] if self.acl_user else []
        env = {"REDISCLI_AUTH": self.password} if self.password else {}
        return self.ask(["redis-cli", "-h", self.host, "-p", str(self.port), "-n", str(db), "--no-auth-warning"] + tls + user + list(words), env=env).stdout.strip()

    def keys(self, pattern="*", db=0):
        return [k for k in self.cli("KEYS", pattern, db=db).split("\n") if k]

    def ready(self):
        return self.cli("PING") == "PONG"


class HAProxy(Server):
    """In front of the members: only those whose /-/ready says 200 get requests."""
    user = user_or("haproxy")

    def __init__(self, folder, listen, members, name="haproxy", inter_ms=500, fall=2):
        """listen: (address, port); members: {name: (address, port)}."""
        super().__init__(folder, name)
        self.listen, self.stats = listen, os.path.join(self.home, "stats")
        servers = "\n".join(f"    server {n} {a}:{p} check inter {inter_ms}ms fall {fall} rise 1" for n, (a, p) in members.items())
        self.conf = os.path.join(self.home, "haproxy.cfg")
        with open(self.conf, "w") as f:
            f.write(f"""global
    stats socket {self.stats} mode 600 level admin
    maxconn 1000
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    timeout check 2s
frontend site
    bind {listen[0]}:{listen[1]}
    default_backend members
backend members
    balance roundrobin
    option httpchk GET /-/ready
    http-check expect status 200
    option forwardfor
    # one member must not be asked twice for one request: a failure has to be seen, not repaired
    retries 0
    option http-keep-alive
{servers}
""")
        os.chmod(self.conf, 0o644)

    def command(self):
        return ["haproxy", "-db", "-f", self.conf]

    def states(self):
        """{member: "UP" or "DOWN" ...} as HAProxy sees them."""
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(self.stats)
            s.sendall(b"show stat\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        rows = [line.split(",") for line in text.splitlines() if line.startswith("members,")]
        return {r[1]: r[17].split()[0] for r in rows if r[1] != "BACKEND"}

    def ready(self):
        return self.states() is not None
