#!/usr/bin/env python3
"""Secrets from AWS, over the wire: our signatures against botocore's, every kind of error, and what cures itself.

    run.py [--build DIR] [--requests N] [--seed N] [--skip-missing] [--only WORD]

Needs test_aws_sigv4 and test_aws_secrets in DIR/tests (default: build) and python3-botocore. As root it also tries
ECS's own address and a trusted certificate, in namespaces of its own. The last line says "N passed, N failed".
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from signatures import test_signatures

HERE = pathlib.Path(__file__).resolve().parent
NAME = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/moodle-AbCdEf"
ODD = "quote ' \" back\\slash $dollar `tick` <tag> äöü 漢字 \U0001f600 tab\t line\nend "
DATABASE = {"username": "moodle", "password": ODD, "port": 5432, "ssl": True, "ratio": 0.1, "list": [1], "host": "db.example"}
OLD_ID = "11111111-2222-3333-4444-555555555555"
SECRETS = {
    NAME: [{"string": json.dumps(DATABASE)}, {"string": "old hush", "stage": "AWSPREVIOUS", "id": OLD_ID}],
    NAME + "text": [{"string": "plain hush"}],
    NAME + "binary": [{"binary": "binary hush\xff"}],
    NAME + "large": [{"string": "\u0001\"" * 32768}],
}
HUSH = ["hush", ODD[:10], "static/key+word", "temporary/key+", "session//token+", "the-token", "half of a se", "not closed"]
STATIC = {"AWS_ACCESS_KEY_ID": "AKIDSTATIC", "AWS_SECRET_ACCESS_KEY": "static/key+word"}
ROLE = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "the-token"}


class Run:
    def __init__(self, build, only):
        self.build, self.only = build, only
        self.passed = self.failed = 0
        self.servers = []

    def check(self, name, good, why=""):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else ': ' + str(why)}", flush=True)

    def serve(self, *arguments):
        """Starts fake_aws.py; gives its address."""
        server = subprocess.Popen([sys.executable, str(HERE / "fake_aws.py"), *arguments], stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        return server.stdout.readline().strip()

    def stop(self):
        for server in self.servers:
            server.kill()
            server.wait()


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data=data), timeout=5) as answer:
        return json.load(answer)


# ---- fetching ----

USUAL = {"secrets": SECRETS, "faults": [], "cred_faults": [], "imds_faults": [], "clock_s": 0, "token": "", "lifetime_s": 3600,
         "imds_role": "moodle-instance", "static": ["AKIDSTATIC", "static/key+word"]}


class Case:
    """One fetch against one state of the server."""

    def __init__(self, run, name, arn=NAME + "text", env=STATIC, wait_ms=8000, left=None, **state):
        self.run, self.name, self.wait_ms = run, name, wait_ms
        self.skipped = run.only and run.only not in name
        if self.skipped:
            return
        ask(run.address + "/-/control", {**USUAL, **state})
        whole = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": run.address, "AWS_EC2_METADATA_DISABLED": "true", **env}
        out = subprocess.run([str(run.build / "tests/test_aws_secrets"), "--fetch", arn, str(wait_ms), *([left[::-1]] if left else [])], env=whole,
                             text=True, capture_output=True, timeout=60, check=False)
        self.stderr = out.stderr
        self.answer = json.loads(out.stdout.splitlines()[-1])
        self.log = ask(run.address + "/-/log")

    def wrong(self):
        """What no case may do."""
        said = self.answer["msg"] + self.stderr
        if any(word in said for word in HUSH):
            return f"a secret in a message: {said}"
        if self.answer["ms"] > self.wait_ms + 1000:
            return f"took {self.answer['ms']} ms of {self.wait_ms}"
        return None

    def tries(self, kind="secret"):
        return sum(entry["kind"] == kind for entry in self.log)

    def gives(self, value, tries=1, role_tries=None, signatures="good"):
        if self.skipped:
            return
        bad = [e["signature"] for e in self.log if e["kind"] == "secret" and e["signature"] != "good"]
        why = self.wrong()
        if not self.answer["ok"] or self.answer["value"] != value:
            why = self.answer
        elif signatures == "good" and bad:
            why = bad
        elif self.tries() != tries or (role_tries is not None and self.tries("credentials") != role_tries):
            why = f"{self.tries()} requests, {self.tries('credentials')} for credentials"
        self.run.check(self.name, why is None, why)

    def fails(self, error, words="", tries=None):
        if self.skipped:
            return
        why = self.wrong()
        if self.answer["ok"] or self.answer["id"] != error or words not in self.answer["msg"]:
            why = f"{error} with \"{words}\" was expected: {self.answer}"
        elif tries is not None and self.tries() != tries:
            why = f"{self.tries()} requests"
        self.run.check(f"{self.name}: {error}", why is None, why)


def test_values(run):
    Case(run, "a whole secret").gives("plain hush")
    Case(run, "a json key", NAME + ":password::").gives(ODD)
    Case(run, "a number of a json key", NAME + ":port").gives("5432")
    Case(run, "a boolean of a json key", NAME + ":ssl").gives("true")
    Case(run, "a fraction of a json key", NAME + ":ratio").gives("0.1")
    Case(run, "the previous stage", NAME + "::AWSPREVIOUS:").gives("old hush")
    Case(run, "a version by its id", NAME + ":::" + OLD_ID).gives("old hush")
    Case(run, "a binary secret", NAME + "binary").gives("binary hush\xff")
    Case(run, "the largest secret", NAME + "large").gives("\u0001\"" * 32768)
    override = {**STATIC, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SECRETS_MANAGER": run.address + "/base"}
    case = Case(run, "the endpoint of the service wins, its path is kept", env=override)
    case.gives("plain hush")
    if not case.skipped:
        run.check("the path was signed and sent", case.log[0]["path"] == "/base/", case.log)
    case = Case(run, "the region of the ARN, not of the task", env={**STATIC, "AWS_REGION": "sa-east-1"})
    case.gives("plain hush")
    if not case.skipped:
        run.check("the ARN's region was signed", "/eu-west-1/secretsmanager/" in case.log[0]["scope"], case.log)


def test_role(run, folder):
    role = {ROLE: run.address + "/v2/credentials/abc"}
    Case(run, "credentials of the container", env=role).gives("plain hush", role_tries=1)
    Case(run, "with an authorization token", env={**role, **TOKEN}, token="the-token").gives("plain hush", role_tries=1)
    file = folder / "token"
    file.write_text("the-token-of-the-file")
    by_file = {**role, **TOKEN, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file)}
    Case(run, "the token's file wins", env=by_file, token="the-token-of-the-file").gives("plain hush", role_tries=1)
    Case(run, "static keys win", env={**role, **STATIC}).gives("plain hush", role_tries=0)
    proxied = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1", ROLE: role[ROLE].replace("127.0.0.1", "localhost")}
    Case(run, "credentials go through no proxy", env=proxied).gives("plain hush", role_tries=1)
    Case(run, "an agent that is not ready yet", env=role, cred_faults=[{"do": "503", "times": 3}]).gives("plain hush", role_tries=4)
    Case(run, "an agent that limits", env=role, cred_faults=[{"do": "429"}]).gives("plain hush", role_tries=2)
    Case(run, "an agent that hangs up", env=role, cred_faults=[{"do": "refuse"}]).gives("plain hush", role_tries=2)
    Case(run, "credentials cut off", env=role, cred_faults=[{"do": "truncate"}]).gives("plain hush", role_tries=2)
    Case(run, "an agent that stalls once", env=role, cred_faults=[{"do": "stall"}]).gives("plain hush", role_tries=2)

    Case(run, "no credentials at all", env={}).fails("E-SEC-CREDENTIALS", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", tries=0)
    half = {"AWS_ACCESS_KEY_ID": "AKIDSTATIC", **role}
    Case(run, "half a pair of keys", env=half).fails("E-SEC-CREDENTIALS", "AWS_SECRET_ACCESS_KEY is not", tries=0)
    Case(run, "a wrong authorization token", env={**role, **TOKEN}, token="other").fails("E-SEC-CREDENTIALS", "wrong id or token")
    Case(run, "an id that the agent does not know", env={ROLE: run.address + "/v3"}).fails("E-SEC-CREDENTIALS", "HTTP status 400")
    file.write_text("the-token\nX-Evil: 1")
    Case(run, "a token with a line end", env=by_file).fails("E-SEC-CREDENTIALS", "line end", tries=0)
    Case(run, "an agent that never gets ready", env=role, wait_ms=1500, cred_faults=[{"do": "503", "times": 0}]).fails(
        "E-SEC-CREDENTIALS", "not yet", tries=0)
    Case(run, "credentials that are no JSON", env=role, cred_faults=[{"do": "wrong_json"}]).fails("E-SEC-CREDENTIALS", "not JSON", tries=0)
    Case(run, "credentials without end", env=role, cred_faults=[{"do": "long"}]).fails("E-SEC-CREDENTIALS", "longer", tries=0)
    Case(run, "credentials from a plain foreign host", env={ROLE: "http://192.0.2.1/"}).fails("E-SEC-CREDENTIALS", "https", tries=0)


def test_instance(run):
    """The instance's metadata, where nothing else gives credentials."""
    imds = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": run.address}
    case = Case(run, "credentials of the instance's role, by a session token", env=imds)
    case.gives("plain hush")
    if not case.skipped:
        asked = [(e["method"], e["path"].rsplit("/", 1)[-1], e["status"]) for e in case.log if e["kind"] == "imds"]
        run.check("a token, the role's name, its keys: three requests", asked == [("PUT", "token", 200), ("GET", "", 200), ("GET", "moodle-instance", 200)], asked)
    Case(run, "an address with a slash at its end", env={**imds, "AWS_EC2_METADATA_SERVICE_ENDPOINT": run.address + "/"}).gives("plain hush")
    Case(run, "a container's address wins, though it is wrong", env={**imds, ROLE: run.address + "/v3"}).fails("E-SEC-CREDENTIALS", "HTTP status 400", tries=0)
    Case(run, "static keys win over the instance", env={**imds, **STATIC}, imds_faults=[{"do": "500", "times": 0}]).gives("plain hush")
    proxied = {**imds, "http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1",
               "AWS_EC2_METADATA_SERVICE_ENDPOINT": run.address.replace("127.0.0.1", "localhost")}
    Case(run, "the instance is asked through no proxy", env=proxied).gives("plain hush")
    Case(run, "an instance that is busy once", env=imds, imds_faults=[{"do": "503"}]).gives("plain hush")
    Case(run, "an instance that stalls once", env=imds, imds_faults=[{"do": "stall", "seconds": 3}]).gives("plain hush")
    Case(run, "the instance's keys expired", env=imds, faults=[{"do": "expire"}]).gives("plain hush", tries=2)
    Case(run, "an instance without a role", env=imds, imds_role="").fails("E-SEC-CREDENTIALS", "HTTP status 404", tries=0)
    Case(run, "an instance that gives no token", env=imds, imds_faults=[{"do": "403"}]).fails("E-SEC-CREDENTIALS", "/latest/api/token: HTTP status 403", tries=0)
    Case(run, "keys that are no JSON", env=imds, imds_faults=[{"do": "pass", "times": 2}, {"do": "wrong_json"}]).fails("E-SEC-CREDENTIALS", "not JSON", tries=0)
    Case(run, "a role's name without end", env=imds, imds_faults=[{"do": "pass"}, {"do": "long"}]).fails("E-SEC-CREDENTIALS", "longer", tries=0)
    case = Case(run, "no answer at all", env=imds, wait_ms=60000, imds_faults=[{"do": "stall", "times": 0, "seconds": 4}])
    case.fails("E-SEC-CREDENTIALS", "no AWS_ACCESS_KEY_ID: the instance's metadata", tries=0)
    if not case.skipped:
        run.check("there the start waits two tries of a second", case.answer["ms"] < 4000, case.answer)
    Case(run, "the instance is not to be asked", env={**imds, "AWS_EC2_METADATA_DISABLED": "true"}).fails("E-SEC-CREDENTIALS", "AWS_EC2_METADATA_DISABLED is set", tries=0)


