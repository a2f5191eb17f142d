#!/usr/bin/env python3
"""A local AWS for tests: Secrets Manager and Systems Manager, which verify every signature with botocore's own SigV4, and what
surrounds a task: the container's credentials, IMDSv2, the task metadata endpoint v4, task scale-in protection.

    fake_aws.py [--listen 127.0.0.1:0] [--tls CERT KEY]        prints its address as the first line

    AWS_ENDPOINT_URL=ADDRESS                                   Secrets Manager and Systems Manager
    AWS_CONTAINER_CREDENTIALS_FULL_URI=ADDRESS/v2/credentials/ANY
    AWS_EC2_METADATA_SERVICE_ENDPOINT=ADDRESS                  IMDSv2
    ECS_CONTAINER_METADATA_URI_V4=ADDRESS/v4/CONTAINER         CONTAINER is fake_ecs.CONTAINER
    ECS_AGENT_URI=ADDRESS/api/CONTAINER

POST /-/control  {"secrets": {...}, "faults": [...], "clock_s": 3600, ...}  sets what is named (fake_state.State.DEFAULTS) and empties
                 the log; "expire": true ends the temporary credentials; "task", "container" change members of the metadata (null: none)
GET  /-/log      everything asked since, as a JSON list; GET /-/protection: what scale-in protection holds now

A fault is {"do": NAME, "times": N} and meets the next N requests (times 0: all further ones); "pass" lets them through. Each service has
its own list: faults (signed services), cred_faults, imds_faults, metadata_faults, protection_faults. For all: stall (seconds), truncate,
wrong_json, long, html (status), redirect, refuse, and a HTTP status as a word ("503"). Signed services: the names in fake_signed.CODES,
"code" with status, code and perhaps retry_after; "expire"; "rotate" with secrets, which holds from the next request on. Protection: "failure" with reason.
"""
import argparse
import http.server
import json
import ssl
import sys
import time

import fake_ecs
from fake_imds import imds
from fake_state import STATE, Refused

try:
    from fake_signed import CODES, OPERATIONS, verify
except ImportError:
    sys.exit("fake_aws.py: botocore is not installed (Debian: python3-botocore)")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(STATE.now().timestamp())

    def answer(self, status, body, headers=(), kind="application/x-amz-json-1.1"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, status, value, headers=()):
        self.answer(status, json.dumps(value).encode(), headers)

    def error(self, status, code, message, headers=()):
        self.answer_json(status, {"__type": code, "Message": message}, [("x-amzn-RequestId", "11111111-fake"), *headers])

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

    def note(self, kind, fault, **more):
        entry = {"kind": kind, "method": self.command, "path": self.path, "did": fault.get("do", "answer"), "time": time.time(), **more}
        STATE.log.append(entry)
        return entry

    # ---- what surrounds the task ----

    def credentials(self):
        with STATE.lock:
            fault = STATE.next_fault(STATE.cred_faults)
            right = self.headers.get("Authorization", "") == STATE.token
            self.note("credentials", fault, authorized=right)
            status, body = fake_ecs.credentials(self.path, right)
        if fault.get("do", "").isdigit():
            status, body = int(fault["do"]), {"code": "CredentialsUninitialized", "message": "not yet", "HTTPErrorCode": int(fault["do"])}
        if not self.break_off(fault):
            self.answer_json(status, body)

    def instance(self):
        with STATE.lock:
            fault = STATE.next_fault(STATE.imds_faults)
            status, body = imds(self.command, self.path, self.headers)
            if fault.get("do", "").isdigit():
                status, body = int(fault["do"]), "because the test wants it"
            self.note("imds", fault, status=status)
        if not self.break_off(fault):
            self.answer(status, body.encode(), kind="text/plain")

    def metadata(self):
        with STATE.lock:
            fault = STATE.next_fault(STATE.metadata_faults)
            self.note("metadata", fault)
            status, body = fake_ecs.metadata(self.path)
        if fault.get("do", "").isdigit():
            status, body = int(fault["do"]), "because the test wants it"
        if not self.break_off(fault):
            self.answer_json(status, body)

    def protection(self, body):
        try:
            asked = json.loads(body) if self.command == "PUT" else None
        except ValueError:
            asked = []
        with STATE.lock:
            fault = STATE.next_fault(STATE.protection_faults)
            status, said = fake_ecs.protection(self.path, asked, fault)
            self.note("protection", fault, asked=asked, status=status, answer=said)
        if not self.break_off(fault):
            self.answer_json(status, said)

    # ---- the signed services ----

    def judge(self, body, fault, entry):
        """(answer, None) or (None, Refused). Every signature is verified, whatever the fault is."""
        try:
            verify(self, body)
            operation = OPERATIONS.get(self.headers["X-Amz-Target"])
            if not operation:
                raise Refused("UnknownOperationException", "wrong target")
        except Refused as e:
            entry["signature"] = f"{e.code}: {e}"
            return None, e
        if fault.get("do") == "expire":
            STATE.generation += 1
            return None, Refused("ExpiredTokenException", "The security token included in the request is expired")
        try:
            answer = operation(json.loads(body)) if fault.get("do") in (None, "rotate", "stall") else None
        except Refused as e:
            return None, e
        if fault.get("do") == "rotate":
            STATE.secrets = fault["secrets"]
        return answer, None

    def signed(self, body):
        with STATE.lock:
            fault = STATE.next_fault(STATE.faults)
            entry = self.note("secret", fault, signature="good", scope=self.headers.get("Authorization", "")[:200].split(",")[0])
            answer, refused = self.judge(body, fault, entry)
        do = fault.get("do", "")
        if self.break_off(fault):
            return
        extra = [("x-amz-retry-after", str(fault["retry_after"]))] if "retry_after" in fault else []
        if do in CODES:
            self.error(*CODES[do], "because the test wants it", extra)
        elif do == "code":
            self.error(fault["status"], fault["code"], "because the test wants it", extra)
        elif do.isdigit():
            self.answer(int(do), b"", extra)
        elif refused:
            self.error(refused.status, refused.code, str(refused))
        else:
            self.answer_json(200, answer, [("x-amzn-RequestId", "22222222-fake")])

    # ---- by method ----

    def do_GET(self):
        if self.path == "/-/log":
            with STATE.lock:
                self.answer_json(200, STATE.log)
        elif self.path == "/-/protection":
            with STATE.lock:
                self.answer_json(200, fake_ecs.protection(f"/api/{fake_ecs.CONTAINER}/task-protection/v1/state", None, {})[1])
        elif self.path.startswith("/v4/"):
            self.metadata()
        elif self.path.startswith("/api/"):
            self.protection(b"")
        elif self.path.startswith("/latest/"):
            self.instance()
        else:
            self.credentials()

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/api/"):
            self.protection(body)
        else:
            self.instance()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/-/control":
            self.signed(body)
            return
        try:
            with STATE.lock:
                STATE.control(json.loads(body))
            self.answer(200, b"{}")
        except Refused as e:
            self.error(e.status, e.code, str(e))


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
