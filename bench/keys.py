"""What cryptography with a key costs, alone on its token and among many.

CPU time, in one process and without HTTP: through the application, in the bare calls to PKCS#11, and of a
connection's own calls on tokens with one key and with many, in turn.
"""

import base64
import json
import statistics
import tempfile
import time  # noqa: TID251  # a benchmark measures
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag
from pkcs11.mechanisms import GCMParams

from bench.draws import AUTHORIZATION, OK, PASSWORD, connected_key_store
from bench.section import Bar, Rounds, Section, Terms, value
from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.cluster import Cluster, ClusterState
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.ports import HsmConnection
from hsmstore.domain.profile import Profile
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.service.keys.create import CreateKeyRequest, create_key
from hsmstore.service.keys.metadata import Origin
from hsmstore.service.world import Call, World
from hsmstore.settings.fields import Settings
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Request, Work

BOUND: Final = 1.1  # how much dearer a key may be found among many than alone
REQUESTS: Final = 2_000
CALLS: Final = 500
MEMORY: Final = Path("/dev/shm")  # noqa: S108  # where it is, ten thousand keys take seconds to make, not minutes
PLAINTEXT: Final = bytes(32)
MANY: Final = (1, 1_000, 10_000)  # keys on a token
RATIO: Final = "the dearer of the two, times that of 1 key"
NEEDLE: Final = b"the one key"
HOME: Final = Scope("000000000000", "us-east-1")


class Cost(NamedTuple):
    """What a request costs, and its calls to PKCS#11 alone; µs of CPU time."""

    operation: str
    request: float
    pkcs11: float


_REQUESTS: Final = """\
CPU time of a request in one process and without HTTP, and of its calls to PKCS#11 alone."""

_TOKENS: Final = """\
CPU time of a connection's own calls on tokens with one key and with many, in turn: encrypting 32 bytes, and
finding the key; and once, the first use of a key after a connect, and making one more key."""


def sections() -> list[Section]:
    """Return both measurements."""
    bar = Bar("10,000 keys on a token: finding a key, times of 1", value("10,000 keys", RATIO), most=BOUND)
    return [
        Section("keys", "Cryptography with a key", _REQUESTS, measure_requests, lambda _: 12.0),
        Section(
            "tokens",
            "A key among many",
            _TOKENS,
            measure_tokens,
            lambda terms: 12.0 if terms.quick else 90.0,
            (bar,),
        ),
    ]


def measure_requests(terms: Terms) -> Rounds:
    """Measure the operations, once with so many rounds of their own."""
    terms.say("requests")
    costs = of_requests(terms.directory / "data", terms.rounds)
    yield {c.operation: {"CPU, µs": c.request, "in PKCS#11, µs": c.pkcs11} for c in costs}


def measure_tokens(terms: Terms) -> Rounds:
    """Fill tokens with keys, and measure once with so many rounds of their own."""
    terms.say("filling tokens")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        tokens = of_tokens(Path(directory), MANY[: 2 if terms.quick else None], terms.rounds)
    yield {
        _named(token): {
            "find, µs": token.use,
            "encrypt, µs": token.encrypt,
            RATIO: token.ratio,
            "first use after a connect, ms": token.first_use,
            "one more key, ms": token.made,
        }
        for token in tokens
    }


def _named(token: "Token") -> str:
    return "1 key" if token.keys == 1 else f"{token.keys:,} keys"


# Through the application.


def of_requests(data_dir: Path, rounds: int) -> list[Cost]:
    """Measure each operation of 32 bytes, best of the rounds."""
    data_dir.mkdir(mode=0o700)
    with open_world(Settings(data_dir=data_dir, profile=Profile.INSTANT)) as world:
        call = Call(world.home, "bench")
        store = connected_key_store(world)
        request = CreateKeyRequest(origin=Origin.AWS_CLOUDHSM, custom_key_store_id=store)
        arn = create_key(request, call, world).key_metadata.arn
        application = KmsApplication(world, lambda _environ, _start: [])
        calls = bare_calls(world, store)
        posts = {
            name: partial(post, application, name, body)
            for name, body in requests_of(application, store, arn).items()
        }
        return [
            Cost(
                name,
                min(cpu(posts[name], REQUESTS) for _ in range(rounds)),
                min(cpu(calls[name], REQUESTS) for _ in range(rounds)),
            )
            for name in posts
        ]


def requests_of(application: KmsApplication, store: str, arn: str) -> dict[str, bytes]:
    """Return the body of a request of each operation."""
    members: dict[str, dict[str, Any]] = {
        "GenerateRandom": {"NumberOfBytes": len(PLAINTEXT), "CustomKeyStoreId": store},
        "Encrypt": {"KeyId": arn, "Plaintext": base64.b64encode(PLAINTEXT).decode()},
        "GenerateDataKey": {"KeyId": arn, "NumberOfBytes": len(PLAINTEXT)},
    }
    encrypted = json.loads(post(application, "Encrypt", json.dumps(members["Encrypt"]).encode()))
    members["Decrypt"] = {"CiphertextBlob": encrypted["CiphertextBlob"]}
    return {name: json.dumps(body).encode() for name, body in members.items()}


