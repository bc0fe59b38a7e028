"""The files of a trail: days, sizes, ages, what is cut short, what is too much."""

import os
import resource
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import pytest

from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.clock import ClockSetting
from hsmstore.domain.errors import Conflict
from hsmstore.domain.identifiers import Scope, new_uuid
from hsmstore.domain.ports import HsmConnection, Unit
from hsmstore.domain.principal import NOBODY
from hsmstore.domain.trail import Recording, Seen
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import SystemClock
from hsmstore.system.entropy import SystemEntropy
from hsmstore.trail import writer
from hsmstore.trail.files import Retention, TrailFiles, trail_files, whole_lines
from hsmstore.trail.writer import BUSY_PACE, FAST, PACE, FileTrail, pace_after
from tests.trail.opening import open_at, open_registry, written_in

DAY = 86_400.0
SCOPE = Scope("123456789012", "us-east-1")


def test_each_day_has_its_file(tmp_path: Path) -> None:
    """A file is of the day of what is appended, UTC, and nobody else can read it."""
    with closing(TrailFiles(tmp_path / "trail")) as files:
        files.append([b"one\n"], 0.0, lasting=False)
        files.append([b"two\n"], DAY - 1, lasting=True)
        files.append([b"three\n"], DAY, lasting=False)
    found = trail_files(tmp_path / "trail")
    assert [path.name for path in found] == ["trail-19700101-000001.jsonl", "trail-19700102-000001.jsonl"]
    assert [path.read_bytes() for path in found] == [b"one\ntwo\n", b"three\n"]
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert (tmp_path / "trail").stat().st_mode & 0o777 == 0o700


def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    """Another file is begun where one is full, after a new start too; no line is torn."""
    for _ in range(2):
        with closing(TrailFiles(tmp_path, size_max=10)) as files:
            for _ in range(3):
                files.append([b"123456\n"], 0.0, lasting=False)
    sizes = [path.stat().st_size for path in trail_files(tmp_path)]
    assert sizes == [14, 14, 14]


def test_old_files_go(tmp_path: Path) -> None:
    """Retention counts days by the clock that it is given; what is no file of the trail is left alone."""
    (tmp_path / "notes.jsonl").write_text("mine\n")
    with closing(TrailFiles(tmp_path)) as files:
        for day in range(5):
            files.append([b"x\n"], day * DAY, lasting=False)
        files.keep(Retention(2, 1_000_000), 4 * DAY)
        assert [path.name[6:14] for path in trail_files(tmp_path)] == ["19700103", "19700104", "19700105"]
        files.keep(Retention(2, 1_000_000), 400 * DAY)
        assert [path.name[6:14] for path in trail_files(tmp_path)] == ["19700105"], "the open one stays"
    assert (tmp_path / "notes.jsonl").read_text() == "mine\n"


