"""The same `server` as everywhere, but in this process; and a key store in it to make keys in."""

from collections.abc import Iterator

import pytest

from hsmstore.testing import simulator
from tests.server import Server
from tests.testing.in_process import InProcess
from tests.wire.keys import Keys


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give what the tests of the wire take for a server, with room for all their key stores."""
    log = tmp_path_factory.mktemp("in-process") / "simulation.log"
    with simulator(key_store_quota=100_000) as simulation:
        yield InProcess(simulation, log)


@pytest.fixture(scope="session")
def keys(server: Server) -> Keys:
    """Give a connected key store, in an account of its own, to make keys in."""
    return Keys.on(server, "for keys", account="121212121212")


@pytest.fixture(scope="session")
def town(server: Server) -> Server:
    """Give what the tests of the console take for theirs."""
    return server
