"""The questions. Each takes a Site and returns what must be equal for the stand-in and for a real Moodle.

They are asked in this order, and each leaves the site as the next one expects it: first on empty databases, then on
an installed site, last with other code.
"""

import json
import re
import signal
import threading
import time

INSTALL = ("admin/cli/install_database.php", "--agree-license", "--adminpass=Secret1!", "--fullname=Full", "--shortname=Short",
           "--adminemail=a@example.org")
WEB = ("/", "/login/index.php", "/admin/index.php")
WORK = "\\local_standincheck\\task\\work"
QUESTIONS = []


def question(function):
    QUESTIONS.append(function)
    return function


def shape(result):
    """Output of an install or upgrade without what depends on plugins and clocks."""
    lines = []
    for line in result.get("out", []):
        line = re.sub(r"\(\d+\.\d+ seconds\)", "(N seconds)", line)
        if re.match(r"\+\+ \S+: Success", line) or line.startswith("New setting:"):
            continue        # Only printed for what took more than a second; only of real settings.
        line = re.sub(r"^-->[a-z0-9]+_\w+$", "-->PLUGIN", line)
        if lines[-2:] != ["-->PLUGIN", "++ Success (N seconds) ++"] or line not in lines[-2:]:
            lines.append(line)
    return {"exit": result["exit"], "out": lines, "err": result.get("err")}


def first(result, count=1):
    """Exit status and the first lines: what follows an error message is a trace for developers."""
    return {"exit": result["exit"], "out": result.get("out", [])[:count], "err": result.get("err", [])[:count]}


def build_hash(site):
    """The script that an image build runs: version, branch and the hash of all versions, without a database."""
    path = site.folder / "hash.php"
    path.write_text("""<?php define('CLI_SCRIPT',1); define('CACHE_DISABLE_ALL',true); define('IGNORE_COMPONENT_CACHE',true);
define('PHPUNIT_TEST',false); define('MOODLE_INTERNAL',1);
$CFG=new stdClass; $CFG->dirroot=$argv[1]; $CFG->libdir="$CFG->dirroot/lib"; $CFG->admin='admin';
$CFG->dataroot=$CFG->cachedir='/nonexistent';
require "$CFG->libdir/classes/component.php"; require "$CFG->dirroot/version.php";
$c=class_exists('\\\\core\\\\component',false)?'\\\\core\\\\component':'core_component';
echo $version,' ',$branch,' ',$c::get_all_versions_hash();""")
    return site.php(str(path), str(site.tree))


# -- an empty database ----------------------------------------------------------------------------------------------

@question
def empty_database(site):
    return {script: first(site.php(f"admin/cli/{script}", *args)) for script, args in (
        ("upgrade.php", ["--is-pending"]), ("check_database_schema.php", []))}


@question
def empty_database_web(site):
    return {path: site.status(path) for path in WEB}


@question
def install_refusals(site):
    script = INSTALL[0]
    return [first(site.php(script), 2), first(site.php(script, "--agree-license"), 2), first(site.php(script, *INSTALL[1:], "--bogus"), 3),
            first(site.php(script, "--agree-license", "--adminpass=x", "--adminemail=nope"), 2),
            first(site.php(*INSTALL, inputvars=1000), 20)["exit"]]


@question
def install_without_config(site):
    (site.tree / "config.php").unlink()
    answer = site.php(*INSTALL)
    site.configure("")
    return answer


@question
def environment_report(site):
    out = site.php(*INSTALL, inputvars=1000)["out"]
    return {"first": out[0], "names it": any("max_input_vars must be at least 5000" in line for line in out)}


@question
def database_unreachable(site):
    """Wrong password and nobody listening look the same."""
    answers = []
    for overrides in ({"dbhost": "127.0.0.1", "dbuser": "nobody", "dbpass": "wrong", "dbname": "nothing"},):
        site.configure("", **overrides)
        answers.append(first(site.php("admin/cli/upgrade.php", "--is-pending"), 3))
        answers.append(site.status("/login/index.php"))
        ajax = site.get("/lib/ajax/service.php", body="[]")
        answers.append([ajax["status"], json.loads(ajax["body"])["errorcode"]])
    site.configure("")
    return answers


@question
def bad_settings(site):
    answers = []
    for overrides in ({"dataroot": "/nonexistent"}, {"wwwroot": site.base + "/"}):
        site.configure("", **overrides)
        answers.append(first(site.php("admin/cli/cfg.php"), 2))
        answers.append(site.get("/")["status"])
    site.configure("")
    return answers


# -- installs that do not finish ------------------------------------------------------------------------------------

def lost(site):
    """What the schema check misses; a real tree may have more than it expects."""
    return [line for line in site.php("admin/cli/check_database_schema.php")["out"] if "is missing" in line]