@pytest.mark.parametrize("room", [0, 3, 4, 9, 11])
def test_a_disk_that_takes_a_part(tmp_path: Path, room: int) -> None:
    """What could not be written whole is not there at all, so that it can be written again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(TrailFiles(tmp_path)) as files:
        files.append([b"one\n"], 0.0, lasting=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(b"one\n") + room, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                files.append([b"two\n", b"three\n", b"4\n"], 0.0, lasting=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        (path,) = trail_files(tmp_path)
        assert path.read_bytes() == b"one\n"
        files.append([b"two\n", b"three\n", b"4\n"], 0.0, lasting=False)
        assert path.read_bytes() == b"one\ntwo\nthree\n4\n"


def test_more_lines_than_the_system_takes_at_a_time(tmp_path: Path) -> None:
    """They are written in order, all of them."""
    lines = [b"%d\n" % number for number in range(3 * os.sysconf("SC_IOV_MAX") + 1)]
    with closing(TrailFiles(tmp_path)) as files:
        files.append(lines, 0.0, lasting=True)
    (path,) = trail_files(tmp_path)
    assert path.read_bytes() == b"".join(lines)


def test_of_too_much_the_oldest_goes(tmp_path: Path) -> None:
    """As many bytes are kept as are allowed, in whole files; the one that is written stays, however large."""
    with closing(TrailFiles(tmp_path, size_max=10)) as files:
        for line in range(5):
            files.append([b"%09d\n" % line], line * DAY / 4, lasting=False)
        for size, left in ((50, 5), (49, 4), (20, 2), (1, 1), (1, 1)):
            files.keep(Retention(90, size), 0.0)
            assert [path.read_bytes() for path in trail_files(tmp_path)] == [
                b"%09d\n" % line for line in range(5 - left, 5)
            ]


@pytest.mark.parametrize("torn", [b"", b"{", b"x" * 200_000])
def test_what_was_cut_short_is_taken_off(tmp_path: Path, torn: bytes) -> None:
    """Half a line at the end goes when the file is opened again; whole ones stay."""
    path = tmp_path / "trail-19700101-000001.jsonl"
    path.write_bytes(b"one\n" + torn)
    assert list(whole_lines(path)) == [b"one\n"]
    with closing(TrailFiles(tmp_path)) as files:
        files.append([b"two\n"], 0.0, lasting=False)
    assert path.read_bytes() == b"one\ntwo\n"


def _seen(name: str = "DeleteAlias", request_id: str = "00000000-0000-4000-8000-000000000000") -> Seen:
    return Seen(1e9, name, read_only=False, scope=SCOPE, request_id=request_id, source="127.0.0.1")


def test_what_was_committed_is_written_once(tmp_path: Path) -> None:
    """What a killed process left in the registry comes to the file at the next start, exactly once."""
    directory = tmp_path / "trail"
    with open_registry(tmp_path) as registry:
        first = open_at(directory, registry)
        committed = first.begin(_seen())
        with registry.writing() as unit:
            committed.commit(unit)
        unended = written_in(directory)
        first.close()
        assert (unended, written_in(directory)) == ([], []), "its call has not ended"
        with registry.reading() as unit:
            (left,) = unit.records(first.origin)
        for _ in range(2):
            open_at(directory, registry).close()
            with registry.reading() as unit:
                assert unit.records(first.origin) == []
            assert [one["eventID"] for one in written_in(directory)] == [left.event_id]
            with registry.writing() as unit:  # as if the kill had come before it was crossed out
                unit.add_record(first.origin, left.event_id, left.record)


def test_records_of_other_replicas_are_left_alone(tmp_path: Path) -> None:
    """A registry may be shared: each data directory brings in its own records."""
    with open_registry(tmp_path) as registry:
        with registry.writing() as unit:
            unit.add_record("another", "id", b"{}")
        open_at(tmp_path / "trail", registry).close()
        with registry.reading() as unit:
            assert len(unit.records("another")) == 1
    assert written_in(tmp_path / "trail") == []


def _commit_and_fail(recording: Recording, unit: Unit) -> None:
    recording.commit(unit)
    raise Conflict


def test_a_change_that_is_rolled_back_leaves_no_record(tmp_path: Path) -> None:
    """The record goes with the transaction; how the call ended is told all the same."""
    with open_registry(tmp_path) as registry:
        trail = open_at(tmp_path / "trail", registry)
        recording = trail.begin(_seen())
        with pytest.raises(Conflict), registry.writing() as unit:
            _commit_and_fail(recording, unit)
        with registry.reading() as unit:
            assert unit.records(trail.origin) == []
        recording.end()
        trail.close()
    assert len(written_in(tmp_path / "trail")) == 1


def test_the_order_is_that_of_the_ends(tmp_path: Path) -> None:
    """Records stand in the order in which calls ended, whatever kind they are of; the end loses none."""
    with open_registry(tmp_path) as registry:
        trail = open_at(tmp_path / "trail", registry)
        wanted = []
        for number in range(1000):
            recording = trail.begin(_seen(request_id=f"00000000-0000-4000-8000-{number:012}"))
            if number % 100 == 0:
                with registry.writing() as unit:
                    recording.commit(unit)
            recording.end()
            wanted.append(recording.seen.request_id)
        trail.close()
        with registry.reading() as unit:
            assert unit.records(trail.origin) == []
    assert [one["requestID"] for one in written_in(tmp_path / "trail")] == wanted


def test_what_does_not_fit_is_counted(tmp_path: Path, monkeypatch: Any) -> None:
    """A full queue turns calls away, but for what is committed, and a record tells how many."""
    monkeypatch.setattr(writer, "QUEUE_MAX", 3)
    with open_registry(tmp_path) as registry:
        clock = SystemClock(ClockSetting(1e9, 1e9, 0.0))
        files = TrailFiles(tmp_path / "trail")
        trail = FileTrail(
            files, registry, clock, SystemEntropy(), origin="mine", keep=Retention(1, 1_000_000)
        )
        for _ in range(10):
            trail.begin(_seen()).end()
        committed = trail.begin(_seen("EnableKey"))
        with registry.writing() as unit:
            committed.commit(unit)
        committed.end()
        trail.start()
        trail.close()
    written = written_in(tmp_path / "trail")
    assert written[-1]["eventName"] == "RecordsLost"
    assert written[-1]["additionalEventData"] == {"count": 7}
    assert [one["eventName"] for one in written[:-1]].count("DeleteAlias") == 3


def test_a_line_that_cannot_be_made_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A record beyond the calendar is told of in the log; those before and behind it are written."""
    ids = [new_uuid(number) for number in range(3)]
    with open_registry(tmp_path) as registry, closing(open_at(tmp_path / "trail", registry)) as trail:
        for at, request_id in zip((0.0, 1e15, 1.0), ids, strict=True):
            trail.drawn(at, request_id, SCOPE, NOBODY, "127.0.0.1", b"", None)
    assert [one["requestID"] for one in written_in(tmp_path / "trail")] == [ids[0], ids[2]]
    assert f"GenerateRandom of {ids[1]} could not be recorded" in caplog.text