def test_memory(run):
    """What is left of a secret in the memory of the process that fetched it."""
    role = {ROLE: run.address + "/v2/credentials/abc"}
    for name, arn, word, held in (("a whole secret", NAME + "text", "plain hush", 1), ("a json key", NAME + ":password::", ODD[:20], 1),
                                  ("the other keys", NAME + ":port::", ODD[:20], 0), ("the session token", NAME + "text", "session//token+", 0),
                                  ("the key", NAME + "text", "temporary/key+", 0)):
        case = Case(run, f"in memory nothing is left of {name}", arn, env=role, left=word)
        if not case.skipped:
            run.check(case.name, case.answer["ok"] and (case.answer["held"], case.answer["left"]) == (held, 0), case.answer)


def test_cures(run):
    role = {ROLE: run.address + "/v2/credentials/abc"}
    Case(run, "throttled twice", faults=[{"do": "throttle"}, {"do": "throttle429"}]).gives("plain hush", tries=3)
    case = Case(run, "throttled with a time to wait", faults=[{"do": "throttle", "retry_after": 1200}])
    case.gives("plain hush", tries=2)
    if not case.skipped:
        gap = case.log[1]["time"] - case.log[0]["time"]
        run.check("x-amz-retry-after was obeyed", gap >= 1.15, f"{gap:.2f} s")
    Case(run, "an internal error three times", faults=[{"do": "error500", "times": 3}]).gives("plain hush", tries=4)
    Case(run, "an answer cut off", faults=[{"do": "truncate"}]).gives("plain hush", tries=2)
    Case(run, "a connection closed", faults=[{"do": "refuse"}]).gives("plain hush", tries=2)
    Case(run, "a gateway's 502", faults=[{"do": "html", "status": 502}]).gives("plain hush", tries=2)
    Case(run, "a secret that is not there yet", faults=[{"do": "not_found"}]).gives("plain hush", tries=2)
    Case(run, "a role that has not spread yet", faults=[{"do": "denied"}]).gives("plain hush", tries=2)
    Case(run, "a token that expired", env=role, faults=[{"do": "expire"}]).gives("plain hush", tries=2, role_tries=2)
    Case(run, "credentials about to end are asked for anew", env=role, lifetime_s=30, faults=[{"do": "error500"}]).gives(
        "plain hush", tries=2, role_tries=2)
    for hour in (1, -1):
        Case(run, f"a clock wrong by {hour} h", clock_s=3600 * hour).gives("plain hush", tries=2, signatures="any")


