#!/usr/bin/env python3
"""Every error that AWS answers with, met by a whole `moodlectl-role prepare` against fake_aws.py: its id and sentence, and either the exit
status after how many requests, or the wait after which it is cured.

    errors.py [--build DIR] [--only WORD]         needs python3-botocore. The last line says "N passed, N failed".
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
NAME = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/moodle-AbCdEf"
WORKERS = 4

# (HTTP status, code): E-ID, what cures it. "final": nothing; "later": a few slow tries; "keys": fresh credentials, once; "clock": the
# server's time once, then fresh credentials; "again": any of the next tries; "slower": the same, with longer waits.
CODES = {
    (400, "ResourceNotFoundException"): ("E-SEC-NOT-FOUND", "later"),
    (400, "AccessDeniedException"): ("E-SEC-DENIED", "later"),
    (400, "AccessDenied"): ("E-SEC-DENIED", "later"),
    (400, "NotAuthorized"): ("E-SEC-DENIED", "later"),
    (403, "OptInRequired"): ("E-SEC-DENIED", "final"),
    (400, "DecryptionFailure"): ("E-SEC-DECRYPT", "final"),
    (400, "InvalidParameterException"): ("E-SEC-REQUEST", "final"),
    (400, "InvalidRequestException"): ("E-SEC-REQUEST", "final"),
    (400, "ValidationException"): ("E-SEC-REQUEST", "final"),
    (400, "ACodeOfTheFuture"): ("E-SEC-REQUEST", "final"),
    (400, "ExpiredTokenException"): ("E-SEC-SIGNATURE", "keys"),
    (400, "ExpiredToken"): ("E-SEC-SIGNATURE", "keys"),
    (403, "UnrecognizedClientException"): ("E-SEC-SIGNATURE", "keys"),
    (403, "InvalidClientTokenId"): ("E-SEC-SIGNATURE", "keys"),
    (403, "MissingAuthenticationToken"): ("E-SEC-SIGNATURE", "keys"),
    (400, "IncompleteSignature"): ("E-SEC-SIGNATURE", "keys"),
    (403, "InvalidSignatureException"): ("E-SEC-SIGNATURE", "clock"),
    (403, "SignatureDoesNotMatch"): ("E-SEC-SIGNATURE", "clock"),
    (400, "RequestExpired"): ("E-SEC-SIGNATURE", "clock"),
    (403, "RequestTimeTooSkewed"): ("E-SEC-SIGNATURE", "clock"),
    (500, "InternalServiceError"): ("E-SEC-SERVICE", "again"),
    (400, "InternalServiceErrorException"): ("E-SEC-SERVICE", "again"),
    (500, "InternalServiceFailure"): ("E-SEC-SERVICE", "again"),
    (500, "InternalFailure"): ("E-SEC-SERVICE", "again"),
    (503, "ServiceUnavailable"): ("E-SEC-SERVICE", "again"),
    (400, "RequestTimeout"): ("E-SEC-SERVICE", "again"),
    (400, "RequestTimeoutException"): ("E-SEC-SERVICE", "again"),
    (502, "ACodeOfTheFuture"): ("E-SEC-SERVICE", "again"),
    (509, "ACodeOfTheFuture"): ("E-SEC-SERVICE", "again"),
    (400, "Throttling"): ("E-SEC-THROTTLED", "slower"),
    (400, "ThrottlingException"): ("E-SEC-THROTTLED", "slower"),
    (400, "ThrottledException"): ("E-SEC-THROTTLED", "slower"),
    (400, "RequestThrottledException"): ("E-SEC-THROTTLED", "slower"),
    (429, "TooManyRequestsException"): ("E-SEC-THROTTLED", "slower"),
    (400, "ProvisionedThroughputExceededException"): ("E-SEC-THROTTLED", "slower"),
    (400, "TransactionInProgressException"): ("E-SEC-THROTTLED", "slower"),
    (503, "RequestLimitExceeded"): ("E-SEC-THROTTLED", "slower"),
    (400, "BandwidthLimitExceeded"): ("E-SEC-THROTTLED", "slower"),
    (400, "LimitExceededException"): ("E-SEC-THROTTLED", "slower"),
    (400, "RequestThrottled"): ("E-SEC-THROTTLED", "slower"),
    (503, "SlowDown"): ("E-SEC-THROTTLED", "slower"),
    (400, "PriorRequestNotComplete"): ("E-SEC-THROTTLED", "slower"),
    (400, "EC2ThrottledException"): ("E-SEC-THROTTLED", "slower"),
    (429, "ACodeOfTheFuture"): ("E-SEC-THROTTLED", "slower"),
}
REQUESTS = {"final": 1, "later": 4, "keys": 2, "clock": 2}  # until it gives up
BASE_S = {"again": 0.1, "slower": 1.0}  # the first wait is at most this, the second twice as much
CURED = 2  # of the retried kinds: so many errors, then the value


def documented():
    """{id: (exit status, sentence)} of docs/errors.md."""
    rows = re.findall(r"^\| `(E-[A-Z-]+)` \| (\d+) \| (.*?) \|", (TOP / "docs/errors.md").read_text(), re.M)
    return {error: (int(status), sentence) for error, status, sentence in rows}


class Place:
    """A server and a member's directories of one's own."""

    def __init__(self, folder, program):
        self.folder, self.program = folder, program
        folder.mkdir(mode=0o755)
        shutil.copytree(TOP / "tests/standin/tree", folder / "code", ignore=shutil.ignore_patterns("config.php"))
        (folder / "data").mkdir()
        (folder / "data").chmod(0o777)
        self.server = subprocess.Popen([sys.executable, str(HERE / "fake_aws.py")], stdout=subprocess.PIPE, text=True)
        self.address = self.server.stdout.readline().strip()

    def ask(self, path, body=None):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        data = None if body is None else json.dumps(body).encode()
        return json.load(opener.open(urllib.request.Request(self.address + path, data=data), timeout=5))

    def prepare(self, faults, seconds=60):
        """(exit status, what was said, the requests for the secret, requests for credentials)"""
        self.ask("/-/control", {"secrets": {NAME: [{"string": "plain hush"}]}, "faults": faults})
        env = {"PATH": os.environ["PATH"], "MOODLE_URL": "https://moodle.example", "MOODLE_DATABASE_TYPE": "pgsql", "MOODLE_DATABASE_HOST": "127.0.0.1",
               "MOODLE_DATABASE_USER": "moodle", "MOODLE_DATABASE_PASSWORD_ARN": NAME, "MOODLE_DATA_DIR": f"{self.folder}/data",
               "MOODLECTL_RUN_DIR": f"{self.folder}/run", "MOODLECTL_LOCAL_DIR": f"{self.folder}/local", "MOODLECTL_CODE_DIR": f"{self.folder}/code",
               "MOODLECTL_TEMPLATE_DIR": str(TOP / "templates"), "MOODLECTL_HTTP_LISTEN": "127.0.0.1:18997", "AWS_ENDPOINT_URL": self.address,
               "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.address + "/v2/credentials/abc"}
        done = subprocess.run([self.program, "prepare", "--check"], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False)
        log = self.ask("/-/log")
        return done.returncode, done.stdout + done.stderr, [e for e in log if e["kind"] == "secret"], sum(e["kind"] == "credentials" for e in log)


def says(said, error, sentence, code):
    """Its id, its documented cause and AWS's own code, in one line; never the secret."""
    lines = [line for line in said.splitlines() if f" {error}: " in line]
    return len(lines) == 1 and code in lines[0] and sentence in explain(error) and "hush" not in said