@pytest.mark.parametrize(("calls_a_second", "pace"), [(0, PACE), (FAST - 50, PACE), (FAST + 50, BUSY_PACE)])
def test_how_often_it_writes(calls_a_second: int, pace: float) -> None:
    """It is the rate of the calls that counts, not how many the last wait has let come together."""
    assert {pace_after(round(calls_a_second * waited), waited) for waited in (PACE, BUSY_PACE, 1.0)} == {pace}


def test_a_trail_that_cannot_be_written_goes_on_later(tmp_path: Path) -> None:
    """Nothing that is queued is lost while the directory is away."""
    directory = tmp_path / "trail"
    with open_registry(tmp_path) as registry:
        trail = open_at(directory, registry)
        directory.rename(tmp_path / "away")
        trail.begin(_seen()).end()
        while trail.queue:
            threading.Event().wait(0.01)
        (tmp_path / "away").rename(directory)
        trail.begin(_seen()).end()
        trail.close()
    assert len(written_in(directory)) == 2


class Unclosable:
    """A connection that cannot be closed."""

    def close(self) -> None:
        """Fail."""
        raise ZeroDivisionError


@pytest.mark.sqlite
def test_the_end_of_a_world_writes_what_is_queued(tmp_path: Path) -> None:
    """Where something else fails at the end, the trail is written and closed all the same."""
    world = ExitStack()
    whole = world.enter_context(open_world(Settings(data_dir=tmp_path), serving=True))
    assert whole.trail is not None
    whole.trail.begin(_seen()).end()
    whole.gate.open(SCOPE, "cks-1", cast("HsmConnection", Unclosable()))
    with pytest.raises(ZeroDivisionError):
        world.close()
    assert len(written_in(tmp_path / "trail")) == 1