def slow_down(site, **options):
    """Make the stand-in as slow as a real one; the real one needs no help."""
    if site.kind == "standin":
        (site.data / "standin.json").write_text(json.dumps(options))


def half_install(site, until, how, steps):
    """Start an install, end it when the row is there, and say what is left."""
    site.fresh()
    slow_down(site, slow_ms=3000, steps=steps)
    process = site.start(*INSTALL)
    reached = site.wait_row(until)
    time.sleep(0.5)
    process.send_signal(how)
    ended = site.finish(process)
    slow_down(site)
    rows = site.config("rolesactive", "version", "release", "allversionshash", "upgraderunning")
    user = site.sql("SELECT password FROM mdl_user WHERE username = 'admin'")
    return {"reached": reached, "exit": ended["exit"], "last line": ended["out"][-1:] if how == signal.SIGTERM else None,
            "rolesactive": rows["rolesactive"], "allversionshash": rows["allversionshash"], "release": bool(rows["release"]),
            "upgraderunning": bool(rows["upgraderunning"]) and 0 < int(rows["upgraderunning"]) - time.time() <= 300, "admin": user}


@question
def install_sigterm(site):
    left = half_install(site, "release", signal.SIGTERM, ["mod_forum", "mod_page"])
    return {"left": left, "again": site.php(*INSTALL), "is-pending": first(site.php("admin/cli/upgrade.php", "--is-pending")),
            "cron": first(site.php("admin/cli/cron.php")), "web": [site.status("/"), site.status("/login/index.php")]}


@question
def install_sigint(site):
    return half_install(site, "release", signal.SIGINT, ["mod_forum", "mod_page"])


@question
def install_sigkill(site):
    left = half_install(site, "release", signal.SIGKILL, ["mod_forum", "mod_page"])
    running = {"again": site.php(*INSTALL), "is-pending": site.php("admin/cli/upgrade.php", "--is-pending"),
               "web": site.status("/login/index.php")}
    site.set_row("upgraderunning", int(time.time()) - 5)
    after = {"again": site.php(*INSTALL), "row": site.config("upgraderunning")}
    upgraded = site.php("admin/cli/upgrade.php", "--non-interactive")
    return {"left": left, "running": running, "after": after, "upgrade": [upgraded["exit"], upgraded["out"][-1:]],
            "rolesactive": site.config("rolesactive"), "is-pending": site.php("admin/cli/upgrade.php", "--is-pending")["exit"],
            "admin": site.sql("SELECT password FROM mdl_user WHERE username = 'admin'")}


@question
def install_killed_before_version(site):
    """Tables, but no version: nobody's command line repairs that."""
    site.fresh()
    slow_down(site, slow_ms=3000, steps=["core_version"])
    process = site.start(*INSTALL)
    reached = site.wait_row("siteadmins")
    process.send_signal(signal.SIGKILL)
    site.finish(process)
    slow_down(site)
    site.set_row("upgraderunning", None)
    return {"reached": reached, "version": site.config("version"), "is-pending": first(site.php("admin/cli/upgrade.php", "--is-pending")),
            "again": first(site.php(*INSTALL)), "web": [site.status(path) for path in WEB]}


@question
def install_three_at_once(site):
    site.fresh()
    slow_down(site, ddl_ms=50)
    processes = [site.start(*INSTALL) for _ in range(3)]
    results = [site.finish(process) for process in processes]
    slow_down(site)
    return {"exits": sorted(r["exit"] for r in results), "losers": [bool(r["out"] + r["err"]) for r in results], "missing": lost(site)}


# -- an installed site ----------------------------------------------------------------------------------------------

@question
def install(site):
    site.fresh()
    for path in ("cache", "localcache", "temp", "muc"):
        (site.data / path).mkdir()
        (site.data / path / "canary").write_text("x")
    result = shape(site.php(*INSTALL))
    left = [path for path in ("cache", "localcache", "temp", "muc") if (site.data / path / "canary").exists()]
    return {"result": result, "canaries": left}


@question
def installed_rows(site):
    names = ["upgraderunning", "rolesactive", "siteidentifier", "siteguest", "siteadmins", "themerev", "version", "maintenance_enabled",
             "cron_enabled", "release", "branch", "localcachedirpurged", "scheduledtaskreset", "allversionshash", "allcomponenthash",
             "registrationpending", "supportemail"]
    rows = site.sql("SELECT name, value FROM mdl_config ORDER BY id")
    values = dict(rows)
    fixed = ("rolesactive", "version", "release", "branch", "maintenance_enabled", "cron_enabled", "cron_keepalive", "registrationpending",
             "supportemail", "registerauth", "siteguest", "siteadmins", "adminsetuppending", "outagelessupgrade",
             "task_scheduled_concurrency_limit", "task_adhoc_concurrency_limit", "sessiontimeout", "lang", "theme")
    return {"order": [name for name, _ in rows if name in names], "values": {name: values.get(name) for name in fixed},
            "users": site.sql("SELECT username, email, auth, substr(password, 1, 16) FROM mdl_user ORDER BY id")[:2],
            "site": site.sql("SELECT fullname, shortname, format FROM mdl_course"),
            "plugin": site.sql("SELECT name FROM mdl_config_plugins WHERE plugin = 'mod_page' AND name = 'version'")}


