"""One process of `bench.steps`: what a draw goes through, step by step, each as often as standard input asks.

A line of it names a step and how often to take it; `done` is printed when it has been taken.
"""

import asyncio
import json
import sys
import time  # noqa: TID251  # a benchmark waits
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bench.constant import Constant
from bench.draws import AUTHORIZATION, connected_key_store
from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.door import Door
from hsmstore.domain.identifiers import Uuids
from hsmstore.domain.profile import Profile
from hsmstore.domain.tally import Tally
from hsmstore.service.random import GenerateRandomRequest, GenerateRandomResponse, generate_random_promptly
from hsmstore.service.world import World
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import stopwatch
from hsmstore.system.entropy import SystemEntropy
from hsmstore.trail.writer import FileTrail
from hsmstore.wire import awsjson
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.auth import Identification
from hsmstore.wire.http import Application, Connection, Request, Response
from hsmstore.wire.metering import PROMPT, MeteredApplication
from hsmstore.wire.operations import OPERATIONS
from hsmstore.wire.rounds import Rounds

TARGET: Final = "TrentService.GenerateRandom"
LENGTH: Final = 32  # bytes

Step = Callable[[], object]


class Wire(asyncio.Transport):
    """A transport without a socket: what is written goes nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take it."""

    def is_closing(self) -> bool:
        """Tell that it is not."""
        return False


class Surroundings:
    """What a connection needs of its server."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.connections: dict[Connection, None] = {}
        self.now = 0
        self.date = b"Date: Sun, 29 Nov 2026 02:32:09 GMT\r\n"
        self.soon: list[Step] = []
        self.arrived = Rounds(self.soon.append).arrived

    def has_room(self) -> bool:
        """Tell that there is."""
        return True

    def submit(self, *_: object) -> bool:
        """Refuse: nothing here is work."""
        raise NotImplementedError


def over_http(application: Application, request: Request) -> Step:
    """Return the step of parsing a request, having it answered, and putting the answer into bytes."""
    surroundings = Surroundings(application)
    connection = Connection(surroundings)
    connection.connection_made(Wire())
    headers = {**request.headers, b"content-length": b"%d" % len(request.body or b"")}
    lines = [b"POST / HTTP/1.1", *(b"%b: %b" % pair for pair in headers.items()), b"", request.body or b""]
    received = b"\r\n".join(lines)

    def step() -> None:
        connection.data_received(received)
        surroundings.soon.pop()()

    return step


def begun(application: Application, request: Request) -> Step:
    """Return the step of serving a request; what the trail has to write is part of it."""

    def step() -> None:
        answer = application.begin(request)
        if not isinstance(answer, Response) or b"Plaintext" not in answer.body:
            raise RuntimeError(answer)

    return step


def steps(world: World, recorded: World, headers: Mapping[bytes, bytes]) -> dict[str, Step]:
    """Return all steps by name; `recorded` is a world with a trail."""

    def request_of(one: World) -> Request:
        members = {"NumberOfBytes": LENGTH, "CustomKeyStoreId": connected_key_store(one)}
        return Request(b"POST", b"/", dict(headers), json.dumps(members).encode(), "127.0.0.1")

    request, recorded_request = request_of(world), request_of(recorded)
    body = request.body or b""
    decode = OPERATIONS[TARGET].decode_again
    members: GenerateRandomRequest = decode(body)
    kms, kept = (KmsApplication(one, lambda _environ, _start: []) for one in (world, recorded))
    response = GenerateRandomResponse(plaintext=bytes(LENGTH))
    new_request_id, refusal = Uuids(SystemEntropy().public_bits).new, Door().refusal
    request_id, identification = new_request_id(), Identification(world.home)
    connection = world.gate.find((world.home, members.custom_key_store_id or ""))
    session = connection._session  # type: ignore[union-attr]  # noqa: SLF001  # python-pkcs11's, without ours
    constant = Constant(Response(200, awsjson.head(new_request_id()), awsjson.encode(response)))
    return {
        "nothing": lambda: None,
        "HTTP": over_http(constant, request),
        "constant": lambda: constant.begin(request),
        "KMS": begun(kms, request),
        "metered": begun(MeteredApplication(kms, Tally(PROMPT), stopwatch), request),
        "recorded": begun(kept, recorded_request),
        "door": lambda: refusal(request.headers),
        "id": new_request_id,
        "caller": lambda: identification.of(request),
        "decode": lambda: decode(body),
        "draw": lambda: generate_random_promptly(members, world.home, world),
        "C_GenerateRandom": lambda: session.generate_random(8 * LENGTH),
        "encode": lambda: Response(200, awsjson.head(request_id), awsjson.encode(response)),
    }


def main() -> None:
    """Take the steps that standard input asks for."""
    data_dir = Path(sys.argv[1])
    headers = json.loads(sys.argv[2])
    headers = {name.lower().encode(): value.encode() for name, value in headers.items()}
    headers |= {b"host": b"127.0.0.1:4599", b"authorization": AUTHORIZATION.encode()}
    with (
        open_world(Settings(data_dir=data_dir / "plain", profile=Profile.INSTANT)) as world,
        open_world(Settings(data_dir=data_dir / "kept", profile=Profile.INSTANT), serving=True) as recorded,
    ):
        named = steps(world, recorded, headers)
        for line in sys.stdin:
            name, times = line.split()
            step = named[name]
            for _ in range(int(times)):
                step()
            while isinstance(recorded.trail, FileTrail) and recorded.trail.queue:
                time.sleep(0.01)
            print("done", flush=True)


if __name__ == "__main__":
    main()
