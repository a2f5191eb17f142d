#!/usr/bin/env python3
"""moodlectl-role prepare with settings that are ARNs, from the environment to moodle.json, against fake_aws.py.

    prepare.py [--build DIR]          needs DIR/moodlectl-role (default: build), nginx, PHP-FPM, PHP and python3-botocore

The last line says "N passed, N failed".
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
NAME = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/moodle-AbCdEf"
ODD = "quote ' \" back\\slash $dollar <tag> äöü line\nend "
SECRETS = {NAME: [{"string": json.dumps({"username": "moodle_app", "password": ODD, "port": 5433})}],
           NAME + "admin": [{"string": "Adm1n hush!"}]}
passed = failed = 0


def check(name, good, why=""):
    global passed, failed  # pylint: disable=global-statement
    passed += bool(good)
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}{'' if good else ': ' + str(why)}", flush=True)


def control(address, **state):
    whole = {"secrets": SECRETS, "faults": [], "cred_faults": [], "token": "the-token", **state}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(address + "/-/control", data=json.dumps(whole).encode()), timeout=5).read()


def prepare(program, root, address, *options, **more):
    env = {"PATH": os.environ["PATH"], "MOODLE_URL": "https://moodle.example", "MOODLE_DATABASE_TYPE": "pgsql",
           "MOODLE_DATABASE_HOST": "127.0.0.1", "MOODLE_DATABASE_USER_ARN": NAME + ":username::",
           "MOODLE_DATABASE_PASSWORD_ARN": NAME + ":password::", "MOODLE_DATABASE_PORT_NUMBER_ARN": NAME + ":port",
           "MOODLE_PASSWORD_ARN": NAME + "admin", "MOODLE_DATA_DIR": f"{root}/data", "MOODLECTL_RUN_DIR": f"{root}/run",
           "MOODLECTL_LOCAL_DIR": f"{root}/local", "MOODLECTL_CODE_DIR": f"{root}/code",
           "MOODLECTL_TEMPLATE_DIR": str(TOP / "templates"), "MOODLECTL_HTTP_LISTEN": "127.0.0.1:18998",
           "AWS_ENDPOINT_URL_SECRETS_MANAGER": address, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "the-token",
           "AWS_CONTAINER_CREDENTIALS_FULL_URI": address + "/v2/credentials/abc", "AWS_EC2_METADATA_DISABLED": "true", **more}
    env = {name: value for name, value in env.items() if value is not None}
    done = subprocess.run([program, "prepare", *options], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    program = options.parse_args().build.resolve() / "moodlectl-role"
    with tempfile.TemporaryDirectory(prefix="moodlectl-prepare-") as name:
        root = pathlib.Path(name)
        root.chmod(0o755)
        shutil.copytree(TOP / "tests/standin/tree", root / "code", ignore=shutil.ignore_patterns("config.php"))
        (root / "data").mkdir()
        (root / "data").chmod(0o777)
        with subprocess.Popen([sys.executable, str(HERE / "fake_aws.py")], stdout=subprocess.PIPE, text=True) as server:
            address = server.stdout.readline().strip()
            try:
                cases(program, root, address)
            finally:
                server.kill()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def cases(program, root, address):
    control(address)
    status, said = prepare(program, root, address)
    check("prepare ends well", status == 0, said)
    moodle = json.loads((root / "run/moodle.json").read_text())
    lead = json.loads((root / "run/lead.json").read_text())
    check("a json key with odd bytes is in moodle.json", moodle["db"]["password"] == ODD, moodle["db"])
    check("user and port come from the same secret", (moodle["db"]["user"], moodle["db"]["port"]) == ("moodle_app", 5433), moodle["db"])
    check("a whole secret is in lead.json", lead["site"]["admin_password"] == "Adm1n hush!", lead["site"])
    check("nothing secret was said", ODD[:9] not in said and "hush" not in said, said)

    parameter = "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/moodle/admin"
    control(address, secrets={**SECRETS, parameter: [{"string": "hush of SSM", "id": "3"}], parameter + ":2": [{"string": "older hush", "id": "2"}]})
    for arn, value in ((parameter, "hush of SSM"), (parameter + ":2", "older hush")):
        status, said = prepare(program, root, address, MOODLE_PASSWORD_ARN=arn, AWS_ENDPOINT_URL_SSM=address)
        lead = json.loads((root / "run/lead.json").read_text())
        check(f"a parameter of Systems Manager: {arn[60:]}", status == 0 and lead["site"]["admin_password"] == value and "hush" not in said, said)
    status, said = prepare(program, root, address, MOODLE_PASSWORD_ARN=parameter + "s", AWS_ENDPOINT_URL_SSM=address)
    check("a parameter that does not exist", status == 78 and "E-SEC-NOT-FOUND" in said, said)
    for wrong in ("parameter/", "parameter/a b", "parameter/a:1:2", "document/x"):
        status, said = prepare(program, root, address, MOODLE_PASSWORD_ARN=f"arn:aws:ssm:eu-west-1:123456789012:{wrong}", AWS_ENDPOINT_URL_SSM=address)
        check(f"no parameter: {wrong}", status == 78 and "E-SEC-ARN" in said, said)
    new = {NAME: [{"string": json.dumps({"username": "other_app", "password": "new hush", "port": 5434}), "id": "2" * 32}], NAME + "admin": SECRETS[NAME + "admin"]}
    for before in (1, 2):
        control(address, faults=[{"do": "pass", "times": before}, {"do": "rotate", "secrets": new}])
        status, said = prepare(program, root, address)
        db = json.loads((root / "run/moodle.json").read_text())["db"]
        whole = (db["user"], db["password"], db["port"]) == ("other_app", "new hush", 5434)
        check(f"a rotation after {before} of the requests leaves nothing torn", status == 0 and whole, db)
    control(address)
    status, said = prepare(program, root, address, "--check", MOODLECTL_RUN_DIR=f"{root}/unused")
    check("--check fetches, and writes nothing", status == 0 and not (root / "unused").exists() and "hush" not in said, said)
    control(address, faults=[{"do": "decrypt", "times": 0}])
    status, said = prepare(program, root, address, "--check")
    check("--check finds a secret that cannot be had", status == 77 and said.count("E-SEC-DECRYPT") == 4, said)

    for fault, error, code in (("decrypt", "E-SEC-DECRYPT", 77), ("deleted", "E-SEC-REQUEST", 78), ("wrong_json", "E-SEC-FORMAT", 78)):
        control(address, faults=[{"do": fault, "times": 0}])
        status, said = prepare(program, root, address)
        check(f"{fault}: {error}", status == code and said.count(f'"{error}"') == 4, f"status {status}: {said}")
        check(f"{fault}: the holding page was possible before", '"stage":"boot"' in said and '"stage":"all"' not in said, said)
    control(address)
    status, said = prepare(program, root, address, MOODLE_DATABASE_USER_ARN=NAME + ":nokey::", MOODLE_PASSWORD_ARN="arn:aws:s3:::x")
    check("a wrong ARN is found before anything is asked", status == 78 and "E-SEC-ARN" in said and "MOODLE_PASSWORD_ARN" in said, said)
    status, said = prepare(program, root, address, MOODLE_DATABASE_USER_ARN=NAME + ":nokey::")
    check("a json key that is not there names the setting", status == 78 and "E-SEC-FORMAT" in said and "MOODLE_DATABASE_USER_ARN" in said, said)
    status, said = prepare(program, root, address, MOODLE_DATABASE_PREFIX_ARN=NAME + "admin")
    check("a value from a secret is checked like any other", status == 78 and "E-DB-PREFIX" in said and "hush" not in said, said)
    status, said = prepare(program, root, address, AWS_CONTAINER_CREDENTIALS_FULL_URI=None)
    check("no task role: E-SEC-CREDENTIALS", status == 77 and "E-SEC-CREDENTIALS" in said, said)


main()
