"""What the AWS stand-in knows and was asked. One STATE for all its threads; take STATE.lock."""
import datetime
import threading


class Refused(Exception):
    """An error of AWS: code, words, HTTP status."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.status = code, status


class State:
    # what POST /-/control may set, with what holds at the start
    DEFAULTS = {"secrets": {}, "faults": [], "cred_faults": [], "imds_faults": [], "metadata_faults": [], "protection_faults": [],
                "clock_s": 0, "skew_code": "InvalidSignatureException", "token": "", "static": ["AKIDSTATIC", "static/key+word"],
                "lifetime_s": 3600, "expiration": None, "imds_role": "moodle-instance", "imds_region": "eu-west-1", "task": {}, "container": {}}

    def __init__(self):
        self.lock = threading.Lock()
        self.log, self.generation, self.imds_tokens = [], 1, 0
        self.protection = {"enabled": False, "expires": None}
        for name, value in self.DEFAULTS.items():
            setattr(self, name, value)

    def control(self, wanted):
        unknown = set(wanted) - set(self.DEFAULTS) - {"expire"}
        if unknown:
            raise Refused("ValidationException", f"/-/control knows no {sorted(unknown)}")
        for name in set(wanted) & set(self.DEFAULTS):
            setattr(self, name, wanted[name])
        self.generation += bool(wanted.get("expire"))
        self.log.clear()

    def keys(self):
        """The temporary credentials of now; `expire` makes new ones and refuses all before."""
        n = self.generation
        return {"id": f"ASIATEMPORARY{n}", "key": f"temporary/key+{n}=", "token": f"session//token+{n}=="}

    def credentials(self):
        """As the container's address and IMDS give them."""
        keys = self.keys()
        end = self.expiration or (self.now() + datetime.timedelta(seconds=self.lifetime_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"AccessKeyId": keys["id"], "SecretAccessKey": keys["key"], "Token": keys["token"], "Expiration": end}

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock_s)

    @staticmethod
    def next_fault(faults):
        if not faults:
            return {}
        fault = faults[0]
        left = fault.get("times", 1)
        if left == 1:
            faults.pop(0)
        elif left > 1:
            fault["times"] = left - 1
        return {} if fault["do"] == "pass" else fault


STATE = State()
