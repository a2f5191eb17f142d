"""What ECS serves to a container, in the AWS stand-in: credentials, the task metadata endpoint v4, scale-in protection.

Shapes and words are those of amazon-ecs-agent, ecs-agent/tmds/handlers (v4/state/response.go, taskprotection/v1).
Each function gives (HTTP status, body as JSON value); take STATE.lock.
"""
import datetime

from fake_state import STATE

CONTAINER = "cd189a933e5849daa93386466019ab50-2495160603"  # the id in ECS_CONTAINER_METADATA_URI_V4 and ECS_AGENT_URI
TASK_ARN = "arn:aws:ecs:eu-west-1:123456789012:task/moodle/cd189a933e5849daa93386466019ab50"
CODES = {400: "InvalidParameterException", 403: "AccessDeniedException", 404: "ResourceNotFoundException", 429: "ThrottlingException",
         500: "ServerException", 504: "RequestCanceled"}


def credentials(path, authorized):
    if not authorized or not path.startswith("/v2/credentials/"):
        return 400, {"code": "InvalidIdInRequest", "message": "wrong id or token", "HTTPErrorCode": 400}
    return 200, {"RoleArn": "arn:aws:iam::123456789012:role/task", "AccountId": "123456789012", **STATE.credentials()}


def changed(document, changes):
    """None takes a member away."""
    return {name: value for name, value in {**document, **changes}.items() if value is not None}


def metadata(path):
    container = changed({
        "DockerId": CONTAINER, "Name": "moodle", "DockerName": "moodle", "Image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/moodle@sha256:" + "0" * 64,
        "ImageID": "sha256:" + "1" * 64, "Labels": {"com.amazonaws.ecs.cluster": "moodle", "com.amazonaws.ecs.container-name": "moodle"},
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Limits": {"CPU": 2}, "CreatedAt": "2025-01-01T00:00:00.000000000Z",
        "StartedAt": "2025-01-01T00:00:01.000000000Z", "Type": "NORMAL", "LogDriver": "awslogs", "ContainerARN": TASK_ARN.replace(":task/", ":container/"),
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.1.23"], "PrivateDNSName": "ip-10-0-1-23.eu-west-1.compute.internal"}],
        "Snapshotter": "overlayfs"}, STATE.container)
    task = changed({
        "Cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/moodle", "TaskARN": TASK_ARN, "Family": "moodle", "Revision": "7", "ServiceName": "moodle",
        "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING", "Limits": {"CPU": 2, "Memory": 4096}, "PullStartedAt": "2025-01-01T00:00:00.000000000Z",
        "PullStoppedAt": "2025-01-01T00:00:00.500000000Z", "AvailabilityZone": "eu-west-1b", "AvailabilityZoneID": "euw1-az2", "LaunchType": "FARGATE",
        "Containers": [container], "ClockDrift": {"ClockErrorBound": 0.4, "ReferenceTimestamp": "2025-01-01T00:00:00Z", "ClockSynchronizationStatus": "SYNCHRONIZED"},
        "EphemeralStorageMetrics": {"Utilized": 261, "Reserved": 20496}, "AMemberOfTheFuture": {"a": [1]}}, STATE.task)
    found = {"": container, "/task": task, "/taskWithTags": {**task, "TaskTags": {}}}.get(path.removeprefix("/v4/" + CONTAINER).rstrip("/"))
    return (200, found) if found else (404, "V4 metadata handler: unable to find that container")


def protection_error(status, code=None, message="because the test wants it"):
    known = {} if status == 404 else {"Arn": TASK_ARN}
    return status, {"requestID": "33333333-fake", "error": {**known, "Code": code or CODES.get(status, "ServerException"), "Message": message}}


def protection(path, asked, fault):
    """`asked`: the members of a PUT; None: GET."""
    if path != f"/api/{CONTAINER}/task-protection/v1/state":
        return protection_error(404, message="Failed to find a task for the request")
    if asked is not None and (not isinstance(asked, dict) or set(asked) - {"ProtectionEnabled", "ExpiresInMinutes"}):
        return protection_error(400, message="UpdateTaskProtection: failed to decode request")
    if asked is not None and not isinstance(asked.get("ProtectionEnabled"), bool):
        return protection_error(400, message="Invalid request: does not contain 'ProtectionEnabled' field")
    minutes = (asked or {}).get("ExpiresInMinutes", 120)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= 2880:
        return protection_error(400, message="expiresInMinutes should be between 1 and 2880")
    if fault.get("do") == "failure":  # the status is 200, and nothing is protected
        return 200, {"failure": {"Arn": TASK_ARN, "Detail": None, "Reason": fault.get("reason", "DEPLOYMENT_BLOCKED")}}
    if fault.get("do", "").isdigit():
        return protection_error(int(fault["do"]), fault.get("code"))
    if asked is not None:
        end = STATE.now() + datetime.timedelta(minutes=minutes) if asked["ProtectionEnabled"] else None
        STATE.protection = {"enabled": asked["ProtectionEnabled"], "expires": end}
    held = STATE.protection["enabled"] and STATE.now() < STATE.protection["expires"]
    end = STATE.protection["expires"].strftime("%Y-%m-%dT%H:%M:%S.000Z") if held else None
    return 200, {"protection": {"ExpirationDate": end, "ProtectionEnabled": held, "TaskArn": TASK_ARN}}