@question
def build_time_hash(site):
    rows = site.config("version", "branch", "allversionshash")
    return build_hash(site)["out"] == [f"{rows['version']} {rows['branch']} {rows['allversionshash']}"]


@question
def installed_again(site):
    return site.php(*INSTALL)


@question
def nothing_to_upgrade(site):
    return [site.php("admin/cli/upgrade.php", option) for option in ("--is-pending", "--is-maintenance-required", "--non-interactive")]


@question
def unknown_options(site):
    return {script: site.php(f"admin/cli/{script}", "--bogus", "-z") for script in (
        "upgrade.php", "cron.php", "maintenance.php", "cfg.php", "purge_caches.php", "adhoc_task.php")}


@question
def installed_web(site):
    pages = {path: site.status(path) for path in ("/", "/login/index.php", "/pluginfile.php/1/nothing/here", "/lib/ajax/service.php",
                                                  "/admin/cli/cron.php")}
    pages["host"] = site.status("/login/index.php", headers={"Host": "10.1.2.3"})
    return pages


@question
def log_in(site):
    cookies = {}
    page = site.get("/login/index.php", cookies=cookies)
    token = re.search(r'name="logintoken" value="(\w+)"', page["body"]).group(1)
    wrong = site.get("/login/index.php", body=f"username=admin&password=no&logintoken={token}", cookies=cookies)
    page = site.get("/login/index.php", cookies=cookies)
    token = re.search(r'name="logintoken" value="(\w+)"', page["body"]).group(1)
    before = cookies["MoodleSession"]
    right = site.get("/login/index.php", body=f"username=admin&password=Secret1!&logintoken={token}", cookies=cookies)
    hop = site.get(right["location"].replace("WWW", ""), cookies=cookies)
    return {"wrong": [wrong["status"] in (200, 303), "logininfo" in wrong["body"] or wrong["status"] == 303], "right": right["status"],
            "to": right["location"], "new session": cookies["MoodleSession"] != before, "hop": hop["status"]}


@question
def maintenance_by_script(site):
    run = lambda *args: site.php("admin/cli/maintenance.php", *args)
    there = lambda: (site.data / "climaintenance.html").exists()
    answers = [run(), run("--enable"), there(), run("--enable"), run()]
    answers += [site.php("admin/cli/cron.php"), site.php("admin/cli/cron.php", "--force"), site.php("admin/cli/adhoc_task.php", "--execute"),
                site.php("admin/cli/cfg.php", "--name=branch"), site.php("admin/cli/purge_caches.php"), run("--enablelater=5")]
    answers += [run("--disable"), there(), run("--disable"), site.config("maintenance_enabled", "maintenance_later")]
    answers += [run("--enableold"), site.config("maintenance_enabled", "maintenance_later"), run(), run("--disable")]
    return answers


@question
def maintenance_by_file(site):
    (site.data / "climaintenance.html").write_text("<p>our page</p>")
    answers = {}
    for path in ("/", "/login/index.php", "/lib/ajax/service.php", "/theme/styles.php/boost/1/all"):
        answer = site.get(path)
        wanted = ("Retry-After", "Content-Type", "Cache-Control", "Pragma", "Expires", "Accept-Ranges")
        answers[path] = [answer["status"], answer["body"], {name: answer["headers"].get_all(name) for name in wanted}]
    answers["status"] = site.php("admin/cli/maintenance.php")["out"][-1]
    (site.data / "climaintenance.html").unlink()
    return answers


@question
def maintenance_template_and_later(site):
    (site.data / "climaintenance.template.html").write_text("<p>template</p>")
    site.php("admin/cli/maintenance.php", "--enable")
    text = (site.data / "climaintenance.html").read_text()
    site.php("admin/cli/maintenance.php", "--disable")
    (site.data / "climaintenance.template.html").unlink()
    later = site.php("admin/cli/maintenance.php", "--enablelater=10")
    row = site.config("maintenance_later")["maintenance_later"]
    site.php("admin/cli/cfg.php", "--name=maintenance_later", f"--set={int(time.time()) - 5}")
    started = (site.data / "climaintenance.html").exists()
    site.php("admin/cli/cfg.php", "--name=branch")      # Whatever comes first begins the maintenance.
    begun = (site.data / "climaintenance.html").exists()
    left = site.config("maintenance_later")
    site.php("admin/cli/maintenance.php", "--disable")
    return {"text": text, "later": [later["exit"], re.sub(r" on .*", " on TIME", later["out"][-1])],
            "row": 550 < int(row) - time.time() < 610, "started": started, "begun": begun, "left": left}