def post(application: KmsApplication, operation: str, body: bytes) -> bytes:
    """Send one request that must be answered with 200."""
    headers = {
        b"host": b"127.0.0.1:4599",
        b"content-type": b"application/x-amz-json-1.1",
        b"x-amz-target": f"TrentService.{operation}".encode(),
        b"authorization": AUTHORIZATION.encode(),
    }
    begun = application.begin(Request(b"POST", b"/", headers, body))
    response = begun.run() if isinstance(begun, Work) else begun
    if response is None or response.status != OK:
        raise RuntimeError(response)
    return response.body


def bare_calls(world: World, store: str) -> dict[str, Callable[[], object]]:
    """Return what each operation calls of PKCS#11, on the same session and key, and nothing else."""
    connection: Any = world.gate.find((world.home, store))
    session = connection._session  # noqa: SLF001  # below the port is what is measured
    (key,) = session.get_objects({Attribute.KEY_TYPE: KeyType.AES})
    parameters, aad = session.generate_random(96), bytes(80)

    def encrypt() -> bytes:
        iv = GCMParams(session.generate_random(96), aad)
        sealed: bytes = key.encrypt(PLAINTEXT, mechanism=Mechanism.AES_GCM, mechanism_param=iv)
        return sealed

    def data_key() -> bytes:
        session.generate_random(8 * len(PLAINTEXT))
        return encrypt()

    fixed = GCMParams(parameters, aad)
    blob = key.encrypt(PLAINTEXT, mechanism=Mechanism.AES_GCM, mechanism_param=fixed)
    return {
        "GenerateRandom": lambda: session.generate_random(8 * len(PLAINTEXT)),
        "Encrypt": encrypt,
        "GenerateDataKey": data_key,
        "Decrypt": lambda: key.decrypt(blob, mechanism=Mechanism.AES_GCM, mechanism_param=fixed),
    }


def cpu(call: Callable[[], object], times: int) -> float:
    """Return the CPU time of one call, in µs."""
    before = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - before) / times * 1e6


# On tokens with few keys and with many.


class Token(NamedTuple):
    """A token with so many keys: µs of CPU time of a key's use, and what else its keys cost."""

    keys: int
    use: float
    encrypt: float
    ratio: float
    """The larger of the two beside those on the token with one key, taken within a round; the median."""
    first_use: float
    """ms, once after a connect: every handle is read."""
    made: float
    """ms, the making of one more key, which is searched for."""


def of_tokens(directory: Path, sizes: Sequence[int], rounds: int) -> list[Token]:
    """Measure a key's use on tokens of these sizes, one after the other in each round."""
    hsm = Pkcs11Hsm(directory, time.monotonic)
    with ExitStack() as stack:
        tokens = [stack.enter_context(filled(hsm, number, size)) for number, size in enumerate(sizes)]
        once = [
            (cpu(token.has_key_of_needle, 1) / 1e3, cpu(token.make_one_more, 1) / 1e3) for token in tokens
        ]
        found = [
            [(cpu(t.has_key_of_needle, CALLS), cpu(t.encrypt, CALLS)) for t in tokens] for _ in range(rounds)
        ]
    return [_summary(size, once[at], found, at) for at, size in enumerate(sizes)]


def _summary(size: int, once: tuple[float, float], found: list[list[tuple[float, float]]], at: int) -> Token:
    use, encrypt = ([each[at][which] for each in found] for which in (0, 1))
    ratios = [statistics.median(each[at][which] / each[0][which] for each in found) for which in (0, 1)]
    return Token(size, statistics.median(use), statistics.median(encrypt), max(ratios), *once)


class Filled(NamedTuple):
    """A connection to a token with keys on it."""

    connection: HsmConnection

    def has_key_of_needle(self) -> None:
        """Find the one key, and read one attribute of it."""
        if not self.connection.has_key(NEEDLE):
            raise RuntimeError("the key is gone")

    def encrypt(self) -> None:
        """Find the one key, and encrypt with it."""
        self.connection.encrypt(NEEDLE, PLAINTEXT, b"")

    def make_one_more(self) -> None:
        """Make a key as CreateKey does."""
        self.connection.generate_key("one more", b"one more")


@contextmanager
def filled(hsm: Pkcs11Hsm, number: int, size: int) -> Iterator[Filled]:
    """Give a new connection to a token with so many real keys, one of them `NEEDLE`."""
    name = f"cluster-aaaaaaaaaa{'abcdefgh'[number]}"
    token = hsm.create_token(name, "officer-pin", PASSWORD)
    cluster = Cluster(
        id=name, scope=HOME, state=ClusterState.ACTIVE, created_at=0.0, trust_anchor_certificate="",
        hsms=(), token=token, crypto_officer_pin=None,
    )  # fmt: skip
    connection: Any = hsm.connect(cluster, PASSWORD)
    for at in range(size - 1):  # without the tries and the syncing of a KMS key's material
        connection._session.generate_key(  # noqa: SLF001  # below the port, for speed
            KeyType.AES, 256, id=at.to_bytes(16), label=f"key {at}", store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        )  # fmt: skip
    connection.generate_key("needle", NEEDLE)
    connection.close()
    connection = hsm.connect(cluster, PASSWORD)
    try:
        yield Filled(connection)
    finally:
        connection.close()
