"""Bad input: each kind has its own error id and, where the container must end, its own exit status."""
import os
import shutil

from lib.case import check, equal, test
from lib.member import command_output
from lib.proc import Failure, free_port

CONFIG, NOPERM, NOINPUT, CANTCREAT, DATAERR = 78, 77, 66, 73, 65


def ends_with(m, status, id, seconds=30, words=()):  # noqa: A002
    """The member ends by itself, with that status, and its log holds that id."""
    m.start()
    equal(m.wait_exit(seconds), status, f"exit status ({m.tail()})")
    found = m.log(id=id)
    check(found, f"no log line with {id}:\n{m.tail()}")
    text = "\n".join(o.get("msg", "") for o in found)
    for word in words:
        check(word in text, f"{word!r} is not in the message: {text}")
    secrets(m)


def waits_with(m, id, seconds=40):  # noqa: A002
    """The member stays alive, unready, and says why; a stop ends it with 0."""
    m.start()
    m.wait_log(id, lambda o: o.get("id") == id, seconds)
    equal(m.wait_phase("LEAD", 10), "LEAD", "phase")
    equal(m.get("/-/live").status, 200, "liveness")
    equal(m.get("/-/ready").status, 503, "readiness")
    equal(m.status()["id"], id, "id in moodlectl status")
    secrets(m)
    equal(m.drain(15), 0, "exit status of a stop while it waits")


def secrets(m):
    text = m.raw_log() + m.errors()
    for name, value in m.env().items():
        if name.endswith("_PASSWORD") and len(value) > 5:
            check(value not in text and value.replace("\\", "\\\\").replace('"', '\\"') not in text, f"the value of {name} is in the log")


@test(dbs=("pgsql",))
def missing_settings(t):
    m = t.site(MOODLE_URL=None, MOODLE_DATABASE_HOST=None).member(1)
    ends_with(m, CONFIG, "E-SET-MISSING", words=("MOODLE_URL", "MOODLE_DATABASE_HOST"))


@test(dbs=("pgsql",))
def all_mistakes_at_once(t):
    m = t.site(MOODLE_URL="not an address", MOODLE_DATABASE_PORT_NUMBER="x1", MOODLE_DATABSE_NAME="moodle", MOODLE_DATABASE_USER=None).member(1)
    ends_with(m, CONFIG, "E-SET-INVALID", words=("MOODLE_URL", "MOODLE_DATABASE_PORT_NUMBER"))
    check(m.log(id="E-SET-MISSING"), "the missing setting is not reported beside the others")
    check(any("MOODLE_DATABASE_NAME" in o["msg"] for o in m.log(id="E-SET-UNKNOWN")), "the misspelt setting gets no proposal")
    p = command_output(m.site, ["config", "check"])
    equal(p.returncode, CONFIG, f"config check ({p.stdout}{p.stderr})")


@test(dbs=("pgsql",))
def contradictory_settings(t):
    path = t.folder.make(f"{t.name}-secret", mode=0o755) + "/password"
    with open(path, "w") as f:
        f.write("from-the-file\n")
    m = t.site(MOODLE_DATABASE_PASSWORD_FILE=path).member(1)
    ends_with(m, CONFIG, "E-SET-CONFLICT", words=("MOODLE_DATABASE_PASSWORD", "MOODLE_DATABASE_PASSWORD_FILE"))
    m = t.site(MOODLE_SSLPROXY="true").member(1)
    ends_with(m, CONFIG, "E-SET-CONFLICT", words=("MOODLE_SSLPROXY", "MOODLE_URL"))
    m = t.site(redis=None, MOODLE_REDIS_HOST="127.0.0.1", MOODLE_REDIS_USER="app").member(1)
    ends_with(m, CONFIG, "E-SET-MISSING", words=("MOODLE_REDIS_USER", "MOODLE_REDIS_PASSWORD"))


@test(dbs=("pgsql",))
def secret_file_missing(t):
    m = t.site(MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_PASSWORD_FILE="/nowhere/password").member(1)
    ends_with(m, CONFIG, "E-SET-FILE", words=("/nowhere/password",))