def test_errors(run):
    Case(run, "not an ARN", "prod/moodle").fails("E-SEC-ARN", "too short", tries=0)
    Case(run, "stage and version", f"{NAME}:k:AWSCURRENT:{OLD_ID}").fails("E-SEC-ARN", "only one", tries=0)
    Case(run, "nothing listens", env={**STATIC, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, wait_ms=1000).fails("E-SEC-NET", "after ")
    Case(run, "no such host", env={**STATIC, "AWS_ENDPOINT_URL": "http://nothing.invalid"}, wait_ms=1000).fails("E-SEC-NET")
    Case(run, "a server that stalls", wait_ms=1500, faults=[{"do": "stall", "times": 0, "seconds": 5}]).fails("E-SEC-NET")
    Case(run, "always cut off", wait_ms=1000, faults=[{"do": "truncate", "times": 0}]).fails("E-SEC-NET")
    Case(run, "a role without the right", wait_ms=20000, faults=[{"do": "denied", "times": 0}]).fails("E-SEC-DENIED", "AccessDeniedException", tries=4)
    Case(run, "no such secret", NAME + "none", wait_ms=20000).fails("E-SEC-NOT-FOUND", "prod/moodle-AbCdEfnone", tries=4)
    Case(run, "no such version", NAME + "::NONE:", wait_ms=500).fails("E-SEC-NOT-FOUND")
    Case(run, "a key that cannot be used", faults=[{"do": "decrypt"}]).fails("E-SEC-DECRYPT", tries=1)
    Case(run, "a deleted secret", faults=[{"do": "deleted"}]).fails("E-SEC-REQUEST", "because the test wants it", tries=1)
    Case(run, "a wrong parameter", faults=[{"do": "parameter"}]).fails("E-SEC-REQUEST", "request 11111111-fake", tries=1)
    Case(run, "a redirect is not followed", faults=[{"do": "redirect"}]).fails("E-SEC-REQUEST", "302", tries=1)
    Case(run, "a wrong key", static=["AKIDSTATIC", "other"]).fails("E-SEC-SIGNATURE", "does not match", tries=1)
    Case(run, "a key that nobody knows", static=["AKIDOTHER", "x"]).fails("E-SEC-SIGNATURE", "UnrecognizedClient", tries=1)
    Case(run, "a role that stays expired", env={ROLE: run.address + "/v2/credentials/abc"}, faults=[{"do": "expire", "times": 0}]).fails(
        "E-SEC-SIGNATURE", "Expired", tries=2)
    Case(run, "always throttled", wait_ms=1500, faults=[{"do": "throttle", "times": 0}]).fails("E-SEC-THROTTLED", "Throttling")
    Case(run, "always an internal error", wait_ms=1500, faults=[{"do": "error500", "times": 0}]).fails("E-SEC-SERVICE", "after ")
    Case(run, "not JSON", faults=[{"do": "wrong_json"}]).fails("E-SEC-FORMAT", "not JSON", tries=1)
    Case(run, "a captive portal", faults=[{"do": "html"}]).fails("E-SEC-FORMAT", tries=1)
    Case(run, "an answer without end", faults=[{"do": "long"}]).fails("E-SEC-FORMAT", "longer", tries=1)
    Case(run, "no such json key", NAME + ":nokey").fails("E-SEC-FORMAT", '"nokey"', tries=1)
    Case(run, "a json key of a plain secret", NAME + "text:key").fails("E-SEC-FORMAT", "not a JSON object", tries=1)
    Case(run, "a list as value", NAME + ":list").fails("E-SEC-FORMAT", tries=1)


# ---- what needs namespaces ----

def in_namespace(run, name, script, *unshare, error=""):
    """Runs a shell script in namespaces of its own; its last line is the fetch's answer: good, or this error."""
    out = subprocess.run(["unshare", *unshare, "sh", "-c", script], text=True, capture_output=True, timeout=60, check=False,
                         env={"PATH": os.environ["PATH"], **STATIC})
    lines = out.stdout.splitlines()
    run.check(name, lines and json.loads(lines[-1]).get("id") == error, out.stdout + out.stderr)


def test_tls(run, folder):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
    address = run.serve("--tls", str(cert), str(key)).replace("127.0.0.1", "localhost")
    begin = time.monotonic()
    Case(run, "a certificate that nobody signed", env={**STATIC, "AWS_ENDPOINT_URL": address}).fails("E-SEC-NET", "certificate", tries=0)
    run.check("a wrong certificate is not tried again", time.monotonic() - begin < 4)
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if os.geteuid() != 0 or not os.path.exists(bundle) or not shutil.which("unshare"):
        print("left out: a trusted certificate (needs root, unshare, ca-certificates)")
        return
    trusted = ("import json,ssl,urllib.request as u;c=ssl.create_default_context(cafile='%s');"
               "u.urlopen(u.Request('%s/-/control',data=json.dumps({'secrets':{'%stext':[{'string':'x'}]}}).encode()),context=c)")
    subprocess.run([sys.executable, "-c", trusted % (cert, address, NAME)], check=True, env={"PATH": os.environ["PATH"]})
    fetch = f"{run.build}/tests/test_aws_secrets --fetch {NAME}text 3000"
    mount = f"mount --bind {cert} {bundle} || exit; "
    in_namespace(run, "a certificate that is trusted", f"{mount} AWS_ENDPOINT_URL={address} {fetch}", "-m")
    other = address.replace("localhost", "127.0.0.1")
    in_namespace(run, "a trusted certificate of another name: E-SEC-NET", f"{mount} AWS_ENDPOINT_URL={other} {fetch}", "-m", error="E-SEC-NET")


def test_relative(run):
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        print("left out: ECS's own address (needs root, unshare and ip)")
        return
    control = ("import json,urllib.request as u;u.build_opener(u.ProxyHandler({})).open(u.Request('http://169.254.170.2/-/control',"
               "data=json.dumps({'secrets':{'%stext':[{'string':'x'}]},'token':'tok'}).encode()))") % NAME
    script = f"""
        ip link set lo up; ip addr add 169.254.170.2/32 dev lo
        {sys.executable} {HERE}/fake_aws.py --listen 169.254.170.2:80 >/dev/null & server=$!
        trap 'kill $server' EXIT
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do {sys.executable} -c "{control}" 2>/dev/null && break; sleep 0.2; done
        unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
        export AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/abc AWS_CONTAINER_AUTHORIZATION_TOKEN=tok
        export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/ AWS_ENDPOINT_URL=http://169.254.170.2
        {run.build}/tests/test_aws_secrets --fetch {NAME}text 5000"""
    in_namespace(run, "ECS's own address, by the relative URI, which wins", script, "-n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build")
    options.add_argument("--requests", type=int, default=3000)
    options.add_argument("--seed", type=int, default=20250101)
    options.add_argument("--skip-missing", action="store_true", help="succeed when botocore is not installed")
    options.add_argument("--only", default="", help="only cases whose name holds this word")
    given = options.parse_args()
    try:
        import botocore.auth  # pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        print("botocore is not installed (Debian: python3-botocore): nothing was tested\n0 passed, " + ("0" if given.skip_missing else "1") + " failed")
        sys.exit(0 if given.skip_missing else 1)
    run = Run(given.build.resolve(), given.only)
    with tempfile.TemporaryDirectory(prefix="moodlectl-aws-") as name:
        folder = pathlib.Path(name)
        try:
            run.address = run.serve()
            test_signatures(run, given.requests, given.seed)
            test_values(run)
            test_role(run, folder)
            test_instance(run)
            test_memory(run)
            test_cures(run)
            test_errors(run)
            test_tls(run, folder)
            test_relative(run)
        finally:
            run.stop()
    print(f"{run.passed} passed, {run.failed} failed")
    sys.exit(1 if run.failed else 0)


if __name__ == "__main__":
    main()
