"""The files of a trail: `trail-<day>-<number>.jsonl`, one record a line, each file at most so large.

A file is only ever appended to. The day is UTC's, by the simulation's clock; the number goes up where a file
is full. What a kill cut short is taken off the end when the file is opened again.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from hsmstore.domain.errors import EnvironmentUnfit

FILE_MAX: Final = 64 * 1024 * 1024
"""Bytes after which another file is begun."""

LOOKED_AT: Final = 1024 * 1024
"""Bytes at the end of a trail in which its last records are looked for, at most."""
LINE: Final = 2048  # bytes that are looked at for each; most records have half as many

_NAME: Final = re.compile(r"trail-(\d{8})-(\d{6})\.jsonl")
_CHUNK: Final = 64 * 1024
_AT_ONCE: Final = os.sysconf("SC_IOV_MAX")


class Retention(NamedTuple):
    """For how many days a file is kept, and how many bytes at most are, in whole files."""

    days: int
    size: int


class TrailFiles:
    """The files of one directory, for the one process that writes them."""

    def __init__(self, directory: Path, *, size_max: int = FILE_MAX) -> None:
        """Make the directory, for its owner only.

        Raises:
            EnvironmentUnfit: it cannot be used.

        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(directory, error) from error
        self.directory = directory
        self._size_max = size_max
        self._day = ""
        self._path: Path | None = None
        self._size = 0
        self._descriptor: int | None = None

    def append(self, lines: Sequence[bytes], at: float, *, lasting: bool) -> None:
        """Append whole lines to the file of the day of `at`; with `lasting`, until they are on the disk.

        Each of `lines` may be several. They are given to the system in one call, if it takes as many.

        Raises:
            OSError: they could not be written; none of them is in the file, where it could be cut off again.

        """
        day = day_of(at)
        if self._descriptor is None or day != self._day or self._size >= self._size_max:
            self._open(day)
        assert self._descriptor is not None  # noqa: S101  # _open saw to it
        try:
            for first in range(0, len(lines), _AT_ONCE):
                _write(self._descriptor, lines[first : first + _AT_ONCE])
            if lasting:
                os.fsync(self._descriptor)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)  # they will come again
            self.close()
            raise
        self._size += sum(map(len, lines))

    def keep(self, retention: Retention, now: float) -> None:
        """Remove the files that are too old at `now`, and the oldest of what is too much; not what is open.

        Raises:
            OSError: one could not be removed.

        """
        oldest = day_of((datetime.fromtimestamp(now, UTC) - timedelta(days=retention.days)).timestamp())
        left = retention.size
        for path in reversed(trail_files(self.directory)):
            left -= path.stat().st_size
            if path != self._path and (left < 0 or _place(path)[0] < oldest):
                path.unlink()

    def known(self, event_ids: set[str]) -> set[str]:
        """Return which of these events stand in the last two files; an append never spans more."""
        wanted = {event_id.encode(): event_id for event_id in event_ids}
        found: set[str] = set()
        for path in trail_files(self.directory)[-2:]:
            for line in whole_lines(path):
                found.update(event_id for sought, event_id in wanted.items() if sought in line)
        return found

    def close(self) -> None:
        """Close the file that is open. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, day: str) -> None:
        self.close()
        numbers = [number for other, number in map(_place, trail_files(self.directory)) if other == day]
        number = max(numbers, default=1)
        path = self.directory / f"trail-{day}-{number:06}.jsonl"
        if path.exists() and path.stat().st_size >= self._size_max:
            path = self.directory / f"trail-{day}-{number + 1:06}.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = _mended(descriptor)
        self._descriptor, self._path, self._day = descriptor, path, day


def trail_files(directory: Path) -> list[Path]:
    """Return the files of a trail, the oldest first."""
    if not directory.is_dir():
        return []
    return sorted((path for path in directory.iterdir() if _NAME.fullmatch(path.name)), key=_place)


def whole_lines(path: Path, start: int = 0) -> Iterator[bytes]:
    """Yield the whole lines of a file from an offset on; one that is being written is not there yet."""
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield line


def last_lines(directory: Path, count: int) -> list[bytes]:
    """Return the last whole lines of a trail, the oldest first; fewer than `count` where they are long."""
    lines: list[bytes] = []
    left = min(LOOKED_AT, count * LINE)
    for path in reversed(trail_files(directory)):
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = file.seek(max(0, size - left))
                found = file.read(size - start).split(b"\n")[start > 0 : -1]
        except FileNotFoundError:  # it has become too old
            break
        lines = found + lines
        left -= size
        if len(lines) >= count or left <= 0:
            break
    return lines[max(0, len(lines) - count) :]


def day_of(at: float) -> str:
    """Return the day, UTC, of seconds since the epoch, as eight digits."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d")


def unusable(directory: Path, error: OSError) -> EnvironmentUnfit:
    """Say that a trail cannot be kept there."""
    return EnvironmentUnfit(
        f"the trail in {directory} cannot be used: {error.strerror}",
        "give this user the directory, or start with --no-trail",
    )


def _place(path: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(path.name)
    assert match is not None  # noqa: S101  # trail_files chose it by its name
    return match[1], int(match[2])


def _write(descriptor: int, lines: Sequence[bytes]) -> None:
    """Write all of `lines`."""
    written = os.writev(descriptor, lines)
    if written < sum(map(len, lines)):  # seldom: a disk that is full takes a part
        left = memoryview(b"".join(lines))[written:]
        while left:
            left = left[os.write(descriptor, left) :]


def _mended(descriptor: int) -> int:
    """Cut off the end of a file what is no whole line; return the size that is left."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _CHUNK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end