def explain(error, found={}):  # pylint: disable=dangerous-default-value
    if error not in found:
        found[error] = subprocess.run([BUILD / "moodlectl", "explain", error], capture_output=True, text=True, check=True).stdout
    return found[error]


def try_final(place, status, code, error, kind, row):
    got, said, requests, credentials = place.prepare([{"do": "code", "status": status, "code": code, "times": 0}])
    want_credentials = 2 if kind in ("keys", "clock") else 1
    good = got == row[0] and says(said, error, row[1], code) and len(requests) == REQUESTS[kind] and credentials == want_credentials
    return good, f"exit status {got} after {len(requests)} requests and {credentials} for credentials: {said}"


def try_cured(place, status, code, kind):
    got, said, requests, _ = place.prepare([{"do": "code", "status": status, "code": code, "times": CURED}])
    waits = [b["time"] - a["time"] for a, b in zip(requests, requests[1:])]
    bounds = [BASE_S[kind] * 2 ** i for i in range(CURED)]
    good = got == 0 and len(requests) == CURED + 1 and all(w < b + 1.0 for w, b in zip(waits, bounds))  # a second for a busy machine
    return good, f"exit status {got}, waits {waits} of at most {bounds}: {said}"


def try_lasting(place, status, code, error, row):
    """It never passes: the start-up deadline, its own exit status, and no fast loop on the way."""
    got, said, requests, _ = place.prepare([{"do": "code", "status": status, "code": code, "times": 0}], seconds=100)
    took = requests[-1]["time"] - requests[0]["time"]
    good = got == row[0] and says(said, error, row[1], code) and 5 <= len(requests) <= 40 and took < 62
    return good, f"exit status {got} after {len(requests)} requests in {took:.0f} s: {said}"


def main():
    global BUILD  # pylint: disable=global-statement
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    options.add_argument("--only", default="", help="only codes that hold this word")
    given = options.parse_args()
    BUILD = given.build.resolve()
    rows, places = documented(), queue.Queue()
    with tempfile.TemporaryDirectory(prefix="moodlectl-errors-") as name, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        os.chmod(name, 0o755)
        everyone = [Place(pathlib.Path(name) / str(i), BUILD / "moodlectl-role") for i in range(WORKERS)]
        for place in everyone:
            places.put(place)

        def at_a_place(function, *arguments):
            place = places.get()
            try:
                return function(place, *arguments)
            finally:
                places.put(place)

        jobs = {}
        for status, code in ((500, "InternalServiceError"), (400, "ThrottlingException")):
            error = CODES[status, code][0]
            jobs[f"{status} {code} for ever: {error}, exit {rows[error][0]} at the deadline"] = pool.submit(at_a_place, try_lasting, status, code, error, rows[error])
        for (status, code), (error, kind) in CODES.items():
            if kind in REQUESTS:
                title = f"{status} {code}: {error}, exit {rows[error][0]} after {REQUESTS[kind]} requests"
                jobs[title] = pool.submit(at_a_place, try_final, status, code, error, kind, rows[error])
            else:
                jobs[f"{status} {code}: {error}, cured after {CURED} waits"] = pool.submit(at_a_place, try_cured, status, code, kind)
        failed = 0
        for title, job in jobs.items():
            if given.only not in title:
                job.cancel()
                continue
            good, why = job.result()
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {title}{'' if good else ': ' + why}", flush=True)
        for place in everyone:
            place.server.kill()
            place.server.wait()
    print(f"{len(jobs) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
