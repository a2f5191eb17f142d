"""Cron and the ad-hoc runners in trouble: stuck, killed, out of memory; and who knows how they do."""
import contextlib
import json
import os
import signal
import time

from rig import check, holders, installed, run, test, wait_for


def queue(site, count=1, **data):
    for _ in range(count):
        site.sql("INSERT INTO mdl_task_adhoc (component, classname, nextruntime, customdata) VALUES ('local_standin', "
                 + site.server.literal("\\local_standin\\task\\work") + f", 1, '{json.dumps(data)}')")


def begun(site):
    return int(site.sql("SELECT count(*) FROM mdl_task_adhoc WHERE timestarted IS NOT NULL"))


def runners(roles):
    """The roles that hold a place now."""
    return [r for r in roles if (lambda e: e and e[-1]["runner"])([x for x in r.events() if x["event"] == "adhoc"])]


def logged(role, id):
    return [e["msg"] for e in role.events() if e["event"] == "log" and e.get("id") == id]


def argv(pid):
    with open(f"/proc/{pid}/cmdline") as f:
        return f.read().split("\0")


@test
def adhoc_runners(site, env):
    """Two places in a cluster of four: two members that do not run cron run ad-hoc tasks; a place is taken over when its member dies,
    and the task that it had begun is run again; a stop lets the task end; when cron comes to its member, a runner makes way."""
    leads = installed(site, 4, adhoc_runners=2, lease_scale=20)
    crons = [leads[0].member.start("cron")]
    wait_for("cron runs", lambda: holders(crons), 20)
    roles = [r.member.start("adhoc") for r in leads]
    wait_for("two runners", lambda: len(runners(roles)) == 2, 20)
    wait_for("their scripts", lambda: all(any("adhoc_task.php" in a for p in r.php() for a in argv(p)) for r in runners(roles)), 10)
    check(roles[0] not in runners(roles), "a runner beside cron")
    status = leads[0].member.run("cron-status").stdout
    check("ad-hoc runner 1: member m" in status and "ad-hoc runner 2: member m" in status, status)
    # all three work at once
    queue(site, 3, ms=6000)
    wait_for("three tasks at once", lambda: begun(site) == 3, 20)
    first, second = runners(roles)
    first.kill()
    wait_for("its script is dead", lambda: not [p for p in first.php() if any("adhoc_task.php" in a for a in argv(p))], 3)
    third = next(r for r in roles[1:] if r not in (first, second))
    wait_for("its place is taken", lambda: third in runners(roles), 30)
    check(any("freed 1 ad-hoc" in t for t in third.texts()), f"{third.texts()}")
    # a stop: the task is done first, then the place is free
    queue(site, ms=2000)
    wait_for("no task is left in the queue", lambda: site.sql("SELECT count(*) FROM mdl_task_adhoc WHERE timestarted IS NULL") == "0", 60)
    check(second.stop(60) == 0, "exit status")
    check(any("handed over" in t for t in second.texts()), "no handover")
    # cron comes to the third's member
    crons.append(third.member.start("cron"))
    crons[0].stop(60)
    wait_for("cron has moved", lambda: holders(crons[1:]), 30)
    wait_for("the runner makes way", lambda: third not in runners(roles), 60)
    check(any("cron runs on this member" in t for t in third.texts()), f"{third.texts()}")


@test
def adhoc_runners_and_an_upgrade(site, env):
    """An upgrade waits until the runners have ended, or ends their sessions; none runs while it lasts, and none with old code after it."""
    leads = installed(site, 2, adhoc_runners=1, lease_scale=30)
    cron = leads[0].member.start("cron")
    wait_for("cron runs", lambda: holders([cron]), 20)
    runner = leads[1].member.start("adhoc")
    wait_for("a runner", lambda: runner.php() and runners([runner]), 20)
    queue(site, 2, ms=60000)
    wait_for("both work", lambda: begun(site) == 2, 20)
    new = site.member("n", "core", adhoc_runners=1, lease_scale=30, cron_patience_ms=2000)
    script = runner.php()[0]
    frozen = [runner.proc.pid, int(run(["ps", "-o", "ppid=", "-p", str(script)]).stdout), script]
    for pid in frozen:  # it cannot be asked, and its keeper cannot end it
        os.kill(pid, signal.SIGSTOP)
    try:
        new.start().wait_state("current", 30)
    finally:
        for pid in frozen:
            try:
                os.kill(pid, signal.SIGCONT)
            except OSError:
                pass
    wait_for("no script of the old members", lambda: not [p for r in (cron, runner) for p in r.php()], 30)
    time.sleep(3)
    check(not [p for r in (cron, runner) for p in r.php()], "old code runs tasks again")
    check(begun(site) == 0, "tasks of the ended scripts were left as begun")


@test
def cron_stuck(site, env):
    """A run that writes nothing for too long is named and ended; its task is tried again later, and cron goes on."""
    lead = installed(site, 1, cron_stuck_ms=2500, lease_scale=20)[0]
    queue(site, ms=600000)
    cron = lead.member.start("cron")
    wait_for("the task began", lambda: begun(site) == 1, 30)
    wait_for("it is called stuck", lambda: logged(cron, "E-CRON-STUCK"), 20)
    check("local_standin" in logged(cron, "E-CRON-STUCK")[0], f"no name: {cron.texts()}")
    wait_for("the task was given back", lambda: begun(site) == 0, 60)
    check(int(site.sql("SELECT max(faildelay) FROM mdl_task_adhoc")) > 0, "no delay")
    wait_for("cron goes on", lambda: cron.php(), 20)


