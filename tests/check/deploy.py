#!/usr/bin/env python3
"""The files of deploy/ fit AWS's own model of ECS, the table of settings, and each other."""

import fnmatch
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOUND = []


def wrong(text):
    FOUND.append(text)
    print(f"deploy: {text}")


def settings():
    """Names in base/settings.def and which of them are secret."""
    names = {}
    for name, flags in re.findall(r'^SETTING\(\w+, "(\w+)", \w+, "[^"]*", ([^,]+),', (ROOT / "base/settings.def").read_text(), re.M):
        names[name] = "SF_SECRET" in flags
    return names


def defaults():
    return dict(re.findall(r'^SETTING\(\w+, "(\w+)", \w+, "([^"]*)"', (ROOT / "base/settings.def").read_text(), re.M))


def check_enums(shape, value, path):
    """What botocore's validator leaves out: values of enumerations."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if isinstance(value, dict) and name in value:
                check_enums(member, value[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for i, item in enumerate(value):
            check_enums(shape.member, item, f"{path}[{i}]")
    elif shape.type_name == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        wrong(f"{path}: {value!r} is none of {', '.join(shape.enum)}")


def check_model(task):
    try:
        import botocore.session
        from botocore.validate import ParamValidator
    except ImportError:
        print("deploy: skipped the check against the ECS model: python3-botocore is not installed")
        return
    shape = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    report = ParamValidator().validate(task, shape)
    if report.has_errors():
        wrong(f"task-definition.json: {report.generate_report()}")
    else:
        check_enums(shape, task, "task-definition.json")


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def check_container(task, container):
    names = settings()
    environment = {item["name"]: item["value"] for item in container["environment"]}
    arns = []
    for name, value in environment.items():
        plain = re.sub(r"_(ARN|FILE)$", "", name)
        if name not in names and plain not in names:
            wrong(f"{name} is not a setting")
        elif names.get(name):
            wrong(f"{name} is a secret and stands there in plain text")
        if name.endswith("_ARN"):
            arns.append(value)
            if not re.fullmatch(r"arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:[^:]+-\w{6}:\w+::", value):
                wrong(f"{name}: {value} is not an ARN with a key")
    volumes = {volume["name"] for volume in task["volumes"]}
    mounts = {mount["containerPath"]: mount["sourceVolume"] for mount in container["mountPoints"]}
    tmpfs = {mount["containerPath"] for mount in container["linuxParameters"]["tmpfs"]}
    for volume in set(mounts.values()) ^ volumes:
        wrong(f"volume {volume} is not both declared and mounted")
    value = lambda name: environment.get(name, defaults()[name])
    for name, places in (("MOODLECTL_RUN_DIR", tmpfs), ("MOODLECTL_LOCAL_DIR", mounts), ("MOODLE_DATA_DIR", mounts)):
        if value(name) not in places:
            wrong(f"{name} {value(name)} is not a writable mount, and the root file system is read-only")
    if not seconds(value("MOODLECTL_LAME_DUCK")) < seconds(value("MOODLECTL_STOP_TIMEOUT")) < container["stopTimeout"] <= 120:
        wrong("not MOODLECTL_LAME_DUCK < MOODLECTL_STOP_TIMEOUT < stopTimeout <= 120")
    if str(container["portMappings"][0]["containerPort"]) != value("MOODLECTL_HTTP_LISTEN").split(":")[-1]:
        wrong("the port is not the one of MOODLECTL_HTTP_LISTEN")
    if container["healthCheck"]["command"] != ["CMD", "moodlectl", "healthcheck", "live"]:
        wrong("the health check is not moodlectl's liveness")
    return arns


def check_policy(policy, arns, task):
    statements = policy["Statement"]
    for statement in statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for text in actions + resources:
            if text == "*" or text.endswith(":*"):
                wrong(f"iam-task-role.json: {statement['Sid']} allows {text}")
    allowed = next(s["Resource"] for s in statements if s["Action"] == "secretsmanager:GetSecretValue")
    for arn in arns:
        base = ":".join(arn.split(":")[:7])
        if not any(fnmatch.fnmatchcase(base, pattern) for pattern in allowed):
            wrong(f"iam-task-role.json: nothing allows {base}")
    for pattern in allowed:
        if not any(fnmatch.fnmatchcase(":".join(arn.split(":")[:7]), pattern) for arn in arns):
            wrong(f"iam-task-role.json: {pattern} is allowed and not used")
    efs = task["volumes"][0]["efsVolumeConfiguration"]
    for text in (efs["fileSystemId"], efs["authorizationConfig"]["accessPointId"]):
        if text not in json.dumps(policy):
            wrong(f"iam-task-role.json does not know {text}")


def main():
    task = json.loads((ROOT / "deploy/task-definition.json").read_text())
    policy = json.loads((ROOT / "deploy/iam-task-role.json").read_text())
    check_model(task)
    if FOUND:       # The rest relies on the right types.
        return 1
    arns = check_container(task, task["containerDefinitions"][0])
    check_policy(policy, arns, task)
    print(f"deploy: {len(FOUND)} faults")
    return 1 if FOUND else 0


if __name__ == "__main__":
    sys.exit(main())
