"""What RDS does with a token: an LDAP server, to which a real PostgreSQL hands the password that it was given (auth method ldap, simple
bind). It computes the token's signature itself (HMAC, nothing of botocore or of ours) and refuses what is wrong or too old.

    with Verifier(keys) as v:  pg_hba: hostssl all USER all ldap ldapserver=127.0.0.1 ldapport={v.port} ldapprefix="" ldapsuffix=""
"""
import datetime
import hashlib
import hmac
import socketserver
import threading
import urllib.parse


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def judge(token, user, keys, lifetime_s=900):
    """"" for a good token, else what is wrong. keys: {"id", "key", "token"}."""
    host, _, query = token.partition("/?")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    given = dict(pairs)
    if (given.get("Action"), given.get("DBUser")) != ("connect", user):
        return "not for this user"
    if given.get("X-Amz-Security-Token", "") != keys["token"]:
        return "another session token"
    key_id, day, region, service, end = given["X-Amz-Credential"].split("/")
    if (key_id, service, end) != (keys["id"], "rds-db", "aws4_request"):
        return f"scope {given['X-Amz-Credential']}"
    made = datetime.datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    age = (datetime.datetime.now(datetime.timezone.utc) - made).total_seconds()
    if given["X-Amz-Expires"] != "900" or not -300 < age < lifetime_s:
        return f"too old: {age:.1f} s"
    quote = lambda text: urllib.parse.quote(text, safe="-_.~")  # noqa: E731
    canonical = "&".join(f"{k}={v}" for k, v in sorted((quote(k), quote(v)) for k, v in pairs if k != "X-Amz-Signature"))
    request = f"GET\n/\n{canonical}\nhost:{host}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    to_sign = f"AWS4-HMAC-SHA256\n{given['X-Amz-Date']}\n{day}/{region}/{service}/{end}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("AWS4" + keys["key"]).encode()
    for part in (day, region, service, end):
        key = hmac256(key, part)
    return "" if hmac256(key, to_sign).hex() == given["X-Amz-Signature"] else "wrong signature"


def take(data, at):
    """(tag, value, next) of a BER element."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        n = length & 0x7f
        length, at = int.from_bytes(data[at:at + n], "big"), at + n
    return tag, data[at:at + length], at + length


class Bind(socketserver.BaseRequestHandler):
    """RFC 4511: LDAPMessage { messageID, BindRequest { version, name, simple password } } and its answer."""

    def message(self):
        data = b""
        while len(data) < 6 or len(data) < take(data, 0)[2]:
            more = self.request.recv(65536)
            if not more:
                return None
            data += more
        return take(data, 0)[1]

    def handle(self):
        while (message := self.message()) is not None:
            _, number, at = take(message, 0)
            tag, bind, _ = take(message, at)
            if tag != 0x60:  # unbind
                return
            _, _, at = take(bind, 0)
            _, name, at = take(bind, at)
            _, password, _ = take(bind, at)
            verifier = self.server.verifier
            why = judge(password.decode(), name.decode(), verifier.keys, verifier.lifetime_s)
            verifier.verdicts.append(why)
            answer = bytes([0x02, len(number)]) + number + bytes([0x61, 7, 0x0a, 1, 49 if why else 0, 0x04, 0, 0x04, 0])
            self.request.sendall(bytes([0x30, len(answer)]) + answer)


class Verifier:
    def __init__(self, keys, lifetime_s=900):
        self.keys, self.lifetime_s, self.verdicts = keys, lifetime_s, []
        socketserver.ThreadingTCPServer.daemon_threads = True
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Bind)
        self.server.verifier = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
