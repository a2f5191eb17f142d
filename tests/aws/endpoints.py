#!/usr/bin/env python3
"""Writes endpoints.json: the host of each service in a region of each partition, as botocore's own rule sets give it.
Newer rule sets change them: run it with the botocore to compare with, then tests/unit/test_aws_endpoint.c."""
import json
import os

import botocore
import botocore.session
from botocore.endpoint_provider import EndpointProvider

REGIONS = ("eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1")


def hosts(loader, service, region):
    rules = EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), loader.load_data("partitions"))
    found = [rules.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual).url for fips in (False, True) for dual in (False, True)]
    return [url.removeprefix("https://") for url in found]


def main():
    loader = botocore.session.get_session().get_component("data_loader")
    rows = [[service, region, *hosts(loader, service, region)] for service in ("secretsmanager", "ssm") for region in REGIONS]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "endpoints.json"), "w", encoding="utf-8") as out:
        out.write(f'{{"from": "endpoints.py with botocore {botocore.__version__}: plain, dual-stack, FIPS, FIPS and dual-stack",\n "rows": [\n')
        out.write(",\n".join(json.dumps(row) for row in rows) + "\n]}\n")


if __name__ == "__main__":
    main()
