"""`python -m bench.auth`: what it costs to know who calls, and to verify it.

One connected key store, and in front of it an application for each mode: the CPU time of a draw of 32 bytes,
the request as boto3 signs it. The modes take turns in each round; differences are taken within a round.
"""

import argparse
import json
import statistics
import tempfile
import time  # noqa: TID251  # a benchmark measures
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench import draws
from hsmstore.bootstrap import add_principal, open_world
from hsmstore.domain.principal import AuthMode, PrincipalType
from hsmstore.domain.profile import Profile
from hsmstore.domain.sigv4 import signature, signing_key
from hsmstore.service.world import World
from hsmstore.settings.fields import Settings
from hsmstore.system.principals import FilePrincipals
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.auth import Identification
from hsmstore.wire.http import Request

BAR: Final = 25.0
"""Microseconds of CPU that `verify` may cost more than `off`."""

SIGNED: Final = (b"content-type", b"host", b"x-amz-date", b"x-amz-target")


def signed(credential: Mapping[str, str], body: bytes) -> Request:
    """Return a draw as boto3 signs it."""
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()).encode()
    scope = b"%b/us-east-1/kms/aws4_request" % date[:8]
    headers = {
        b"host": b"127.0.0.1:4599",
        b"accept-encoding": b"identity",
        b"x-amz-target": b"TrentService.GenerateRandom",
        b"content-type": b"application/x-amz-json-1.1",
        b"user-agent": b"Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11",
        b"x-amz-date": date,
        b"content-length": b"%d" % len(body),
    }
    key = signing_key(credential["SecretAccessKey"], date[:8], b"us-east-1", b"kms")
    right = signature(key, scope, date, SIGNED, (b"POST", b"/", headers, body))
    headers[b"authorization"] = b"AWS4-HMAC-SHA256 Credential=%b/%b, SignedHeaders=%b, Signature=%b" % (
        credential["AccessKeyId"].encode(),
        scope,
        b";".join(SIGNED),
        right,
    )
    return Request(b"POST", b"/", headers, body)


def rounds(world: World, file: Path, body: bytes, count: int) -> Iterator[dict[AuthMode, float]]:
    """Yield what a draw costs in each mode, in µs."""
    credential = add_principal(
        file, "bench", account=world.home.account, kind=PrincipalType.USER, tags={}, policy=None
    )
    principals = FilePrincipals(file)
    applications = {
        mode: KmsApplication(
            world,
            lambda _environ, _start: [],
            identification=Identification(world.home, mode, principals, time.time),
        )
        for mode in AuthMode
    }
    for _ in range(count):
        request = signed(credential, body)
        yield {
            mode: draws.measure_request(application, request) for mode, application in applications.items()
        }


def main() -> int:
    """Measure and print; return 1 where the bar does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.auth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="(%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "data").mkdir(mode=0o700)
        with open_world(Settings(data_dir=place / "data", profile=Profile.INSTANT)) as world:
            members = {"NumberOfBytes": 32, "CustomKeyStoreId": draws.connected_key_store(world)}
            body = json.dumps(members).encode()
            found = list(rounds(world, place / "principals.json", body, arguments.rounds))
    for mode in AuthMode:
        print(f"{mode:<8}, µs CPU a draw: {statistics.median(one[mode] for one in found):.2f}")
    for mode in (AuthMode.IDENTIFY, AuthMode.VERIFY):
        more = statistics.median(one[mode] - one[AuthMode.OFF] for one in found)
        print(f"{mode} over off, µs:  {more:.2f}")
    return 1 if more > BAR else 0


if __name__ == "__main__":
    raise SystemExit(main())
