#!/usr/bin/env python3
"""A Secrets Manager and a container credentials address, for tests. Verifies every signature with botocore's own SigV4.

    fake_aws.py [--listen 127.0.0.1:0] [--tls CERT KEY]        prints its address as the first line

POST /-/control  {"secrets": {...}, "faults": [...], "cred_faults": [...], "clock_s": 3600, "token": "...", "expire": true}
                 sets what is named, and empties the log; "static": [id, key] are keys without a session token.
GET  /-/log      everything asked since, as a JSON list

A fault is {"do": NAME, "times": N} and meets the next N requests (times 0: all further ones). NAMES below.
"""
import argparse
import base64
import datetime
import http.server
import json
import ssl
import sys
import threading
import time

try:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    sys.exit("fake_aws.py: botocore is not installed (Debian: python3-botocore)")

CODES = {  # fault: (status, code)
    "throttle": (400, "ThrottlingException"), "throttle429": (429, "TooManyRequestsException"),
    "error500": (500, "InternalServiceError"), "denied": (400, "AccessDeniedException"),
    "not_found": (400, "ResourceNotFoundException"), "decrypt": (400, "DecryptionFailure"),
    "deleted": (400, "InvalidRequestException"), "parameter": (400, "InvalidParameterException"),
    "expired": (400, "ExpiredTokenException"), "unknown_client": (403, "UnrecognizedClientException"),
}
SIGNED = ["content-type", "host", "x-amz-date", "x-amz-target"]
UNSIGNED = {"authorization", "user-agent", "accept", "content-length"}


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.secrets, self.faults, self.cred_faults, self.log = {}, [], [], []
        self.clock_s, self.token, self.generation, self.static = 0, "", 1, ["AKIDSTATIC", "static/key+word"]
        self.lifetime_s = 3600

    def keys(self):
        n = self.generation
        return {"id": f"ASIATEMPORARY{n}", "key": f"temporary/key+{n}=", "token": f"session//token+{n}=="}

    def next_fault(self, faults):
        if not faults:
            return {}
        fault = faults[0]
        left = fault.get("times", 1)
        if left == 1:
            faults.pop(0)
        elif left > 1:
            fault["times"] = left - 1
        return fault


STATE = State()


def now():
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=STATE.clock_s)


def signature(method, url, headers, body, credentials, service, region, date):
    """botocore's signature for what is given, at a time of our choice."""
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        request.headers[name] = value
    request.context["timestamp"] = date
    auth = SigV4Auth(credentials, service, region)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


