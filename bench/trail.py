"""What the trail costs: the CPU time of a draw with it and without, its thread included.

In one process and without HTTP. Two worlds take turns in each round, which ends when all is written.
"""

import time  # noqa: TID251  # what is measured
from contextlib import ExitStack
from typing import Final

from bench.draws import AUTHORIZATION, DRAWS, OK, connected_key_store
from bench.section import Bar, Rounds, Section, Terms, difference
from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.profile import Profile
from hsmstore.service.world import World
from hsmstore.settings.fields import Settings
from hsmstore.trail.writer import FileTrail
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Request, Response

TRAIL_MAX: Final = 5.0
"""Microseconds of CPU that the trail may cost a draw."""

ROW: Final = "CPU of a draw, µs"
WITHOUT: Final = "without"
WITH: Final = "with"
_AGENT: Final = b"Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11.7 Botocore/1.44.5"
_EXPLANATION: Final = """\
CPU time of a draw of 32 bytes in one process and without HTTP, with and without a trail; what its thread
takes to write the records is counted."""


def sections() -> list[Section]:
    """Return the measurement."""
    bar = Bar("the trail: CPU of a draw over none, µs", difference(WITH, WITHOUT, ROW), most=TRAIL_MAX)
    return [Section("trail", "The trail", _EXPLANATION, measure, lasts, (bar,))]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return 2 + terms.rounds * 0.7


def measure(terms: Terms) -> Rounds:
    """Measure with and without, in turn."""
    with ExitStack() as stack:
        worlds: dict[str, tuple[World, str]] = {}
        for name in (WITHOUT, WITH):
            data_dir = terms.directory / name
            data_dir.mkdir(mode=0o700)
            settings = Settings(data_dir=data_dir, profile=Profile.INSTANT, trail=name == WITH)
            world = stack.enter_context(open_world(settings, serving=True))
            worlds[name] = world, connected_key_store(world)
        for _ in range(terms.rounds):
            terms.say("draws")
            yield {name: {ROW: of_draw(world, store)} for name, (world, store) in worlds.items()}


def of_draw(world: World, store: str) -> float:
    """Return the CPU time of one draw, in µs, its record in the file included."""
    application = KmsApplication(world, lambda _environ, _start: [])
    body = b'{"NumberOfBytes":32,"CustomKeyStoreId":"%b"}' % store.encode()
    headers = {
        b"host": b"127.0.0.1:4599",
        b"content-type": b"application/x-amz-json-1.1",
        b"x-amz-target": b"TrentService.GenerateRandom",
        b"user-agent": _AGENT,
        b"authorization": AUTHORIZATION.encode(),
    }
    before = time.process_time()
    for _ in range(DRAWS):
        response = application.begin(Request(b"POST", b"/", headers, body, "127.0.0.1"))
        if not isinstance(response, Response) or response.status != OK:
            raise RuntimeError(response)
    while isinstance(world.trail, FileTrail) and world.trail.queue:
        time.sleep(0.01)
    return (time.process_time() - before) / DRAWS * 1e6
