"""What it costs to ask policies: identity policies for a draw of 32 bytes, and the key's too for an Encrypt.

CPU time, in one process and without HTTP. One connected key store, and in front of it applications that
know who calls, or have it verified, and ask policies or do not; they take turns in each round.
"""

import time  # noqa: TID251  # a benchmark measures
from typing import Any, Final

from bench import draws
from bench.auth import scene
from bench.section import Bar, Rounds, Section, Terms, difference
from hsmstore.domain.policy.decision import IamMode
from hsmstore.domain.principal import AuthMode
from hsmstore.service.iam.authorizing import Authorization
from hsmstore.service.keys.create import CreateKeyRequest, create_key
from hsmstore.service.keys.metadata import Origin
from hsmstore.service.world import Call
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Request, Response, Work

ENFORCE_MAX: Final = 40.0
"""Microseconds of CPU that `enforce` may cost a draw more than `off`."""

CALLS: Final = 2_000
DRAW: Final = "CPU of a draw, µs"
ENCRYPT: Final = "CPU of an Encrypt, µs"
SETUPS: Final = {
    "identified": (AuthMode.IDENTIFY, IamMode.OFF),
    "identified, enforce": (AuthMode.IDENTIFY, IamMode.ENFORCE),
    "verified": (AuthMode.VERIFY, IamMode.OFF),
    "verified, enforce": (AuthMode.VERIFY, IamMode.ENFORCE),
}
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

_EXPLANATION: Final = """\
CPU time of a call in one process and without HTTP, by whether its signature is verified and policies are
asked (`--iam enforce`). The policy has three statements, two of them with a condition; the key has the
default key policy."""


def sections() -> list[Section]:
    """Return the measurement."""
    bars = [
        Bar(f"--iam enforce: CPU of a draw over off, {known}, µs", over_off, most=ENFORCE_MAX)
        for known in ("identified", "verified")
        for over_off in [difference(f"{known}, enforce", known, DRAW)]
    ]
    return [Section("iam", "Who may", _EXPLANATION, measure, lasts, bars)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return 2 + terms.rounds * 6.0


def measure(terms: Terms) -> Rounds:
    """Measure a draw and an Encrypt in each setup, in turn."""
    with scene(terms.directory, POLICY) as at:
        setups = {
            name: KmsApplication(
                at.world,
                lambda _environ, _start: [],
                identification=at.knowing(auth),
                authorization=None if iam is IamMode.OFF else Authorization(at.world, iam),
            )
            for name, (auth, iam) in SETUPS.items()
        }
        made = CreateKeyRequest(origin=Origin.AWS_CLOUDHSM, custom_key_store_id=at.store)
        key = create_key(made, Call(at.world.home, "bench"), at.world).key_metadata.key_id
        calls = CALLS // 10 if terms.quick else CALLS
        drawing = {"NumberOfBytes": 32, "CustomKeyStoreId": at.store}
        for _ in range(terms.rounds):
            terms.say("draws and Encrypts")
            draw, encrypt = at.signed("GenerateRandom", drawing), at.signed("Encrypt", encrypting(key))
            yield {
                name: {DRAW: draws.measure_request(one, draw), ENCRYPT: of_work(one, encrypt, calls)}
                for name, one in setups.items()
            }


def encrypting(key_id: str) -> dict[str, Any]:
    """Return the members of an Encrypt."""
    return {"KeyId": key_id, "Plaintext": "aaaa"}


def of_work(application: KmsApplication, request: Request, calls: int) -> float:
    """Return the CPU time of a call that may wait, in µs."""
    before = time.process_time()
    for _ in range(calls):
        begun = application.begin(request)
        answer = begun.run() if isinstance(begun, Work) else begun
        if not isinstance(answer, Response) or answer.status != draws.OK:
            raise RuntimeError(answer)
    return (time.process_time() - before) / calls * 1e6