@test
def cron_killed(site, env):
    """A run that is killed, or has no memory left, is named; its task is given back with a delay; another run follows."""
    lead = installed(site, 1)[0]
    cron = lead.member.start("cron")
    queue(site, ms=600000)
    wait_for("a task began", lambda: begun(site) == 1, 20)
    first = cron.php()[0]
    os.kill(first, signal.SIGKILL)
    wait_for("it is named", lambda: any("signal 9" in t for t in logged(cron, "E-CRON-FAILED")), 10)
    wait_for("another follows", lambda: [p for p in cron.php() if p != first], 20)
    wait_for("its task is given back", lambda: begun(site) == 0, 10)
    delay = site.sql("SELECT faildelay FROM mdl_task_adhoc WHERE customdata LIKE '%600000%'")
    check(delay == "60", f"delay {delay}: it would be killed again at once")
    queue(site, mb=600)  # php.ini allows 512
    wait_for("memory is named", lambda: any("out of memory" in t for t in logged(cron, "E-JOB-MEMORY")), 30)


@test
def cron_success_is_known(site, env):
    """Every member knows when cron last did its work, one of them reports it, and a cron that is late is called so."""
    leads = installed(site, 3, lease_scale=20)
    crons = [r.member.start("cron") for r in leads]
    age = lambda c: [e["age_ms"] for e in c.events() if e["event"] == "cron-success" and e["by"]]  # noqa: E731
    wait_for("all three know", lambda: all(age(c) for c in crons), 40)
    holder = holders(crons)[0].member.name
    check(f"on {holder}" in leads[0].member.run("cron-status").stdout, leads[0].member.run("cron-status").stdout)
    for c in crons:
        c.stop(20)
    then = "now() - interval '31 minutes'" if site.server.kind == "pgsql" else "UTC_TIMESTAMP(6) - INTERVAL 31 MINUTE"
    site.sql(f"UPDATE sup_coord SET heartbeat_at = {then}, started_at = {then} WHERE purpose='cron-ok'")
    p = leads[0].member.run("cron-status", "--json")
    check('"late":true' in p.stdout and p.returncode == 1, p.stdout)
    leads[0].member.run("maintenance", "on")  # no success meanwhile
    crons = [r.member.start("cron") for r in leads]
    reports = lambda: [e for c in crons for e in c.events() if e["event"] == "metric" and e["name"] == "CronSuccessAge"]  # noqa: E731
    wait_for("somebody reports", reports, 20)
    time.sleep(3)
    check(len(reports()) == 1 and 1800 < reports()[0]["value"] < 2000, f"reports {reports()}")
    check(sum(len(logged(c, "E-CRON-LATE")) for c in crons) == 1, "not one warning")


class MemoryGroup:
    """A control group with a limit, which programs started by `words` find at the place where a container finds its own."""

    def __init__(self, name, limit):
        v1 = os.path.isdir("/sys/fs/cgroup/memory")
        self.top = "/sys/fs/cgroup/memory" if v1 else "/sys/fs/cgroup"
        self.path = os.path.join(self.top, name)
        self.files = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes") if v1 else ("memory.max", "memory.swap.max")
        os.mkdir(self.path)
        for file, value in zip(self.files, (limit, limit if v1 else 0)):
            with contextlib.suppress(OSError), open(os.path.join(self.path, file), "w") as f:  # the second is for swap, if there is any
                f.write(str(value))
        self.words = ["unshare", "--mount", "sh", "-ec", f'echo $$ >{self.path}/cgroup.procs; mount --bind {self.path} {self.top}; exec "$@"', "sh"]

    def close(self):
        wait_for("the group is empty", lambda: not open(os.path.join(self.path, "cgroup.procs")).read(), 20)
        os.rmdir(self.path)


@test
def cron_taken_by_the_kernel(site, env):
    """A task that wants more memory than its container has: the kernel kills the script, which is told from any other SIGKILL; the role lives
    on, the task is given back, another run follows."""
    try:
        group = MemoryGroup(f"moodlectl-{os.getpid()}-{site.name}", 160 << 20)
    except OSError as e:
        return f"no control group of memory can be made here: {e}"
    try:
        lead = installed(site, 1, cron_keepalive_s=2)[0]
        with open(lead.member.lead["php_ini"], "a") as f:
            f.write("memory_limit=-1\n")
        queue(site, ms=100, mb=400)
        cron = lead.member.start("cron", group.words)
        wait_for("memory is named", lambda: any("out of memory" in t and "signal 9" in t for t in logged(cron, "E-JOB-MEMORY")), 60)
        check(cron.proc.poll() is None, "the role was killed, too")
        site.sql("DELETE FROM mdl_task_adhoc")
        well = lambda: sum(e["event"] == "cron" and e.get("last_exit") == 0 for e in cron.events())  # noqa: E731
        before = well()
        wait_for("a run that goes well", lambda: well() > before, 60)
        cron.stop()
    finally:
        site.end()
        group.close()
    return None
