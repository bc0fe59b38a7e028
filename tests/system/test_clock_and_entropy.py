"""The two adapters that nothing else may go around."""

import time  # noqa: TID251  # the oracle

import pytest

from hsmstore.domain.ports import Clock, Entropy
from hsmstore.system.clock import SystemClock
from hsmstore.system.entropy import SystemEntropy


def test_clock_tells_the_systems_time() -> None:
    """The clock, read once and counted on from there, shows the system's time."""
    clock: Clock = SystemClock()
    assert clock.now() == pytest.approx(time.time(), abs=0.5)


def test_entropy_gives_as_many_bytes_as_asked() -> None:
    """Every length comes out whole, none included."""
    entropy: Entropy = SystemEntropy()
    assert [len(entropy.random_bytes(length)) for length in (0, 1, 12, 1024)] == [0, 1, 12, 1024]


def test_entropy_does_not_repeat() -> None:
    """Two draws of 16 bytes differ, but for a chance of 2^-128."""
    entropy = SystemEntropy()
    assert entropy.random_bytes(16) != entropy.random_bytes(16)
