"""The signed services of the AWS stand-in, Secrets Manager and Systems Manager: verifies every signature with botocore's own SigV4."""
import base64
import datetime

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fake_state import STATE, Refused

CODES = {  # fault: (status, code)
    "throttle": (400, "ThrottlingException"), "throttle429": (429, "TooManyRequestsException"),
    "error500": (500, "InternalServiceError"), "denied": (400, "AccessDeniedException"),
    "not_found": (400, "ResourceNotFoundException"), "decrypt": (400, "DecryptionFailure"),
    "deleted": (400, "InvalidRequestException"), "parameter": (400, "InvalidParameterException"),
    "expired": (400, "ExpiredTokenException"), "unknown_client": (403, "UnrecognizedClientException"),
}
SIGNED = ["content-type", "host", "x-amz-date", "x-amz-target"]
UNSIGNED = {"authorization", "user-agent", "accept", "content-length"}


def signature(method, url, headers, body, credentials, service, region, date):
    """botocore's signature for what is given, at a time of our choice."""
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        request.headers[name] = value
    request.context["timestamp"] = date
    auth = SigV4Auth(credentials, service, region)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def check_headers(headers, token):
    """The exact set, each once."""
    names = [name.lower() for name, _ in headers]
    twice = {n for n in names if names.count(n) > 1}
    want = set(SIGNED) | ({"x-amz-security-token"} if token else set())
    wrong = (want - set(names)) | (set(names) - want - UNSIGNED)
    if twice or wrong:
        raise Refused("IncompleteSignature", f"headers: twice {sorted(twice)}, wrong {sorted(wrong)}")


def known_keys(key_id):
    temporary = STATE.keys()
    if key_id == STATE.static[0]:
        return STATE.static[1], ""
    if key_id == temporary["id"]:
        return temporary["key"], temporary["token"]
    if key_id.startswith("ASIATEMPORARY"):
        raise Refused("ExpiredTokenException", "The security token included in the request is expired")
    raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")


def verify(handler, body):
    """Raises Refused unless the request is signed by a key that we know, for the right service, now."""
    headers = dict((n.lower(), v) for n, v in handler.headers.items())
    try:
        algorithm, rest = headers["authorization"].split(" ", 1)
        fields = dict(f.strip().split("=", 1) for f in rest.split(","))
        key_id, day, region, service, end = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
        date = headers["x-amz-date"]
        when = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except (KeyError, ValueError) as e:
        raise Refused("IncompleteSignature", f"not signed as it should be: {e!r}")
    wanted = "ssm" if headers.get("x-amz-target", "").startswith("AmazonSSM.") else "secretsmanager"
    if (algorithm, service, end, day) != ("AWS4-HMAC-SHA256", wanted, "aws4_request", date[:8]):
        raise Refused("InvalidSignatureException", "wrong scope")
    key, token = known_keys(key_id)
    if headers.get("x-amz-security-token", "") != token:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    check_headers(handler.headers.items(), token)
    if names != sorted(SIGNED + (["x-amz-security-token"] if token else [])):
        raise Refused("InvalidSignatureException", f"signed headers are {names}")
    signed = [(n, v) for n, v in handler.headers.items() if n.lower() in names]
    url = "http://" + headers["host"] + handler.path
    if signature("POST", url, signed, body, Credentials(key_id, key, token or None), service, region, date) != fields["Signature"]:
        raise Refused("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
    if abs((STATE.now() - when).total_seconds()) > 300:
        raise Refused(STATE.skew_code, f"Signature expired: {date} is not near {STATE.now():%Y%m%dT%H%M%SZ}")
    if headers["content-type"] != "application/x-amz-json-1.1":
        raise Refused("UnknownOperationException", "wrong type")


def get_secret_value(asked):
    """The answer to a request's members."""
    unknown = set(asked) - {"SecretId", "VersionId", "VersionStage"}
    if unknown or not asked.get("SecretId"):
        raise Refused("InvalidParameterException", f"members {sorted(asked)}")
    secret = STATE.secrets.get(asked["SecretId"])
    want = asked.get("VersionId") or asked.get("VersionStage") or "AWSCURRENT"
    version = next((v for v in (secret or []) if want in (v.get("id"), v.get("stage", "AWSCURRENT"))), None)
    if version is None:
        raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    answer = {"ARN": asked["SecretId"], "Name": asked["SecretId"].split(":")[6], "CreatedDate": 1735689600.123,
              "VersionId": version.get("id", "00000000-0000-0000-0000-000000000000"),
              "VersionStages": [version.get("stage", "AWSCURRENT")], "AMemberOfTheFuture": {"a": [1]}}
    if "binary" in version:
        answer["SecretBinary"] = base64.b64encode(version["binary"].encode()).decode()
    else:
        answer["SecretString"] = version["string"]
    return answer


def get_parameters(asked):
    """SSM: the ARN, perhaps with a version, stands in `secrets` as it is asked for."""
    if set(asked) != {"Names", "WithDecryption"} or asked["WithDecryption"] is not True:
        raise Refused("ValidationException", f"members {sorted(asked)}")
    found = [(name, STATE.secrets[name][0]) for name in asked["Names"] if name in STATE.secrets]
    return {"InvalidParameters": [name for name in asked["Names"] if name not in STATE.secrets],
            "Parameters": [{"Name": name, "Type": "SecureString", "Value": v["string"], "Version": int(v.get("id", "1")), "ARN": name,
                            "LastModifiedDate": 1735689600.123, "DataType": "text"} for name, v in found]}


OPERATIONS = {"secretsmanager.GetSecretValue": get_secret_value, "AmazonSSM.GetParameters": get_parameters}
