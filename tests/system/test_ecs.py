"""A member on ECS: its name and its memory from the task's metadata, and the protection that it asks for while it works."""
import json
import os
import sys
import time

from lib.case import check, equal, test
from lib.proc import wait_for
from lib.site import TOP
from test_aws import FakeAws

sys.path.append(os.path.join(TOP, "tests", "aws"))
from fake_ecs import CONTAINER, TASK_ARN  # noqa: E402

TASK = TASK_ARN.rsplit("/", 1)[1]


class Ecs(FakeAws):
    def __init__(self, t, **state):
        super().__init__(t)
        self.ask("/-/control", state)

    def env(self):
        return {"ECS_CONTAINER_METADATA_URI_V4": f"{self.address}/v4/{CONTAINER}", "ECS_AGENT_URI": f"{self.address}/api/{CONTAINER}"}

    def asked(self):
        """[(member ProtectionEnabled, member ExpiresInMinutes)] of what was put."""
        return [(e["asked"].get("ProtectionEnabled"), e["asked"].get("ExpiresInMinutes")) for e in self.ask("/-/log") if e["kind"] == "protection"]

    def protected(self):
        return self.ask("/-/protection")["protection"]["ProtectionEnabled"]


def holder(site):
    return site.sql("SELECT holder FROM sup_lease WHERE purpose='cron'")


@test(dbs=("pgsql",))
def a_task_installs_runs_cron_and_stops(t):
    ecs = Ecs(t)
    site = t.site(**ecs.env())
    m, = site.serve((1,), seconds=600 if t.real else 120)
    equal(m.status()["member"], TASK, "member")
    line = m.log(event="identity")
    equal([o["msg"] for o in line], [f"task {TASK} of moodle:7, cluster moodle, zone eu-west-1b; from here on this member is called {TASK}"], "identity")
    check(all(o["member"] == TASK for o in m.log() if o.get("src") in ("lead", "cron", "php")), "a later line has another name")
    wait_for("cron is this member's", lambda: m.status()["cron"]["holder"], 60)
    wait_for("cron is protected", lambda: (True, 10) in ecs.asked(), 20)
    equal(ecs.asked()[0], (True, 30), "the install was protected first")
    shown = m.exec(["moodlectl", "status"]).stdout
    check("ecs       task of moodle:7, cluster moodle, zone eu-west-1b; protected from scale-in for cron" in shown, shown)
    asked = len([e for e in ecs.ask("/-/log") if e["kind"] == "metadata"])
    m.exec(["moodlectl", "reload"])
    equal(len([e for e in ecs.ask("/-/log") if e["kind"] == "metadata"]), asked, "requests for metadata after a reload")
    lead = json.loads(m.exec(["cat", "/run/moodlectl/lead.json"]).stdout)
    equal(lead["member"], TASK, "the name after a reload")
    m.drain()
    equal((ecs.asked()[-1], ecs.protected()), ((False, None), False), "after the stop")


@test(dbs=("pgsql",))
def refusals_delay_nothing(t):
    ecs = Ecs(t, protection_faults=[{"do": "failure", "reason": "DEPLOYMENT_BLOCKED", "times": 0}])
    m, = t.site(installed="base", **ecs.env()).serve((1,))
    m.wait_log("protection is refused", lambda o: o.get("id") == "E-ECS-PROTECTION", 40)
    line, = m.log(id="E-ECS-PROTECTION")
    check("DEPLOYMENT_BLOCKED" in line["msg"] and line["level"] == "warn", line)
    check("not protected from scale-in: " in m.exec(["moodlectl", "status"]).stdout, "status")
    check(len(ecs.asked()) <= 3, f"a fast loop: {len(ecs.asked())} requests")
    ecs.ask("/-/control", {"protection_faults": [{"do": "stall", "seconds": 30, "times": 0}]})
    began = time.monotonic()
    equal(m.drain(), 0, "exit status")
    check(time.monotonic() - began < 12, "the stop waited for ECS")
    equal(len(m.log(id="E-ECS-PROTECTION")), 1, "lines about one and the same answer")


@test(dbs=("pgsql",))
def a_task_that_can_never_be_protected(t):
    ecs = Ecs(t, protection_faults=[{"do": "failure", "reason": "TASK_NOT_VALID", "times": 0}])
    m, = t.site(installed="base", **ecs.env()).serve((1,))
    m.wait_log("protection is refused", lambda o: o.get("id") == "E-ECS-PROTECTION", 40)
    m.wait_log("cron", lambda o: o.get("event") == "cron.holder", 40)
    equal(len(ecs.asked()), 1, "requests")


@test(dbs=("pgsql",))
def metadata_that_does_not_come(t):
    for faults, words in (([{"do": "404", "times": 0}], "HTTP status 404"), ([{"do": "stall", "seconds": 5, "times": 0}], "ECS_CONTAINER_METADATA_URI_V4"),
                          ([{"do": "wrong_json", "times": 0}], "names no task")):
        ecs = Ecs(t, metadata_faults=faults)
        site = t.site(installed="base", MOODLECTL_SCALE_IN_PROTECTION="off", **ecs.env())
        m, = site.serve((1,))
        line, = m.log(id="E-ECS-METADATA")
        check(words in line["msg"], line)
        equal(m.status()["member"], "m1", "member")
        equal(ecs.asked(), [], "protection that is switched off")
        check(not [words for words in m.processes().values() if " protect" in words], "the role runs")
        m.drain()


@test(dbs=("pgsql",))
def a_name_of_ones_own_and_little_memory(t):
    ecs = Ecs(t, task={"Limits": {"Memory": 1024, "CPU": 1}, "Cluster": "short"})
    m, = t.site(installed="base", MOODLECTL_MEMBER="mine", MOODLECTL_FPM_CHILDREN="0", **ecs.env()).serve((1,))
    equal(m.status()["member"], "mine", "member")
    check("max_children = 3" in m.exec(["cat", "/run/moodlectl/php-fpm.conf"]).stdout, "1024 MiB hold three workers of 256 MiB in three quarters")
    equal(m.status()["ecs"]["task"]["cluster"], "short", "cluster")