@question
def upgrade_running(site):
    site.set_row("upgraderunning", int(time.time()) + 300)
    site.snippet("cache_helper::purge_all(true);")
    answers = {script: site.php(f"admin/cli/{script}", *args) for script, args in (
        ("upgrade.php", ["--is-pending"]), ("cron.php", []), ("maintenance.php", ["--disable"]), ("cfg.php", ["--name=branch"]),
        ("purge_caches.php", []))}
    answers["helper"] = site.snippet("echo $DB->get_dbfamily() === '" + site.server.family + "' ? 'runs' : 'other';")
    answers["web"] = [site.status("/"), "upgraded" in site.get("/login/index.php")["body"]]
    ajax = site.get("/lib/ajax/service.php", body="[]")
    answers["ajax"] = [ajax["status"], json.loads(ajax["body"])["errorcode"]]
    site.set_row("upgraderunning", int(time.time()) - 2)
    site.snippet("cache_helper::purge_all(true);")
    answers["past"] = [site.php("admin/cli/cfg.php", "--name=branch"), site.config("upgraderunning")]
    return answers


@question
def upgrade_running_is_cached(site):
    """A row deleted by SQL goes on working from the cache, except where caches are disabled."""
    site.set_row("upgraderunning", int(time.time()) + 300)
    site.snippet("cache_helper::purge_all(true);")
    site.php("admin/cli/cfg.php", "--name=branch")
    site.set_row("upgraderunning", None)
    answers = [site.php("admin/cli/cfg.php", "--name=branch")["exit"], site.php("admin/cli/upgrade.php", "--is-pending")["exit"]]
    site.snippet("cache_helper::purge_all(true);")
    return answers + [site.php("admin/cli/cfg.php", "--name=branch")["exit"]]


@question
def cfg(site):
    run = lambda *args: site.php("admin/cli/cfg.php", *args)
    return [run("--name=release"), run("--name=nothing"), run("--name=a_b", "--set=c'd"), run("--name=a_b"), run("--name=a_b", "--shell-arg"),
            run("--name=a_b", "--json"), run("--name=a_b", "--no-eol"), run("--name=a_b", "--unset"), run("--name=a_b"),
            run("--name=wwwroot", "--set=x"), run("--set=x"), run("--component=mod_page", "--name=version")["exit"], run("--help")["exit"]]


@question
def purge(site):
    for path in ("cache", "localcache"):
        (site.data / path).mkdir(exist_ok=True)
        (site.data / path / "canary").write_text("x")
    site.set_row("localcachedirpurged", 1)
    site.set_row("scheduledtaskreset", 1)
    result = site.php("admin/cli/purge_caches.php")
    rows = site.config("localcachedirpurged", "scheduledtaskreset")
    return {"result": result, "canaries": [(site.data / path / "canary").exists() for path in ("cache", "localcache")],
            "rows": [abs(int(value) - time.time()) < 10 for value in rows.values()]}


@question
def helper_api(site):
    return site.snippet("""
echo $DB->get_dbfamily(), "\\n", $DB->get_field_sql('SELECT value FROM {config} WHERE name = ?', ['branch']), "\\n";
echo $DB->get_field('config', 'value', ['name' => 'branch']), "\\n", $DB->get_record('config', ['name' => 'branch'])->value, "\\n";
echo count($DB->get_records_sql('SELECT id, name FROM {config} WHERE name IN (?, ?)', ['branch', 'release'])), "\\n";
$DB->set_field('user', 'password', hash_internal_user_password('Secret2!'), ['username' => 'admin']);
echo password_verify('Secret2!', $DB->get_field('user', 'password', ['username' => 'admin'])) ? 'password set' : 'no', "\\n";
$DB->set_field('user', 'password', hash_internal_user_password('Secret1!'), ['username' => 'admin']);
$DB->execute('UPDATE {config} SET value = ? WHERE name = ?', ['a?b', 'nothing']);
try { $DB->execute('SELECT 1; SELECT 2'); } catch (Exception $e) { echo (new ReflectionClass($e))->getShortName(), ' ', substr($e->getMessage(), 0, 44), "\\n"; }
try { $DB->get_field_sql('SELECT nothing FROM {nowhere}'); } catch (dml_exception $e) { echo $e->getMessage(), "\\n"; }
var_dump($DB->get_field('config', 'value', ['name' => 'nothing']), isset($DB->get_tables()['config']), $DB->get_prefix());
if ($DB->get_dbfamily() === 'postgres') { echo $DB->get_field_sql("SELECT current_setting('application_name')"), "\\n"; }
""")