class Refused(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.status = code, status


def check_headers(headers, token):
    """The exact set, each once."""
    names = [name.lower() for name, _ in headers]
    twice = {n for n in names if names.count(n) > 1}
    want = set(SIGNED) | ({"x-amz-security-token"} if token else set())
    wrong = (want - set(names)) | (set(names) - want - UNSIGNED)
    if twice or wrong:
        raise Refused("IncompleteSignature", f"headers: twice {sorted(twice)}, wrong {sorted(wrong)}")


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
    temporary = STATE.keys()
    if key_id == STATE.static[0]:
        key, token = STATE.static[1], ""
    elif key_id == temporary["id"]:
        key, token = temporary["key"], temporary["token"]
    elif key_id.startswith("ASIATEMPORARY"):
        raise Refused("ExpiredTokenException", "The security token included in the request is expired")
    else:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    if headers.get("x-amz-security-token", "") != token:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    check_headers(handler.headers.items(), token)
    if names != sorted(SIGNED + (["x-amz-security-token"] if token else [])):
        raise Refused("InvalidSignatureException", f"signed headers are {names}")
    signed = [(n, v) for n, v in handler.headers.items() if n.lower() in names]
    url = "http://" + headers["host"] + handler.path
    if signature("POST", url, signed, body, Credentials(key_id, key, token or None), service, region, date) != fields["Signature"]:
        raise Refused("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
    if abs((now() - when).total_seconds()) > 300:
        raise Refused("InvalidSignatureException", f"Signature expired: {date} is not near {now():%Y%m%dT%H%M%SZ}")
    return region


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


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(now().timestamp())

    def answer(self, status, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, code, message, headers=()):
        body = json.dumps({"__type": code, "Message": message}).encode()
        self.answer(status, body, [("x-amzn-RequestId", "11111111-fake"), *headers])

    def break_off(self, fault):
        """Faults that are no answer. True when that was one."""
        do = fault.get("do")
        if do == "stall":
            time.sleep(fault.get("seconds", 30))
        elif do == "truncate":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"SecretString":"half of a se')
        elif do == "wrong_json":
            self.answer(200, b'{"SecretString": "not closed')
        elif do == "long":
            self.answer(200, b'{"SecretString": "' + b"x" * (3 << 20) + b'"}')
        elif do == "html":
            self.answer(fault.get("status", 200), b"<html>a captive portal</html>")
        elif do == "redirect":
            self.answer(302, b"", [("Location", "http://127.0.0.1:1/")])
        elif do != "refuse":
            return False
        self.close_connection = True
        return True

    def do_GET(self):
        if self.path == "/-/log":
            with STATE.lock:
                self.answer(200, json.dumps(STATE.log).encode())
            return
        with STATE.lock:
            fault = STATE.next_fault(STATE.cred_faults)
            right = self.headers.get("Authorization", "") == STATE.token
            STATE.log.append({"kind": "credentials", "path": self.path, "did": fault.get("do", "answer"), "authorized": right})
            keys = STATE.keys()
        if self.break_off(fault):
            return
        if fault.get("do", "").isdigit():
            body = {"code": "CredentialsUninitialized", "message": "not yet", "HTTPErrorCode": int(fault["do"])}
            self.answer(int(fault["do"]), json.dumps(body).encode())
        elif not right or not self.path.startswith("/v2/credentials/"):
            self.answer(400, b'{"code":"InvalidIdInRequest","message":"wrong id or token","HTTPErrorCode":400}')
        else:
            end = now() + datetime.timedelta(seconds=STATE.lifetime_s)
            body = {"RoleArn": "arn:aws:iam::123456789012:role/task", "AccessKeyId": keys["id"], "SecretAccessKey": keys["key"],
                    "Token": keys["token"], "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "AccountId": "123456789012"}
            self.answer(200, json.dumps(body).encode())

    def control(self, wanted):
        with STATE.lock:
            for name in ("secrets", "faults", "cred_faults", "clock_s", "token", "static", "lifetime_s"):
                if name in wanted:
                    setattr(STATE, name, wanted[name])
            STATE.generation += bool(wanted.get("expire"))
            STATE.log.clear()
        self.answer(200, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/-/control":
            self.control(json.loads(body))
            return
        with STATE.lock:
            fault = STATE.next_fault(STATE.faults)
            entry = {"kind": "secret", "path": self.path, "did": fault.get("do", "answer"), "signature": "good",
                     "scope": self.headers.get("Authorization", "")[:200].split(",")[0], "time": time.time()}
            STATE.log.append(entry)
            refused, answer = None, None
            try:  # every signature is verified, whatever the fault is
                verify(self, body)
                if self.headers["X-Amz-Target"] not in ("secretsmanager.GetSecretValue", "AmazonSSM.GetParameters") or self.headers["Content-Type"] != "application/x-amz-json-1.1":
                    raise Refused("UnknownOperationException", "wrong target or type")
            except Refused as e:
                refused, entry["signature"] = e, f"{e.code}: {e}"
            if fault.get("do") == "expire":
                STATE.generation += 1
                refused = Refused("ExpiredTokenException", "The security token included in the request is expired")
            try:
                ask = get_parameters if self.headers["X-Amz-Target"].startswith("AmazonSSM") else get_secret_value
                answer = None if refused or fault else ask(json.loads(body))
            except Refused as e:
                refused = e
        if self.break_off(fault):
            return
        if fault.get("do") in CODES:
            extra = [("x-amz-retry-after", str(fault["retry_after"]))] if "retry_after" in fault else []
            self.error(*CODES[fault["do"]], "because the test wants it", extra)
        elif refused:
            self.error(refused.status, refused.code, str(refused))
        else:
            self.answer(200, json.dumps(answer).encode(), [("x-amzn-RequestId", "22222222-fake")])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--listen", default="127.0.0.1:0")
    options.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    given = options.parse_args()
    host, port = given.listen.rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    if given.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*given.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"{'https' if given.tls else 'http'}://{host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
