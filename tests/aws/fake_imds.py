"""The metadata service of an EC2 instance, version 2 only, in the AWS stand-in.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"""
import json

from fake_state import STATE

ROLES = "/latest/meta-data/iam/security-credentials/"


def imds(method, path, headers):
    """(HTTP status, body as text); take STATE.lock."""
    if headers.get("X-Forwarded-For"):
        return 403, "through a proxy"
    if method == "PUT":
        ttl = headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if path != "/latest/api/token" or not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return 400, "no time to live from 1 to 21600"
        STATE.imds_tokens += 1
        return 200, f"imds-token-{STATE.imds_tokens}=="
    if STATE.imds_tokens == 0 or headers.get("X-aws-ec2-metadata-token") != f"imds-token-{STATE.imds_tokens}==":
        return 401, "no token, or not one of now"
    if path == "/latest/meta-data/placement/region":
        return 200, STATE.imds_region
    if path == ROLES and STATE.imds_role:
        return 200, STATE.imds_role
    if path == ROLES + STATE.imds_role and STATE.imds_role:
        return 200, json.dumps({"Code": "Success", "LastUpdated": "2025-01-01T00:00:00Z", "Type": "AWS-HMAC", **STATE.credentials()})
    return 404, "<html>Not Found</html>"
