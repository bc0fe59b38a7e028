"""What the trail costs: `python -m bench.trail` prints the CPU time of a draw with and without it, in µs.

In this process and without a network. The trail's thread is counted: a round ends when all is written.
"""

import statistics
import sys
import tempfile
import time  # noqa: TID251  # what is measured
from pathlib import Path
from typing import Final

from bench.draws import AUTHORIZATION, DRAWS, OK, connected_key_store
from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.profile import Profile
from hsmstore.service.world import World
from hsmstore.settings.fields import Settings
from hsmstore.trail.writer import FileTrail
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Request, Response

ROUNDS: Final = 7
_AGENT: Final = b"Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11.7 Botocore/1.44.5"


def measure(world: World, body: bytes) -> float:
    """Return the CPU time of one draw, in µs, its record in the file included."""
    application = KmsApplication(world, lambda _environ, _start: [])
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


def main() -> None:
    """Measure both in turn, and print the medians."""
    costs: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as directory:
        settings = {
            name: Settings(data_dir=Path(directory) / name, profile=Profile.INSTANT, trail=name == "with")
            for name in costs
        }
        for one in settings.values():
            one.data_dir.mkdir()
        with (
            open_world(settings["without"], serving=True) as off,
            open_world(settings["with"], serving=True) as on,
        ):
            worlds = {"without": (off, connected_key_store(off)), "with": (on, connected_key_store(on))}
            for _ in range(ROUNDS):
                for name, (world, store) in worlds.items():
                    body = b'{"NumberOfBytes":32,"CustomKeyStoreId":"%b"}' % store.encode()
                    costs[name].append(measure(world, body))
    without, with_it = (statistics.median(costs[name]) for name in ("without", "with"))
    sys.stdout.write(
        f"a draw: {without:.1f} µs; with the trail {with_it:.1f} µs: {with_it - without:+.1f} µs\n"
    )


if __name__ == "__main__":
    main()
