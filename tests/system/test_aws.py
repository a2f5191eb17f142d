"""A member whose secrets come from Secrets Manager, as on ECS: here from a server that checks every signature."""
import json
import os
import subprocess
import sys
import urllib.request

from lib.case import Skip, check, equal, test
from lib.site import TOP

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:moodle/database-AbCdEf"


class FakeAws:
    def __init__(self, t):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", sys.executable, os.path.join(TOP, "tests", "aws", "fake_aws.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        t.stack.callback(self.stop)
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise Skip(self.process.stderr.read().strip())

    def stop(self):
        self.process.kill()
        self.process.wait(10)

    def ask(self, path, body=None):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        data = None if body is None else json.dumps(body).encode()
        with opener.open(urllib.request.Request(self.address + path, data=data), timeout=5) as answer:
            return json.load(answer)

    def env(self):
        return {"AWS_ENDPOINT_URL_SECRETS_MANAGER": self.address, "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.address + "/v2/credentials/abc"}


@test(dbs=("pgsql",))
def secrets_by_arn(t):
    aws = FakeAws(t)
    document = json.dumps({"username": t.db.db_user, "password": t.db.password})
    aws.ask("/-/control", {"secrets": {ARN: [{"string": document}]}})
    site = t.site(installed="base", MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_PASSWORD_ARN=ARN + ":password::", MOODLE_DATABASE_USER=None,
                  MOODLE_DATABASE_USER_ARN=ARN + ":username::", **aws.env())
    m, = site.serve((1,))
    equal(m.get("/login/index.php").status, 200, "login page")
    log = aws.ask("/-/log")
    check([line for line in log if line.get("scope")], f"no signed request came: {log}")
    check(t.db.password not in m.raw_log() + m.errors(), "the secret is in the log")


@test(dbs=("pgsql",))
def a_secret_that_may_not_be_read(t):
    aws = FakeAws(t)
    aws.ask("/-/control", {"secrets": {ARN: [{"string": "x"}]}, "faults": [{"do": "denied", "times": 0}]})
    m = t.site(MOODLE_DATABASE_PASSWORD=None, MOODLE_DATABASE_PASSWORD_ARN=ARN, **aws.env()).member(1)
    m.start()
    equal(m.wait_exit(60), 77, f"exit status\n{m.tail()}")
    check(m.log(id="E-SEC-DENIED"), f"no line with E-SEC-DENIED\n{m.tail()}")