@question
def cache_writer(site):
    """The configuration of the cache, through the writer's own functions, to a file outside moodledata."""
    site.configure("$CFG->altcacheconfigpath = '" + str(site.folder / "muc.php") + "';")
    answer = site.snippet("""
$w = \\core_cache\\config_writer::instance();
$w->add_store_instance('redis_app', 'redis', ['server' => '%s:%d', 'prefix' => 'chk_', 'password' => '', 'serializer' => 1]);
$w->edit_store_instance('redis_app', 'redis', ['server' => '%s:%d', 'prefix' => 'chk_', 'password' => '', 'serializer' => 1]);
$w->add_store_instance('local_file', 'file', ['path' => '%s', 'autocreate' => 1]);
$w->set_mode_mappings([1 => ['redis_app'], 2 => ['redis_app'], 4 => ['default_request']]);
$w->set_definition_mappings('core/string', ['local_file']);
cache_helper::update_definitions();
include('%s');
echo json_encode([array_keys($configuration), array_keys($configuration['stores']), $configuration['modemappings'],
    $configuration['definitionmappings'], $configuration['stores']['redis_app'], isset($configuration['definitions']['core/config']),
    get_class($w), isset($w->get_all_stores()['redis_app'])]);
""" % (site.redis.host, site.redis.port, site.redis.host, site.redis.port, site.folder / "localfile", site.folder / "muc.php"))
    (site.folder / "localfile").mkdir(exist_ok=True)
    site.redis.cli("FLUSHALL")
    page = site.status("/login/index.php")
    keys = site.redis.keys()
    keys = sorted({re.sub(r"[0-9a-f]{32}", "<md5>", key) for key in keys if not key.endswith("_ttl")})
    return {"written": answer, "page": page, "keys": keys}


@question
def cache_redis_refuses(site):
    text = (site.folder / "muc.php").read_text().replace(f"{site.redis.host}:{site.redis.port}", "127.0.0.1:1")
    (site.folder / "muc.php").write_text(text)
    site.redis.cli("FLUSHALL")
    answer = [site.status("/login/index.php"), site.redis.cli("DBSIZE"), (site.data / "cache" / "cachestore_file").exists()]
    site.configure("")
    return answer


@question
def cache_file_not_writable_place(site):
    """A configuration path whose folder is missing is ignored without a word."""
    site.configure("$CFG->altcacheconfigpath = '/nonexistent/folder/muc.php';")
    answer = [site.php("admin/cli/cfg.php", "--name=branch"), (site.data / "muc" / "config.php").exists()]
    site.configure("")
    return answer


def redis_session(site, **more):
    lines = {"session_handler_class": "'\\core\\session\\redis'", "session_redis_host": f"'{site.redis.host}'",
             "session_redis_port": site.redis.port, "session_redis_prefix": "'pre_'", "session_redis_database": 2, **more}
    return "\n".join(f"$CFG->{name} = {value};" for name, value in lines.items())


@question
def sessions_in_redis(site):
    site.configure(redis_session(site))
    site.redis.cli("FLUSHALL")
    cookies = {}
    page = site.get("/login/index.php", cookies=cookies)
    token = re.search(r'name="logintoken" value="(\w+)"', page["body"]).group(1)
    right = site.get("/login/index.php", body=f"username=admin&password=Secret1!&logintoken={token}", cookies=cookies)
    sid = cookies["MoodleSession"]
    keys = sorted(key.replace(sid, "<sid>") for key in site.redis.keys(db=2))
    fields = sorted(site.redis.cli("HKEYS", f"pre_session_{sid}", db=2).split())
    return {"status": right["status"], "keys": keys, "fields": fields, "type": site.redis.cli("TYPE", f"pre_session_{sid}", db=2)}


@question
def sessions_auth(site):
    """Password as a string, user and password as an array, a wrong one, and nobody listening."""
    answers = []
    site.redis.cli("ACL", "SETUSER", "moodle", "on", ">pw", "~*", "+@all")
    for auth in ("['moodle', 'pw']", "['moodle', 'wrong']"):
        site.configure(redis_session(site, session_redis_auth=auth))
        answers.append(site.status("/login/index.php"))
    site.configure(redis_session(site, session_redis_port=1))
    answers.append(site.status("/login/index.php"))
    ajax = site.get("/lib/ajax/service.php", body="[]")
    answers.append([ajax["status"], "error" in json.loads(ajax["body"])])
    site.configure("")
    return answers


