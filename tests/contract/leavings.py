"""What a dead leader leaves behind, and what must not be found anywhere."""
import os
import subprocess

from rig import HERE, WEB, check, installed, runs, test, wait_for


def moodle(member, script, *words):
    """A script of Moodle's as the web user, as an operator would run it."""
    who = ["setpriv", f"--reuid={WEB.pw_uid}", f"--regid={WEB.pw_gid}", "--clear-groups", "--"] if os.geteuid() == 0 else []
    return subprocess.run([*who, "php", "-c", member.run_dir + "/php.ini", os.path.join(member.code.path, script), *words], capture_output=True, text=True,
                          timeout=60, env={"PATH": os.environ["PATH"], "MOODLECTL_RUN_DIR": member.run_dir})


@test
def cached_leavings(site, env):
    """The rows of a killed upgrade are in Moodle's cache too: a script works again only when the copy is thrown away."""
    first = installed(site, 1)[0]
    first.stop()
    m = first.member
    value = "floor(extract(epoch FROM now()))::int + 3000" if site.server.kind == "pgsql" else "UNIX_TIMESTAMP() + 3000"
    site.sql(f"INSERT INTO mdl_config (name, value) VALUES ('upgraderunning', {value})")
    site.sql("DELETE FROM mdl_config WHERE name='outagelessupgrade'")
    site.sql("INSERT INTO mdl_config (name, value) VALUES ('outagelessupgrade', '1')")
    moodle(m, "admin/cli/purge_caches.php")
    check(moodle(m, "admin/cli/cfg.php", "--name=version").returncode == 1, "the row does not keep scripts out")
    saved = site.sql("SELECT value FROM mdl_config WHERE name='upgraderunning'")
    site.sql("DELETE FROM mdl_config WHERE name='upgraderunning'")
    check(moodle(m, "admin/cli/cfg.php", "--name=version").returncode == 1, "Moodle has not cached the row")
    site.sql(f"INSERT INTO mdl_config (name, value) VALUES ('upgraderunning', '{saved}')")
    # its leader, of another release, has vanished
    site.sql("UPDATE sup_coord SET phase='running', result='running', action='upgrade' WHERE purpose='deploy'")
    site.sql("UPDATE sup_run SET result='running', action='upgrade', target='another' WHERE purpose='deploy'")
    lead = site.member("next", lease_scale=20).start()
    lead.wait_state("current", 40)
    check(site.config("upgraderunning") == "" and site.config("outagelessupgrade") in ("", "0"), "rows were left")
    p = moodle(m, "admin/cli/cfg.php", "--name=version")
    check(p.returncode == 0, f"the cached row was left: {p.stdout}{p.stderr}")
    lead.stop()


@test
def the_password_is_in_no_argument_list(site, env):
    """Every process of the machine, as often as we can look, for the whole of an install."""
    site.standin(slow_ms=60)
    lead = site.member("m").start()
    password = lead.member.lead["site"]["admin_password"].encode()
    seen = {"scripts": set(), "found": []}

    def look():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read()
                with open(f"/proc/{pid}/environ", "rb") as f:
                    words += f.read() if b"php" in words else b""
            except OSError:
                continue
            if password in words:
                seen["found"].append(words)
            if lead.member.code.path.encode() in words:
                seen["scripts"].add(words.split(b"\0")[3])
        return lead.state()[0] == "current"

    wait_for("the install", look, 60, pause=0.02)
    check(any(b"install_database.php" in s for s in seen["scripts"]), f"the install was not seen: {seen}")
    check(not seen["found"], "the administrator's password was in an argument list or a script's environment")
    check(runs(site) == ["ok"], "runs")


class MoodleLocks:
    """A process that holds locks of a real Moodle."""

    def __init__(self, member):
        self.p = subprocess.Popen(["timeout", "200", "php", "-d", "display_errors=1", os.path.join(HERE, "moodle-locks.php"), os.environ["MOODLE_SRC"], member.run_dir + "/moodle.json"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = [self.p.stdout.readline()]
        while said[-1] not in ("held\n", ""):
            said.append(self.p.stdout.readline())
        check(said == ["held\n"], f"Moodle does not get its locks: {''.join(said)}")

    def free(self):
        said = self.p.communicate("\n", timeout=20)[0]
        check(said == "freed\n" and self.p.returncode == 0, f"Moodle does not get rid of its locks: {said}")


@test
def moodles_own_locks(site, env):
    """With MOODLE_SRC: a real Moodle's lock factory and session handler hold 220 locks while an install and cron go on beside them; and they get
    the same ones again while our leader of cron holds its own two."""
    if not os.environ.get("MOODLE_SRC"):
        return "MOODLE_SRC is not set"
    first = MoodleLocks(site.member("m"))
    lead = site.member("m0", lease_scale=25).start()
    lead.wait_state("current", 40)
    cron = lead.member.start("cron")
    wait_for("cron's lease", lambda: any(e["event"] == "cron" and e["holder"] for e in cron.events()), 20)
    first.free()
    wait_for("cron works", cron.php, 20)
    MoodleLocks(lead.member).free()
    check([e["holder"] for e in cron.events() if e["event"] == "cron"][-1], "cron's leader lost its lease")
    check(runs(site) == ["ok"], f"runs {site.deploy_runs()}")
    return None
