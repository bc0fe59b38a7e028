"""`python -m bench.iam`: what it costs to ask policies, in the CPU time of a call, as boto3 signs it.

One connected key store, and in front of it applications: nobody is asked who calls; callers are identified,
or verified; policies are enforced. The calls are a draw of 32 bytes, which needs an identity policy only, and
an Encrypt, which needs the key's too. The applications take turns in each round; differences are taken within
a round.
"""

import argparse
import json
import statistics
import tempfile
import time  # noqa: TID251  # a benchmark measures
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench import draws
from hsmstore.bootstrap import add_principal, open_world
from hsmstore.domain.policy.decision import IamMode
from hsmstore.domain.principal import AuthMode, PrincipalType
from hsmstore.domain.profile import Profile
from hsmstore.domain.sigv4 import signature, signing_key
from hsmstore.service.iam.authorizing import Authorization
from hsmstore.service.keys.create import CreateKeyRequest, create_key
from hsmstore.service.keys.metadata import Origin
from hsmstore.service.world import Call, World
from hsmstore.settings.fields import Settings
from hsmstore.system.principals import FilePrincipals
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.auth import Identification
from hsmstore.wire.http import Request, Response, Work

BAR: Final = 40.0
"""Microseconds of CPU that `enforce` may cost a draw more than `off`, with the identification it needs."""

CALLS: Final = 2000
SIGNED: Final = (b"content-type", b"host", b"x-amz-date", b"x-amz-target")
OFF: Final = (AuthMode.OFF, IamMode.OFF)
SETUPS: Final = (
    OFF,
    (AuthMode.IDENTIFY, IamMode.ENFORCE),
    (AuthMode.VERIFY, IamMode.OFF),
    (AuthMode.VERIFY, IamMode.ENFORCE),
)
POLICY: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["kms:Describe*", "kms:List*"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["kms:GenerateRandom", "kms:Encrypt", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
        },
        {
            "Effect": "Deny",
            "Action": "kms:*",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}},
        },
    ],
}


def measure(application: KmsApplication, request: Request) -> float:
    """Return the CPU time of one call, in µs."""
    before = time.process_time()
    for _ in range(CALLS):
        answer: Any = application.begin(request)
        if isinstance(answer, Work):
            answer = answer.run()
        if not isinstance(answer, Response) or answer.status != draws.OK:
            raise RuntimeError(answer)
    return (time.process_time() - before) / CALLS * 1e6


def rounds(world: World, file: Path, count: int) -> Iterator[dict[tuple[str, AuthMode, IamMode], float]]:
    """Yield what each call costs in each setup, in µs."""
    credential = add_principal(
        file, "bench", account=world.home.account, kind=PrincipalType.USER, tags={}, policy=POLICY
    )
    principals = FilePrincipals(file)
    applications = {
        (auth, iam): KmsApplication(
            world,
            lambda _environ, _start: [],
            identification=Identification(world.home, auth, principals, time.time),
            authorization=None if iam is IamMode.OFF else Authorization(world, iam),
        )
        for auth, iam in SETUPS
    }
    store = draws.connected_key_store(world)
    made = CreateKeyRequest(origin=Origin.AWS_CLOUDHSM, custom_key_store_id=store)
    key = create_key(made, Call(world.home, "bench"), world).key_metadata.key_id
    bodies: dict[str, dict[str, Any]] = {
        "GenerateRandom": {"NumberOfBytes": 32, "CustomKeyStoreId": store},
        "Encrypt": {"KeyId": key, "Plaintext": "aaaa"},
    }
    for _ in range(count):
        yield {
            (operation, auth, iam): measure(application, called(operation, credential, members))
            for operation, members in bodies.items()
            for (auth, iam), application in applications.items()
        }


def called(operation: str, credential: dict[str, Any], members: dict[str, Any]) -> Request:
    """Return a call as boto3 signs it, from this machine."""
    body = json.dumps(members).encode()
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()).encode()
    scope = b"%b/us-east-1/kms/aws4_request" % date[:8]
    headers = {
        b"host": b"127.0.0.1:4599",
        b"x-amz-target": f"TrentService.{operation}".encode(),
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
    return Request(b"POST", b"/", headers, body, "127.0.0.1")


def main() -> int:
    """Measure and print; return 1 where the bar does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.iam", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "data").mkdir(mode=0o700)
        with open_world(Settings(data_dir=place / "data", profile=Profile.INSTANT)) as world:
            found = list(rounds(world, place / "principals.json", arguments.rounds))
    for operation, auth, iam in found[0]:
        cost = statistics.median(one[operation, auth, iam] for one in found)
        more = statistics.median(one[operation, auth, iam] - one[operation, *OFF] for one in found)
        print(f"{operation:<14} auth {auth:<8} iam {iam:<7}: {cost:7.2f} µs CPU, {more:+7.2f} over off")
    asking = statistics.median(
        one["GenerateRandom", AuthMode.IDENTIFY, IamMode.ENFORCE] - one["GenerateRandom", *OFF]
        for one in found
    )
    return 1 if asking > BAR else 0


if __name__ == "__main__":
    raise SystemExit(main())