# -- cron -----------------------------------------------------------------------------------------------------------

def queue(site, ms):
    site.sql("DELETE FROM mdl_task_adhoc")
    name = WORK.replace("\\", "\\\\") if site.server.family == "mysql" else WORK
    site.sql("INSERT INTO mdl_task_adhoc (component, classname, nextruntime, customdata, timecreated, attemptsavailable) "
             f"VALUES ('local_standincheck', '{name}', 1, '{{\"ms\":{ms}}}', 1, 12)")


def adhoc_rows(site):
    return site.sql("SELECT timestarted, hostname, pid, faildelay, attemptsavailable FROM mdl_task_adhoc")


def quiet_tasks(site):
    """Only our own task is due: nothing else runs, whatever plugins there are."""
    site.sql("UPDATE mdl_task_scheduled SET nextruntime = 4000000000")
    site.sql("DELETE FROM mdl_task_adhoc")


def cron_words(result):
    """Those lines of cron's output that are told apart by others."""
    words = ("Execute", "complete: ", "failed: ", "Ran ", "Cron run", "== ", "Terminated", "Skipping", "Cron is", "custom data")
    lines = [line for line in result.get("out", []) if any(word in line for word in words)]
    lines = [re.sub(r"found at .*", "found at TIME", line) for line in lines]
    return {"exit": result["exit"], "out": lines[:20], "err": result.get("err")}


@question
def cron_switches(site):
    run = lambda *args: site.php("admin/cli/cron.php", *args)
    site.set_row("scheduledtaskreset", 1)
    answers = [run("--disable"), site.config("cron_enabled"), run(), run("--enable"), site.config("cron_enabled"), run("--list"),
               run("--stop"), abs(int(site.config("scheduledtaskreset")["scheduledtaskreset"]) - time.time()) < 10,
               run("--disable-wait=5"), site.config("cron_enabled"), run("--enable")["exit"]]
    return answers


@question
def cron_runs(site):
    quiet_tasks(site)
    time.sleep(1.1)
    queue(site, 0)
    result = site.php("admin/cli/cron.php", "--keep-alive=0")
    row = site.sql("SELECT name FROM mdl_config_plugins WHERE plugin = 'tool_task' AND name = 'lastcronstart'")
    return {"run": cron_words(result), "start": result["out"][0][:12], "left": adhoc_rows(site), "row": row}


def cron_in_task(site, ms, keepalive=60):
    quiet_tasks(site)
    time.sleep(1.1)         # A reset in the same second does not count.
    queue(site, ms)
    process = site.start("admin/cli/cron.php", f"--keep-alive={keepalive}")
    site.wait_for(lambda: adhoc_rows(site)[0][0] is not None, 30)
    return process


@question
def cron_sigterm_idle(site):
    quiet_tasks(site)
    process = site.start("admin/cli/cron.php", "--keep-alive=60")
    time.sleep(3)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    return {"run": site.finish(process)["exit"], "soon": time.monotonic() - begin < 2}


@question
def cron_sigterm_in_task(site):
    process = cron_in_task(site, 3000)
    started = adhoc_rows(site)[0]
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    result = site.finish(process)
    return {"row": [started[0] is not None, started[1] is not None, int(started[2]) == process.pid], "run": cron_words(result),
            "waited": time.monotonic() - begin > 1, "left": adhoc_rows(site)}


@question
def cron_two_sigterms(site):
    process = cron_in_task(site, 20000)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    result = cron_words(site.finish(process))
    return {"exit": result["exit"], "soon": time.monotonic() - begin < 2, "left": adhoc_rows(site),
            "said": [line for line in result["out"] if line.startswith("==")]}


@question
def cron_sigkill_strands_a_task(site):
    process = cron_in_task(site, 2000)
    process.send_signal(signal.SIGKILL)
    killed = site.finish(process)["exit"]
    stranded = adhoc_rows(site)[0][0] is not None
    second = cron_words(site.php("admin/cli/cron.php", "--keep-alive=0"))
    still = len(adhoc_rows(site))
    site.sql("UPDATE mdl_task_adhoc SET timestarted = NULL, hostname = NULL, pid = NULL, "
             "customdata = '{\"ms\":0}' WHERE timestarted IS NOT NULL")
    third = cron_words(site.php("admin/cli/cron.php", "--keep-alive=0"))
    return {"exit": killed, "stranded": stranded, "second": second, "still": still, "third": third, "left": adhoc_rows(site)}


@question
def cron_stop_from_elsewhere(site):
    process = cron_in_task(site, 3000)
    time.sleep(1)
    stopped = site.php("admin/cli/cron.php", "--stop")
    begin = time.monotonic()
    result = site.finish(process)
    return {"stop": stopped, "exit": result["exit"], "soon": time.monotonic() - begin < 6, "left": adhoc_rows(site)}


