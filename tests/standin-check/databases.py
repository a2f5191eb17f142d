"""The servers of the system tests, with what the questions need beside: empty databases, rows with NULLs, settings for config.php."""

import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as tree

from site_under_test import Raw

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
from lib.proc import RunFolder, exit_on_signals, free_port, run      # noqa: E402,F401
from lib.servers import ADMIN_PASSWORD, MariaDB, Postgres, Redis      # noqa: E402

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def missing():
    need = ["php", "psql", "mariadbd", "mariadb-install-db", "mariadb", "redis-server", "redis-cli", "setpriv"]
    lost = [program for program in need if not shutil.which(program)]
    have = subprocess.run(["php", "-m"], capture_output=True, text=True).stdout.split() if shutil.which("php") else []
    return lost + [f"php extension {name}" for name in ("pgsql", "mysqli", "redis", "pcntl", "SimpleXML") if have and name not in have]


class Database:
    """Mixed into a server class."""

    def config(self, name):
        options = f"['dbpersist' => false, 'dbport' => {self.port}, 'dbsocket' => '', 'connecttimeout' => 5]"
        return {"dbtype": self.kind, "dbhost": self.host, "dbname": name, "dbuser": self.db_user, "dbpass": self.password,
                "dboptions": Raw(options)}

    def empty(self, name):
        self.drop(name)
        self.create(name)


class CheckedPostgres(Database, Postgres):
    family = "postgres"

    def rows(self, name, text):
        p = run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-R", "\x1e", "-P", "null=\x1d", "-h", self.host, "-p", str(self.port),
                 "-U", "postgres", "-d", name, "-c", text], env={"PGPASSWORD": ADMIN_PASSWORD})
        rows = [row.rstrip("\n") for row in p.stdout.split("\x1e")]
        return [[None if value == "\x1d" else value for value in row.split("\x1f")] for row in rows if row]


class CheckedMariaDB(Database, MariaDB):
    family = "mysql"

    def rows(self, name, text):
        p = run(["mariadb", "--no-defaults", "--xml", "--default-character-set=utf8mb4", f"--socket={self.socket}", "-u", "root", name, "-e", text])
        rows = tree.fromstring(p.stdout).findall("row") if p.stdout.strip() else []
        return [[None if field.get(NIL) else field.text or "" for field in row] for row in rows]


def database(folder, kind):
    return {"pgsql": CheckedPostgres, "mariadb": CheckedMariaDB}[kind](folder).start()
