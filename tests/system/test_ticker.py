"""The ticker: what is due becomes a fact when nobody asks, and the registry is not asked for nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from hsmstore.bootstrap.parts import open_world
from hsmstore.bootstrap.threads import REST_MAX, TICK, Ticker
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.keystore import KeyStore
from hsmstore.domain.ports import Registry, Unit
from hsmstore.domain.profile import Profile
from hsmstore.service.world import World
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import monotonic
from tests.hsm.conftest import Ticker as Hands
from tests.load.looking import comes_true
from tests.storage.entities import store

TICKS: Final = 5


class Watched:
    """A registry that counts how often it is looked at."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.writing: Final = registry.writing
        self.writes: Final = registry.writes
        self.renewing: Final = registry.renewing
        self.looks = 0
        self.is_away = False

    @contextmanager
    def reading(self) -> Iterator[Unit]:
        """Look."""
        self.looks += 1
        if self.is_away:
            raise EnvironmentUnfit("the registry is away", "wait")
        with self._registry.reading() as unit:
            yield unit


@pytest.fixture
def still(tmp_path: Path) -> Iterator[World]:
    """Return a world whose registry is watched."""
    with open_world(Settings(data_dir=tmp_path, profile=Profile.INSTANT)) as whole:
        yield replace(whole, registry=Watched(whole.registry))


@pytest.fixture
def world(still: World) -> Iterator[World]:
    """Return such a world, with a ticker that runs."""
    ticker = Ticker(still)
    ticker.start()
    yield still
    ticker.stop()


def looks(world: World) -> int:
    """Return how often the registry has been looked at."""
    assert isinstance(world.registry, Watched)
    return world.registry.looks


def disconnecting(world: World, number: int, due_at: float) -> KeyStore:
    """Write down a store that is on its way."""
    before = replace(store(number), state=ConnectionState.DISCONNECTING, due_at=due_at)
    with world.registry.writing() as unit:
        unit.add_key_store(before)
    return before


def is_settled(world: World, before: KeyStore) -> bool:
    """Tell whether the store has arrived."""
    with world.registry.reading() as unit:
        after = unit.key_store(before.scope, before.id)
    return after is not None and after.state is ConnectionState.DISCONNECTED


def rests(world: World) -> bool:
    """Tell whether the registry is not looked at for some ticks."""
    before, end = looks(world), monotonic() + TICKS * TICK
    assert comes_true(lambda: monotonic() > end)
    return looks(world) == before


def test_it_rests_while_there_is_nothing_to_do(world: World) -> None:
    """Once it has looked, it looks no more until something is written, even if that is due much later."""
    assert comes_true(lambda: rests(world))
    before = looks(world)
    disconnecting(world, 1, world.clock.now() + 1e6)
    assert comes_true(lambda: looks(world) > before)
    assert comes_true(lambda: rests(world))


def test_what_is_due_later_is_settled_in_time(world: World) -> None:
    """It wakes at the time, though nothing is written then, and where the clock is set forward likewise."""
    assert comes_true(lambda: rests(world))
    soon = disconnecting(world, 1, world.clock.now() + (TICKS + 5) * TICK)
    late = disconnecting(world, 2, world.clock.now() + 1e6)
    assert comes_true(lambda: is_settled(world, soon))
    assert not is_settled(world, late)
    world.clock.set(world.clock.setting.advanced(world.clock.real(), 2e6))
    assert comes_true(lambda: is_settled(world, late))


def test_a_look_that_fails_is_made_again(still: World) -> None:
    """What was written before a look that failed is seen by the next, though nothing more is written."""
    assert isinstance(still.registry, Watched)
    ticker = Ticker(still)
    assert ticker.settle(still)
    due = disconnecting(still, 1, still.clock.now())
    still.registry.is_away = True
    with pytest.raises(EnvironmentUnfit):
        ticker.settle(still)
    still.registry.is_away = False
    assert ticker.settle(still)
    assert is_settled(still, due)


def test_it_rests_no_longer_than_that(still: World) -> None:
    """After a while it looks again, whatever it knows: the file may have been written past this process."""
    assert isinstance(still.registry, Watched)
    clock = Hands()
    still.replica.monotonic = clock
    ticker = Ticker(still)
    assert ticker.settle(still)
    before = looks(still)
    assert ticker.settle(still)
    assert looks(still) == before
    clock.seconds += REST_MAX
    assert ticker.settle(still)
    assert looks(still) > before