@question
def cron_concurrency(site):
    quiet_tasks(site)
    queue(site, 4000)
    for _ in range(5):
        site.sql("INSERT INTO mdl_task_adhoc (component, classname, nextruntime, customdata, timecreated, attemptsavailable) "
                 "SELECT component, classname, nextruntime, customdata, timecreated, attemptsavailable FROM mdl_task_adhoc LIMIT 1")
    processes = [site.start("admin/cli/cron.php", "--keep-alive=0") for _ in range(5)]
    results = [site.finish(process) for process in processes]
    skipped = [any(line == "Skipping processing of adhoc tasks. Concurrency limit reached." for line in r["out"]) for r in results]
    return {"exits": [r["exit"] for r in results], "skipped": sum(skipped), "left": adhoc_rows(site)}


@question
def adhoc_script(site):
    quiet_tasks(site)
    queue(site, 0)
    answers = [site.php("admin/cli/adhoc_task.php")["exit"], len(adhoc_rows(site))]
    answers.append(cron_words(site.php("admin/cli/adhoc_task.php", "--execute")))
    answers.append(adhoc_rows(site))
    return answers


@question
def adhoc_runner(site):
    """What a runner that has nothing to do says, and that a task queued meanwhile is run."""
    quiet_tasks(site)
    idle = site.php("admin/cli/adhoc_task.php", "--execute", "--keep-alive=3")
    lines = [re.sub(r"\.+$", "...", re.sub(r"found at .*", "found at TIME", line)) for line in idle["out"] if "adhoc tasks" in line]
    begin = time.monotonic()
    asking = threading.Timer(1, queue, (site, 0))
    asking.start()
    busy = cron_words(site.php("admin/cli/adhoc_task.php", "--execute", "--keep-alive=5"))
    asking.join()
    return [idle["exit"], lines, busy, time.monotonic() - begin > 4, adhoc_rows(site)]


@question
def scheduled_script(site):
    run = lambda *args: site.php("admin/cli/scheduled_task.php", *args)
    name = "\\core\\task\\session_cleanup_task"
    rows = lambda: site.sql("SELECT disabled FROM mdl_task_scheduled WHERE classname LIKE '%session_cleanup_task'")
    return [run("--disable=" + name), rows(), run("--enable=" + name), rows(), run("--execute=\\no\\such"),
            run("--execute=" + name)["exit"], run("--list")["exit"]]


# -- other code on this database --------------------------------------------------------------------------------------

def code_version(site):
    return re.search(r"\$version\s*=\s*([0-9.]+)", (site.tree / "version.php").read_text()).group(1)


def set_code_version(site, version):
    site.edit("version.php", r"(\$version\s*=\s*)[0-9.]+", rf"\g<1>{version}")


def versions(text):
    """Version numbers differ between releases, so they are not compared."""
    return json.loads(re.sub(r"20\d{8}(\.\d+)?", "VERSION", json.dumps(text)))


@question
def newer_version_only(site):
    set_code_version(site, "2024100706.50")
    answers = {"pending": site.php("admin/cli/upgrade.php", "--is-pending"),
               "needed": site.php("admin/cli/upgrade.php", "--is-maintenance-required"), "cron": site.php("admin/cli/cron.php"),
               "adhoc": site.php("admin/cli/adhoc_task.php", "--execute"), "web": [site.status("/"), site.status("/login/index.php")],
               "scheduled": site.php("admin/cli/scheduled_task.php", "--execute=\\x")}
    return versions(answers)


@question
def upgrade_without_outage(site):
    locked = site.php("admin/cli/upgrade.php", "--is-maintenance-required", "--set-ui-upgrade-lock")
    row = site.config("outagelessupgrade")
    unlocked = site.php("admin/cli/upgrade.php", "--unset-ui-upgrade-lock", "--is-pending")
    rows = site.config("outagelessupgrade")
    result = shape(site.php("admin/cli/upgrade.php", "--maintenance=0", "--non-interactive"))
    return versions({"locked": locked, "row": row, "unlocked": unlocked, "rows": rows, "result": result,
                     "after": site.config("outagelessupgrade", "upgraderunning"), "version": site.config("version"),
                     "hash": build_hash(site)["out"][0].split()[2] == site.config("allversionshash")["allversionshash"],
                     "pending": site.php("admin/cli/upgrade.php", "--is-pending")["exit"]})


@question
def maintenance_false_is_true(site):
    """The string "false" is true: an outage upgrade runs, without the advice of the other kind."""
    set_code_version(site, "2024100706.60")
    result = shape(site.php("admin/cli/upgrade.php", "--maintenance=false", "--non-interactive"))
    return versions({"result": result, "rows": site.config("outagelessupgrade", "upgraderunning", "version")})


