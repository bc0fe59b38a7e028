"""What it costs to know who calls, and to verify it: a draw of 32 bytes, signed as boto3 signs it.

CPU time, in one process and without HTTP. One connected key store, and in front of it an application for
each mode; they take turns in each round.
"""

import json
import time  # noqa: TID251  # a benchmark measures
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import draws
from bench.section import Bar, Rounds, Section, Terms, difference
from hsmstore.bootstrap.parts import open_world
from hsmstore.bootstrap.principals import add_principal
from hsmstore.domain.principal import AuthMode, PrincipalType
from hsmstore.domain.profile import Profile
from hsmstore.domain.sigv4 import signature, signing_key
from hsmstore.service.world import World
from hsmstore.settings.fields import Settings
from hsmstore.system.principals import FilePrincipals
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.auth import Identification
from hsmstore.wire.http import Request

VERIFY_MAX: Final = 25.0
"""Microseconds of CPU that `verify` may cost more than `off`."""

ROW: Final = "CPU of a draw, µs"
SIGNED: Final = (b"content-type", b"host", b"x-amz-date", b"x-amz-target")

_EXPLANATION: Final = """\
CPU time of a draw of 32 bytes in one process and without HTTP, the request as boto3 signs it, by `--auth`."""


def sections() -> list[Section]:
    """Return the measurement."""
    over_off = difference(AuthMode.VERIFY, AuthMode.OFF, ROW)
    bar = Bar("--auth verify: CPU of a draw over off, µs", over_off, most=VERIFY_MAX)
    return [Section("auth", "Who calls", _EXPLANATION, measure, lasts, (bar,))]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return 2 + terms.rounds * 1.0


def measure(terms: Terms) -> Rounds:
    """Measure a draw in each mode, in turn."""
    with scene(terms.directory, policy=None) as at:
        body = {"NumberOfBytes": 32, "CustomKeyStoreId": at.store}
        modes = {mode: KmsApplication(at.world, _none, identification=at.knowing(mode)) for mode in AuthMode}
        for _ in range(terms.rounds):
            request = at.signed("GenerateRandom", body)
            terms.say("draws")
            yield {mode: {ROW: draws.measure_request(one, request)} for mode, one in modes.items()}


class Scene(NamedTuple):
    """A world with a connected key store, and one principal who may call."""

    world: World
    store: str
    principals: FilePrincipals
    credential: Mapping[str, str]

    def knowing(self, mode: AuthMode) -> Identification:
        """Return what tells who calls, in a mode."""
        return Identification(self.world.home, mode, self.principals, time.time)

    def signed(self, operation: str, members: Mapping[str, Any]) -> Request:
        """Return a call of the principal's, as boto3 signs it now."""
        body = json.dumps(members).encode()
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()).encode()
        scope = b"%b/us-east-1/kms/aws4_request" % date[:8]
        headers = {
            b"host": b"127.0.0.1:4599",
            b"accept-encoding": b"identity",
            b"x-amz-target": f"TrentService.{operation}".encode(),
            b"content-type": b"application/x-amz-json-1.1",
            b"user-agent": b"Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11",
            b"x-amz-date": date,
            b"content-length": b"%d" % len(body),
        }
        key = signing_key(self.credential["SecretAccessKey"], date[:8], b"us-east-1", b"kms")
        right = signature(key, scope, date, SIGNED, (b"POST", b"/", headers, body))
        headers[b"authorization"] = b"AWS4-HMAC-SHA256 Credential=%b/%b, SignedHeaders=%b, Signature=%b" % (
            self.credential["AccessKeyId"].encode(),
            scope,
            b";".join(SIGNED),
            right,
        )
        return Request(b"POST", b"/", headers, body, "127.0.0.1")


@contextmanager
def scene(directory: Path, policy: dict[str, Any] | None) -> Iterator[Scene]:
    """Give a world in the directory, and a principal with the policy."""
    file, data_dir = directory / "principals.json", directory / "data"
    data_dir.mkdir(mode=0o700)
    with open_world(Settings(data_dir=data_dir, profile=Profile.INSTANT)) as world:
        account = world.home.account
        credential = add_principal(
            file, "bench", account=account, kind=PrincipalType.USER, tags={}, policy=policy
        )
        yield Scene(world, draws.connected_key_store(world), FilePrincipals(file), credential)


def _none(_environ: Any, _start: Any) -> list[bytes]:
    """Serve no management API."""
    return []
