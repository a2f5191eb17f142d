"""Databases on which nobody may lead, each with its own id, and what lifts the refusal."""
import hashlib
import os
import subprocess
import time

from rig import MariaDB, Postgres, Site, check, installed, runs, test, wait_for


def sites(env, server, name):
    """A site on a server of the test's own."""
    return Site(env.folder, server, env.role, name=name)


def keys(site, purpose="deploy"):
    """(PostgreSQL's two integers, MySQL's name) of the work lock; coord/lease_key.c."""
    h = hashlib.sha256(site.name.lower().encode() + b"\0" + site.prefix.encode())
    return int.from_bytes(h.digest()[:4], "big") >> 1, 0x40000000 | 0x11, f"msup.{h.hexdigest()[:40]}.{purpose}.work"


@test
def a_standby(site, env):
    """A reader: PostgreSQL in recovery, InnoDB opened read-only. Nothing is written, nobody installs."""
    kind = {"pgsql": Postgres, "mariadb": MariaDB}[site.server.kind]
    server = kind(env.folder, name=f"reader-{site.server.kind}").start()
    try:
        other = sites(env, server, site.name)
        server.stop()
        if server.kind == "pgsql":
            open(os.path.join(server.data, "standby.signal"), "w").close()
        else:
            server.options.append("innodb-read-only=1")
        server.start()
        lead = other.member("m").start()
        lead.wait_state("waiting", 15, "E-DB-READER")
        check(server.tables(site.name) == 0, "tables were made")
        other.end()
    finally:
        server.stop()


@test
def galera(site, env):
    """A node of a multi-primary cluster is refused; MOODLE_DATABASE_SINGLE_WRITER is the operator's word that it is the only one used."""
    provider = "/usr/lib/galera/libgalera_smm.so"
    if site.server.kind != "mariadb" or not os.path.exists(provider):
        return "only with MariaDB and galera-4"
    server = MariaDB(env.folder, name="galera", options=["binlog-format=ROW", "innodb-autoinc-lock-mode=2", "wsrep-on=ON", f"wsrep-provider={provider}"])
    port = server.place.port()
    server.options += ["wsrep-cluster-address=gcomm://", f"wsrep-node-address={server.host}",
                       f"wsrep-provider-options=base_port={port};gmcast.listen_addr=tcp://{server.host}:{port};gcache.size=8M"]
    server.start()
    try:
        other = sites(env, server, site.name)
        refused = other.member("refused").start()
        refused.wait_state("waiting", 20, "E-DB-MULTI-PRIMARY")
        check(server.tables(site.name) == 0, "it worked on a multi-primary")
        allowed = other.member("allowed", db_single_writer=True).start()
        allowed.wait_state("current", 60)
        check(runs(other) == ["ok"], f"runs {other.deploy_runs()}")
        other.end()
    finally:
        server.stop()
    return None


@test
def session_of_another_user(site, env):
    """Another database user's session owns the work lock: it cannot be ended, so nobody works; when it has gone, all goes well."""
    key1, key2, name = keys(site)
    s = site.server
    if s.kind == "pgsql":
        words = ["psql", "-XAtq", "-h", s.host, "-p", str(s.port), "-U", "postgres", "-d", site.name, "-c", f"SELECT pg_advisory_lock({key1}, {key2})", "-c", "SELECT pg_sleep(600)"]
        env_of = {"PGPASSWORD": "of-the-server"}
    else:
        words = ["mariadb", "--no-defaults", f"--socket={s.socket}", "-u", "root", site.name, "-e", f"SELECT GET_LOCK('{name}', 5); SELECT SLEEP(600)"]
        env_of = {}
    stranger = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], **env_of})
    owned = f"SELECT count(*) FROM pg_locks WHERE locktype='advisory' AND classid={key1} AND objid={key2}" if s.kind == "pgsql" else f"SELECT IS_USED_LOCK('{name}') IS NOT NULL"
    try:
        wait_for("the stranger owns the lock", lambda: site.sql(owned) == "1", 10)
        lead = site.member("m").start()
        lead.wait_state("waiting", 15, "E-OLD-SESSION")
        time.sleep(1)
        check(s.tables(site.name) <= 2, "it installed beside the stranger")
    finally:
        stranger.kill()
        stranger.wait()
    if s.kind == "mariadb":  # the server sees the end of a sleeping session's client late
        for one in site.server.sql("SELECT id FROM information_schema.processlist WHERE user='root' AND info LIKE '%SLEEP(600)%' AND id<>CONNECTION_ID()", db="").split():
            site.server.sql(f"KILL {one}", db="", check=False)
    else:
        site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='postgres' AND query LIKE '%pg_sleep(600)%' AND pid<>pg_backend_pid()")
    lead.wait_state("current", 40)


@test
def no_prefix(site, env):
    """Without a prefix our tables would keep Moodle's installer out, and every table would be Moodle's."""
    for prefix in ("", "Mdl_", "1x", "muchtoolong_"):
        m = site.member("m" + prefix.lower(), db_prefix=prefix)
        p = m.run("probe")
        check('"id":"E-DB-PREFIX"' in p.stdout and p.returncode == 78, f"{prefix!r}: {p.stdout}")
    check(site.server.tables(site.name) == 0, "tables were made")


@test
def database_clock_set_back(site, env):
    """The last heartbeat lies in the future: it is said, and the whole pause is kept by our own clock before anybody works."""
    installed(site, 1)[0].stop()
    later = "now() + interval '1 hour'" if site.server.kind == "pgsql" else "UTC_TIMESTAMP(6) + INTERVAL 1 HOUR"
    site.sql(f"UPDATE sup_coord SET heartbeat_at = {later}, phase = 'grace' WHERE purpose='deploy'")
    began = time.monotonic()
    lead = site.member("n", "core", lease_scale=50).start()
    lead.wait_state("current", 60)
    check(time.monotonic() - began > 4, "the pause was not kept")
    check(any(e.get("id") == "E-CLOCK-STEP" for e in lead.events() if e["event"] == "log"), f"{lead.texts()}")