@question
def changed_database_folder(site):
    """A db/ folder changed as well: the outage is needed, and asked for."""
    set_code_version(site, "2024100706.70")
    site.write("mod/page/db/upgrade.php", (site.tree / "mod/page/db/upgrade.php").read_text() + "\n// Changed.\n")
    answers = [site.php("admin/cli/upgrade.php", "--is-maintenance-required"),
               site.php("admin/cli/upgrade.php", "--maintenance=0", "--non-interactive"),
               site.php("admin/cli/upgrade.php", "--no-maintenance", "--non-interactive")["exit"], site.config("version")]
    return versions(answers)


@question
def upgrade_needs_input_vars(site):
    result = site.php("admin/cli/upgrade.php", "--non-interactive", inputvars=1000)
    return versions([result["exit"], result["out"][0], site.config("version")])


@question
def upgrade_sigterm(site):
    slow_down(site, slow_ms=3000, steps=["core_upgrade", "hashes", "settings"])
    process = site.start("admin/cli/upgrade.php", "--non-interactive")
    reached = site.wait_row("upgraderunning")
    during = {"web": site.status("/login/index.php"), "second": site.php("admin/cli/upgrade.php", "--non-interactive")}
    process.send_signal(signal.SIGTERM)
    ended = site.finish(process)
    slow_down(site)
    return {"reached": reached, "during": during, "exit": ended["exit"], "last": ended["out"][-1:],
            "rows": site.config("upgraderunning"), "pending": site.php("admin/cli/upgrade.php", "--is-pending")["exit"]}


@question
def upgrade_sigkill_and_again(site):
    slow_down(site, slow_ms=3000, steps=["core_upgrade", "hashes"])
    process = site.start("admin/cli/upgrade.php", "--non-interactive")
    reached = site.wait_row("upgraderunning")
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    site.finish(process)
    slow_down(site)
    gate = int(site.config("upgraderunning")["upgraderunning"]) - time.time()
    refused = site.php("admin/cli/upgrade.php", "--non-interactive")
    site.set_row("upgraderunning", None)
    result = site.php("admin/cli/upgrade.php", "--non-interactive")
    return versions({"reached": reached, "gate": 60 < gate <= 300, "refused": refused, "exit": result["exit"], "last": result["out"][-1],
                     "rows": site.config("upgraderunning", "version"), "missing": lost(site),
                     "hash": build_hash(site)["out"][0].split()[2] == site.config("allversionshash")["allversionshash"]})


@question
def newer_plugin_only(site):
    site.edit("mod/page/version.php", r"(\$plugin->version\s*=\s*)[0-9.]+", r"\g<1>2024100801")
    before = [site.php("admin/cli/upgrade.php", "--is-pending")["exit"], site.php("admin/cli/upgrade.php", "--is-maintenance-required")["exit"]]
    result = shape(site.php("admin/cli/upgrade.php", "--non-interactive"))
    return versions({"before": before, "result": result, "plugin": site.sql(
        "SELECT value FROM mdl_config_plugins WHERE plugin = 'mod_page' AND name = 'version'")})


@question
def older_plugin(site):
    site.edit("mod/page/version.php", r"(\$plugin->version\s*=\s*)[0-9.]+", r"\g<1>2024100800")
    result = site.php("admin/cli/upgrade.php", "--non-interactive")
    answer = {"pending": site.php("admin/cli/upgrade.php", "--is-pending")["exit"], "exit": result["exit"],
              "why": [line for line in result["out"] if line.startswith("!!! ")], "rows": site.config("upgraderunning")}
    site.edit("mod/page/version.php", r"(\$plugin->version\s*=\s*)[0-9.]+", r"\g<1>2024100801")
    return answer


@question
def unstable_code(site):
    set_code_version(site, "2024100706.80")
    site.edit("version.php", r"(\$maturity\s*=\s*)MATURITY_STABLE", r"\g<1>MATURITY_BETA")
    refused = site.php("admin/cli/upgrade.php", "--non-interactive")
    allowed = site.php("admin/cli/upgrade.php", "--non-interactive", "--allow-unstable")["exit"]
    return {"exit": refused["exit"], "hint": refused["err"], "allowed": allowed}


@question
def old_code_on_new_database(site):
    set_code_version(site, "2024100706.10")
    answers = {"upgrade": site.php("admin/cli/upgrade.php", "--non-interactive"), "pending": site.php("admin/cli/upgrade.php", "--is-pending"),
               "cron": site.php("admin/cli/cron.php"), "web": [site.status(path) for path in ("/", "/login/index.php")]}
    return versions(answers)