@test(dbs=("pgsql",))
def secret_from_a_file(t):
    """Any byte, and one newline at the end is not part of it."""
    path = t.folder.make(f"{t.name}-secret", mode=0o755) + "/password"
    with open(path, "w") as f:
        f.write(t.db.password + "\n")
    site = t.site(installed="base", MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_PASSWORD_FILE=path)
    site.serve((1,))


@test(dbs=("pgsql",))
def unknown_database_type(t):
    ends_with(t.site(MOODLE_DATABASE_TYPE="oracle").member(1), CONFIG, "E-DB-TYPE", words=("oracle",))


@test()
def wrong_database_password(t):
    waits_with(t.site(MOODLE_DATABASE_PASSWORD="certainly wrong").member(1), "E-DB-AUTH")


@test()
def no_such_database(t):
    # without a right on it MySQL says "access denied" for a database that does not exist
    waits_with(t.site(MOODLE_DATABASE_NAME="not_there").member(1), "E-DB-NO-DATABASE" if t.kind == "pgsql" else "E-DB-PRIVILEGE")


@test()
def unreachable_database(t):
    site = t.site(MOODLE_DATABASE_PORT_NUMBER=free_port())
    waits_with(site.member(1), "E-DB-REFUSED")
    waits_with(site.member(1, env={"MOODLE_DATABASE_HOST": "database.invalid"}), "E-DB-DNS")


@test(seconds=150)
def read_only_database(t):
    server = t.server()
    site = t.site(db=server)
    server.set_read_only(True)
    m = site.member(1)
    m.start()
    m.wait_log("E-DB-READ-ONLY", lambda o: o.get("id") == "E-DB-READ-ONLY", 40)
    equal(m.phase(), "LEAD", "phase")
    equal(server.tables(site.db_name), 0, "tables in the read-only database")
    server.set_read_only(False)
    server.end_sessions(site.db_name)
    m.wait_phase("SERVE", 600 if t.real else 90)


@test(seconds=120)
def database_comes_later(t):
    """The server is not there yet when the member starts: it waits, says so, and goes on when it comes."""
    server = t.server()
    site = t.site(db=server)
    server.stop()
    m, = site.start((1,))
    m.wait_log("E-DB-REFUSED", lambda o: o.get("id") == "E-DB-REFUSED", 30)
    server.start()
    m.wait_phase("SERVE", 600 if t.real else 80)


@test(dbs=("pgsql",))
def redis_refuses_auth(t):
    waits_with(t.site(MOODLE_REDIS_PASSWORD="certainly wrong").member(1), "E-REDIS-AUTH")


@test(dbs=("pgsql",))
def redis_wants_a_password(t):
    waits_with(t.site(MOODLE_REDIS_PASSWORD=None).member(1), "E-REDIS-AUTH")


@test(dbs=("pgsql",))
def redis_unreachable(t):
    waits_with(t.site(MOODLE_REDIS_PORT_NUMBER=free_port()).member(1), "E-REDIS-REFUSED")


@test(dbs=("pgsql",))
def redis_with_tls_and_acl_user(t):
    redis = t.redis(password="tls 'pass", acl_user="app", tls=True)
    site = t.site(installed="base", redis=redis)
    site.serve((1,))
    site.members["m1"].get("/login/index.php")
    check(redis.keys(f"{site.prefix}*"), "no key in Redis")
    waits_with(site.member(2, env={"MOODLE_REDIS_CA_FILE": None}), "E-REDIS-TLS")


@test(dbs=("pgsql",))
def run_directory_not_writable(t):
    m = t.site().member(1, before="mount -o remount,ro /run/moodlectl")
    ends_with(m, CANTCREAT, "E-DIR-RUN", words=("/run/moodlectl",))


@test(dbs=("pgsql",))
def local_directory_not_writable(t):
    m = t.site().member(1, before="mount -t tmpfs -o ro none /var/cache/moodlectl")
    ends_with(m, CANTCREAT, "E-DIR-LOCAL", words=("/var/cache/moodlectl",))


@test(dbs=("pgsql",))
def moodledata_missing(t):
    ends_with(t.site().member(1, data="none"), NOINPUT, "E-DATA-MISSING", words=("/var/www/moodledata",))


