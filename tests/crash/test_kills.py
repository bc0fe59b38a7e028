"""Kills at random: whatever the server was doing, what it had answered stands, and everything goes on.

The default form is a sample; `--endurance` makes it a thousand kills.
"""

import logging
import random  # noqa: TID251  # the moments; the seed is printed
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from hsmstore.system.clock import monotonic
from tests.crash.scene import (
    LOOK_AGAIN,
    SETTLED_WITHIN,
    Mortal,
    doctor,
    emptied_tokens,
    mortal,
    only,
    pause,
    require_sound_registry,
)
from tests.crash.town import Town

log = logging.getLogger(__name__)

KILLS: Final = 20
ENDURANCE_KILLS: Final = 1000
WHILE_STARTING: Final = 0.2  # of all kills
START_TAKES: Final = 1.0  # seconds, at most, so that some kills come right after
LIVES_FOR: Final = 0.5  # seconds, at most
PACES: Final = ("instant", "instant", "aws")  # in the last, phases last until the clock is set forward
REPORT_EVERY: Final = 50
FIRST_STARTS: Final = 1
ENDURANCE_FIRST_STARTS: Final = 50
KILLS_OF_A_START: Final = 3


class Reaper:
    """Kills a server and has it started again, and counts."""

    def __init__(self, server: Mortal, seed: int) -> None:
        self.server = server
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)
        server.start("--profile", "instant")
        self._town = Town(server, seed)
        server.kill()

    @property
    def kills(self) -> int:
        """How many there were."""
        return self.counts["kills while starting"] + self.counts["kills while serving"]

    def kill(self) -> None:
        """Start the server and kill it: while it starts, or after all is found well and life goes on."""
        pace = self._random.choice(PACES)
        if self._random.random() < WHILE_STARTING:
            self.server.spawn("--profile", pace)
            pause(self._random.uniform(0, START_TAKES))
            assert self.server.ended is None, self.server.log
            self.server.kill()
            self.counts["kills while starting"] += 1
        else:
            self.revive(pace)
            self._town.live(self.server, self._random.uniform(0, LIVES_FOR))
            self.counts["kills while serving"] += 1
        assert self.server.ended == -signal.SIGKILL

    def revive(self, pace: str) -> None:
        """Start the server, and see that everything is well."""
        self.counts["tokens restored"] += len(emptied_tokens(self.server.data_dir))
        self.server.start("--profile", pace)
        self.counts["restarts"] += 1
        require_sound_registry(self.server.data_dir)
        self._town.take_stock(self.server)
        self._town.require_alive(self.server)
        assert emptied_tokens(self.server.data_dir) == []

    def judge(self) -> None:
        """See that nobody was answered what no right server can have answered."""
        records = self._town.records
        assert list(records.violations())[:10] == []
        stores = records.stores.values()
        self.counts["stores"] = len(stores)
        self.counts["moves"] = sum(len(store.moves) for store in stores)
        self.counts["draws"] = sum(len(store.draws) for store in stores)
        self.counts["draws while shut"] = sum(len(store.while_shut()) for store in stores)
        self.counts["draws while open"] = sum(len(store.while_open()) for store in stores)
        assert min(self.counts["draws while shut"], self.counts["draws while open"]) > self.kills


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mortal]:
    """Return a server that is not yet started, and kill it at the end."""
    with mortal(tmp_path / "data") as server:
        yield server


@pytest.mark.endurance
def test_kills_at_random(server: Mortal, *, endurance: bool) -> None:
    """After each kill -9 nothing is undone, stuck or lost, and at the end doctor mends what is left."""
    seed = random.randrange(2**32)
    log.warning("seed %d", seed)
    reaper = Reaper(server, seed)
    wanted = ENDURANCE_KILLS if endurance else KILLS
    while reaper.kills < wanted:
        reaper.kill()
        if reaper.kills % REPORT_EVERY == 0:
            log.warning("%s", dict(reaper.counts))
    reaper.revive("instant")
    reaper.judge()
    log.warning("%s", dict(reaper.counts))
    server.stop()
    require_unharmed(server)


@pytest.mark.endurance
def test_kills_at_the_first_start(tmp_path: Path, *, endurance: bool) -> None:
    """A first start that is killed over and over ends with one demo store, connected, and its one cluster."""
    moments = random.Random(seed := random.randrange(2**32))
    log.warning("seed %d", seed)
    for number in range(ENDURANCE_FIRST_STARTS if endurance else FIRST_STARTS):
        with mortal(tmp_path / f"data{number}", "--demo", "--profile", "instant") as server:
            for _ in range(KILLS_OF_A_START):
                server.spawn()
                pause(moments.uniform(0, 2 * START_TAKES))
                assert server.ended is None, server.log
                server.kill()
            server.start()
            require_sound_registry(server.data_dir)
            require_demo(server)
            server.stop()
            require_unharmed(server)


def require_demo(server: Mortal) -> None:
    """See that there will be one store, which can be connected, and one cluster."""
    deadline = monotonic() + SETTLED_WITHIN
    while not (stores := server.entries()) or stores[0]["ConnectionState"] != "CONNECTED":
        assert monotonic() < deadline, (stores, server.log)
        pause(LOOK_AGAIN)
    key_store_id = only(stores)["CustomKeyStoreId"]
    assert server.draw(key_store_id)
    server.disconnect(key_store_id)
    server.connect(key_store_id)
    only(server.manage("GET", "/clusters")[1]["Clusters"])


def require_unharmed(server: Mortal) -> None:
    """See that doctor finds nothing that it cannot mend, and that the server has had no surprise."""
    doctor(server.data_dir, "--fix")
    assert doctor(server.data_dir).complaints == []
    for word in ("Traceback", " ERROR ", " WARNING "):
        assert word not in server.log
