"""Generated requests, signed by our signer and by botocore's, in header and query form."""
import json
import random
import subprocess
import time
import urllib.parse


def any_text(rng, alphabet, most):
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(most)))


def encode_oddly(rng, text):
    """A valid encoding of text for a query, one of many."""
    out = ""
    for byte in text.encode():
        c = chr(byte)
        if c.isalnum() and byte < 128 and rng.random() < 0.9:
            out += c
        else:
            out += ("%%%02x" if rng.random() < 0.5 else "%%%02X") % byte
    return out


def make_request(rng):
    letters = "abcXYZ019-_.~"
    wild = letters + " /&=+%?#:;,'\"()*!@$äß漢\U0001f600"
    parts = [rng.choice(["", ".", "..", any_text(rng, wild.replace("/", ""), 8)]) for _ in range(rng.randrange(6))]
    path = "/" + "/".join(urllib.parse.quote(p) for p in parts)
    pairs = {any_text(rng, wild, 6) + str(i): any_text(rng, wild, 10) for i in range(rng.randrange(6))}
    items = list(pairs.items())
    rng.shuffle(items)
    headers = [["Host", any_text(rng, "abc", 9) + ".example" + rng.choice(["", ":8443"])]]
    for _ in range(rng.randrange(5)):
        name = rng.choice(["X-", "x-"]) + any_text(rng, "abcDEF-", 5) + "z"
        value = any_text(rng, letters + "  \t:;,=/\"ü", 20)
        headers.append([name, value])
        if rng.random() < 0.2:
            headers.append([name.upper(), any_text(rng, letters, 5)])
    rng.shuffle(headers)
    return {"method": rng.choice(["GET", "POST", "PUT"]), "path": path, "pairs": items,
            "query": "&".join(f"{encode_oddly(rng, k)}={encode_oddly(rng, v)}" for k, v in items), "headers": headers,
            "body": any_text(rng, wild + "\n{}", 200), "region": rng.choice(["eu-west-1", "us-gov-east-1"]),
            "service": rng.choice(["secretsmanager", "rds-db", "elasticache", "logs"]), "id": "AKID" + any_text(rng, "ABC123", 9),
            "secret": "s" + any_text(rng, "abcXYZ019/+=", 40), "token": rng.choice(["", "t" + any_text(rng, "abc/+=", 300)]),
            "when": rng.randrange(1, 4102444800), "expires": rng.randrange(1, 604800)}


def expected(r):
    """botocore's signature in header form and whole query in query form."""
    from botocore.auth import SigV4Auth, SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    keys = Credentials(r["id"], r["secret"], r["token"] or None)
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(r["when"]))
    url = "https://" + next(v for n, v in r["headers"] if n == "Host") + r["path"]

    def fresh(more_headers, **arguments):
        request = AWSRequest(method=r["method"], **arguments)
        for name, value in r["headers"] + more_headers:
            request.headers[name] = value
        request.context["timestamp"] = date
        return request

    more = [["X-Amz-Date", date]] + ([["X-Amz-Security-Token", r["token"]]] if r["token"] else [])
    auth = SigV4Auth(keys, r["service"], r["region"])
    request = fresh(more, url=url, params=r["pairs"], data=r["body"].encode())
    header = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    auth = SigV4QueryAuth(keys, r["service"], r["region"], expires=r["expires"])
    request = fresh([], url=url + ("?" + r["query"] if r["query"] else ""))
    auth._modify_request_before_signing(request)  # pylint: disable=protected-access
    query = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return names, header, query


def test_signatures(run, count, seed):
    rng = random.Random(seed)
    requests = [make_request(rng) for _ in range(count)]
    # the query form of a request with a body is not comparable: botocore moves a form's fields into the query
    lines = "".join(json.dumps(dict(r, body="" if form else r["body"])) + "\n" for r in requests for form in (0, 1))
    out = subprocess.run([str(run.build / "tests/test_aws_sigv4"), "--batch"], input=lines, text=True, capture_output=True, check=False)
    answers = [json.loads(line) for line in out.stdout.splitlines()]
    run.check(f"{count} generated requests were signed", len(answers) == 2 * count, f"{len(answers)} answers {out.stderr}")
    header_wrong, query_wrong = [], []
    for i, r in enumerate(requests[:len(answers) // 2]):
        names, header, query = expected(r)
        if not answers[2 * i]["header"].endswith(f", SignedHeaders={names}, Signature={header}"):
            header_wrong.append(i)
        if not answers[2 * i + 1]["query"].endswith("&X-Amz-Signature=" + query):
            query_wrong.append(i)
    for form, wrong in (("header", header_wrong), ("query", query_wrong)):
        first = json.dumps(requests[wrong[0]]) if wrong else ""
        run.check(f"{count} signatures in {form} form agree with botocore's (seed {seed})", not wrong, f"{len(wrong)} differ, first {first}")