@test(dbs=("pgsql",))
def moodledata_not_writable(t):
    site = t.site()
    os.chown(site.data, 0, 0)
    os.chmod(site.data, 0o755)
    ends_with(site.member(1), NOPERM, "E-DATA-WRITE", words=("/var/www/moodledata",))


def broken_template(t, change):
    templates = t.folder.make(f"{t.name}-templates", mode=0o755)
    shutil.copytree(t.bench.programs.templates, templates, dirs_exist_ok=True)
    path = os.path.join(templates, "nginx.conf")
    found = [n for n in os.listdir(templates) if n.startswith("nginx.conf")]
    if not found:
        raise Failure("there is no template for nginx.conf")
    path = os.path.join(templates, found[0])
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(change(text))
    return templates


@test(dbs=("pgsql",))
def template_with_an_unknown_name(t):
    def change(text):
        mark = "{{" if "{{" in text else "@" if "@{" in text else "${"
        check(mark in text, "no placeholder in the template")
        close = {"{{": "}}", "@": "@", "${": "}"}[mark]
        return text + f"\n# {mark}no_such_name{close}\n"
    m = t.site(MOODLECTL_TEMPLATE_DIR=broken_template(t, change)).member(1)
    ends_with(m, DATAERR, "E-TEMPLATE", words=("no_such_name",))


@test(dbs=("pgsql",))
def template_that_nginx_refuses(t):
    m = t.site(MOODLECTL_TEMPLATE_DIR=broken_template(t, lambda text: text + "\nno_such_directive on;\n")).member(1)
    ends_with(m, DATAERR, "E-RENDER-TEST", words=("no_such_directive",))


@test(dbs=("pgsql",))
def code_is_not_moodle(t):
    code = t.folder.make(f"{t.name}-code", mode=0o755)
    with open(code + "/index.html", "w") as f:
        f.write("not Moodle\n")
    ends_with(t.site().member(1, release=code), NOINPUT, "E-CODE-MISSING", words=("/srv/moodle",))


@test(dbs=("pgsql",))
def a_config_php_that_is_not_ours(t):
    code = os.path.join(t.folder.make(f"{t.name}-code", mode=0o755), "tree")
    t.code._copy(t.code.path("base"), code)
    os.unlink(code + "/config.php")
    with open(code + "/config.php", "w") as f:
        f.write("<?php\n$CFG = new stdClass();\n$CFG->dbtype = 'pgsql';\n")
    ends_with(t.site().member(1, release=code), CONFIG, "E-CODE-CONFIG", words=("config.php",))


@test(dbs=("pgsql",))
def a_program_is_missing(t):
    ends_with(t.site(MOODLECTL_PHP="/nowhere/php").member(1), CONFIG, "E-PROGRAM-MISSING", words=("/nowhere/php",))
    ends_with(t.site(MOODLECTL_USER="nobody-here").member(1), CONFIG, "E-USER", words=("nobody-here",))


@test(dbs=("pgsql",))
def install_switched_off(t):
    site = t.site(MOODLECTL_INSTALL="never")
    m, = site.start((1,))
    m.wait_phase("HOLD", 40)
    equal(m.health()["id"], "E-INSTALL-OFF", "reason")
    equal(site.db.tables(site.db_name), 0, "tables of Moodle")
    equal(m.drain(15), 0, "exit status")


@test(dbs=("pgsql",))
def install_without_an_administrator(t):
    m, = t.site(MOODLE_PASSWORD=None).start((1,))
    m.wait_phase("HOLD", 40)
    equal(m.health()["id"], "E-INSTALL-SETTINGS", "reason")


@test(seconds=60)
def half_an_installation_of_somebody_else(t):
    site = t.site()
    site.sql("CREATE TABLE mdl_config (id int, name varchar(255), value text)", admin=False)
    for name in ("course", "user"):
        site.sql(f"CREATE TABLE mdl_{name} (id int)", admin=False)
    m, = site.start((1,))
    m.wait_phase("HOLD", 40)
    equal(m.health()["id"], "E-HALF-INSTALLED", "reason")
    equal(site.db.tables(site.db_name) >= 3, True, "its tables are still there")
