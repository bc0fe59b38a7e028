"""Ids that are made in rows."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from hsmstore.domain.identifiers import Uuids
from hsmstore.system.entropy import SystemEntropy

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SOME = 100_000  # rows and rows


def uuids() -> Uuids:
    """Return a maker of ids."""
    return Uuids(SystemEntropy().public_bits)


def test_uuids() -> None:
    """Each is a UUID of version 4, no two are the same, and makers have nothing in common."""
    one, other = uuids(), uuids()
    ids = [maker.new() for maker in (one, other) for _ in range(SOME)]
    assert len(set(ids)) == 2 * SOME
    assert all(map(UUID4.fullmatch, ids))


def test_fronts_do_not_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all of the 16 bits in the middle have been used, others stand in front."""
    monkeypatch.setattr(Uuids, "_ROW", 2)
    maker = uuids()
    ids = [maker.new() for _ in range(3 * 65_536)]
    assert len(set(ids)) == len(ids)


def test_threads_share_a_maker() -> None:
    """Several threads never get the same."""
    maker = uuids()
    with ThreadPoolExecutor(4) as threads:
        made = threads.map(lambda _: [maker.new() for _ in range(SOME // 4)], range(4))
    assert len({one for ids in made for one in ids}) == SOME


def test_an_interruption_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a row is made costs that call its id, and nobody else."""
    interruptions = count()

    def interrupted(*_: object) -> list[str]:
        next(interruptions)
        raise KeyboardInterrupt

    maker = uuids()
    with monkeypatch.context() as patch:
        patch.setattr(maker, "_fronts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            maker.new()
    assert next(interruptions) == 1
    assert UUID4.fullmatch(maker.new())
