"""The trail of a server: calls take a place in a queue, a thread makes records of them and writes.

What is promised, and where it is kept:

- A call waits for nothing: `end` appends to a queue, which takes no lock.
- Records stand in the file in the order in which their calls ended.
- The record of a change lies in the registry, committed with the change, until it is on the disk. A kill
  leaves it there, and the next start brings it to the file, once: by its eventID.
- Everything else is in the file PACE seconds after its call, plus what writing takes; a kill loses what is
  not. The end of the process loses nothing.
- At most QUEUE_MAX calls wait. Beyond that calls are counted instead, and a record tells how many.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from hsmstore.domain.errors import AwsError, Conflict, EnvironmentUnfit
from hsmstore.domain.identifiers import UUID_FRONT, Scope, Uuids, new_uuid
from hsmstore.domain.key import KmsKey
from hsmstore.domain.keystore import KeyStore
from hsmstore.domain.ports import Clock, Entropy, Registry
from hsmstore.domain.principal import NOBODY, Caller
from hsmstore.domain.trail import Seen, TrailUnit
from hsmstore.trail.files import Retention, TrailFiles, last_lines, unusable
from hsmstore.trail.record import LOST, Alike, Circumstances, Draw, record

log = logging.getLogger(__name__)

PACE: Final = 0.1  # seconds between two looks at the queue
BUSY_PACE: Final = 0.02  # the same while calls come fast: draws share the interpreter with what makes lines
FAST: Final = 2500  # calls a second
QUEUE_MAX: Final = 100_000
BATCH_MAX: Final = 1024  # records that are written at a time: after each write the interpreter is asked for
TOGETHER_MAX: Final = 128  # lines that are made at a time: larger texts are memory new from the system
ALIKES_MAX: Final = 1024  # circumstances of draws that are known at a time
FAILURE_PACE: Final = 1.0  # seconds until what failed is tried again
HOUSEKEEPING: Final = 5.0  # seconds between two looks at what is too old or too much

_ALIKE: Final = attrgetter("alike")
_ORIGIN: Final = "origin"  # the name of a file


class FileTrail:
    """A trail in a directory. Its thread runs from `start` to `close`."""

    def __init__(
        self,
        files: TrailFiles,
        registry: Registry,
        clock: Clock,
        entropy: Entropy,
        *,
        origin: str,
        keep: Retention,
    ) -> None:
        """Take the files, whose they are among replicas, and how much is kept."""
        self._files = files
        self.origin = origin
        self._registry = registry
        self._clock = clock
        self.new_event_id = Uuids(entropy.public_bits).new
        self._behind_front = new_uuid(entropy.public_bits(128))[UUID_FRONT:]
        self.keep = keep
        self.queue: list[Draw | _Recording] = []
        self._alike = Alike((0, Scope("", ""), NOBODY, "", b"", False))  # of the last draw
        self._alikes: dict[Circumstances, Alike] = {}  # of its second
        self._lost = 0
        self._lost_told = 0
        self._pending: tuple[list[bytes], set[str], float] | None = None
        self._written: set[str] = set()
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trail", daemon=True)

    def begin(self, seen: Seen) -> "_Recording":
        """Open the record of a call."""
        return _Recording(self, seen)

    def latest(self, count: int) -> list[bytes]:
        """Return the last records that are in the files, the oldest first."""
        return last_lines(self._files.directory, count)

    def take(self, recording: "_Recording") -> None:
        """Queue a call that has ended. What is committed is never turned away."""
        if len(self.queue) < QUEUE_MAX or recording.event_id is not None:
            self.queue.append(recording)
        else:
            self._lost += 1

    def drawn(  # noqa: PLR0917  # see Trail
        self,
        at: float,
        request_id: str,
        scope: Scope,
        caller: Caller,
        source: str,
        agent: bytes,
        key_store_id: str | None,
    ) -> None:
        """Queue a draw, in as little as its line can be made of: most calls are draws, and much alike."""
        if len(self.queue) >= QUEUE_MAX:
            self._lost += 1
            return
        circumstances = int(at), scope, caller, source, agent, key_store_id is not None
        alike = self._alike
        if alike.circumstances != circumstances:
            self._alike = alike = self._alike_in(circumstances)
        self.queue.append(Draw(alike, request_id, key_store_id or ""))

    def _alike_in(self, circumstances: Circumstances) -> Alike:
        """Return what draws in these circumstances have in common, also where clients take turns."""
        if len(self._alikes) >= ALIKES_MAX or self._alike.circumstances[0] != circumstances[0]:
            self._alikes = {}
        return self._alikes.setdefault(circumstances, Alike(circumstances))

    def start(self) -> None:
        """Bring to the file what the last process had committed and not written, and begin to write.

        Raises:
            EnvironmentUnfit: the registry or the files cannot be used.

        """
        with self._registry.reading() as unit:
            left = {one.event_id: one.record for one in unit.records(self.origin)}
        self._written = set(left)
        try:
            for known in self._files.known(set(left)):
                del left[known]
            if left:
                lines = [line + b"\n" for line in left.values()]
                self._files.append(lines, self._clock.now(), lasting=True)
        except OSError as error:
            raise unusable(self._files.directory, error) from error
        self._thread.start()

    def close(self) -> None:
        """Write what is queued, and end."""
        self._stopping.set()
        self._thread.join()
        self._files.close()

    def _run(self) -> None:
        pace, untidied = PACE, HOUSEKEEPING
        while not self._stopping.wait(pace):
            calm = pace_after(len(self.queue), pace)
            self._guarded(self._drain)
            untidied += pace
            if untidied >= HOUSEKEEPING:
                self._guarded(self._tidy)
                untidied = 0.0
            pace = FAILURE_PACE if self._failing else calm
        self._guarded(self._drain)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, EnvironmentUnfit, Conflict) as error:
            if not self._failing:
                log.warning("the trail falls behind, and goes on as soon as it can: %s", error)
            self._failing = True
        except Exception:
            log.exception("the trail could not %s", step.__name__)
            self._failing = True
        else:
            self._failing = False

    def _tidy(self) -> None:
        self._files.keep(self.keep, self._clock.now())

    def _drain(self) -> None:
        """Write everything that is queued by now, and cross out in the registry what was committed there."""
        self._flush()
        while self.queue:
            self._pending = self._batch()
            self._flush()
        if self._lost > self._lost_told:
            self._pending = [self._loss()], set(), self._clock.now()
            self._flush()
        if self._written:
            with self._registry.writing() as unit:
                unit.remove_records(self.origin, self._written)
            self._written = set()

    def _batch(self) -> tuple[list[bytes], set[str], float]:
        """Make lines of what was queued first: of draws that are alike in one go, of all else one by one."""
        lines: list[bytes] = []
        committed: set[str] = set()
        for _ in range(BATCH_MAX // TOGETHER_MAX):
            ones = self.queue[:TOGETHER_MAX]
            del self.queue[: len(ones)]
            for alike, run in groupby(ones, _ALIKE):
                calls = list(run)
                try:
                    lines.append(alike.lines(calls, self._behind_front))
                except Exception:
                    request_ids = ", ".join(str(call.request_id) for call in calls)
                    log.exception("%s of %s could not be recorded", alike.name, request_ids)
                    continue
                if alike.event_id is not None:
                    committed.add(alike.event_id)
        return lines, committed, self._clock.now()

    def _flush(self) -> None:
        """Append what is pending; where that fails it stays pending."""
        if self._pending is None:
            return
        lines, committed, at = self._pending
        if lines:
            self._files.append(lines, at, lasting=bool(committed))
        self._written |= committed
        self._pending = None

    def _loss(self) -> bytes:
        count, self._lost_told = self._lost - self._lost_told, self._lost
        log.warning("the trail lost %d records: calls came faster than they could be written", count)
        seen = Seen(self._clock.now(), LOST, read_only=True, scope=Scope("000000000000", "us-east-1"))
        return record(seen, self.new_event_id(), additional={"count": count}) + b"\n"


def pace_after(calls: int, seconds: float) -> float:
    """Return how many seconds to wait for the next look, where so many calls have ended in the last."""
    return BUSY_PACE if calls > FAST * seconds else PACE


class _Recording:
    """One call, from its beginning to its line in the file."""

    # Set only where they differ: most calls are draws.
    event_id: str | None = None
    _keys: Mapping[str, KmsKey] | None = None
    _store: KeyStore | None = None
    _additional: Mapping[str, Any] | None = None
    _response: object = None
    _error: AwsError | None = None

    def __init__(self, trail: FileTrail, seen: Seen) -> None:
        self._trail = trail
        self.seen = seen

    @property
    def alike(self) -> "_Recording":
        """What its record has in common with others: with none."""
        return self

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.seen.name

    @property
    def request_id(self) -> str | None:
        """The call's id; what KMS does by itself has none."""
        return self.seen.request_id

    def about(self, store: KeyStore) -> None:
        """Say which key store the call is about."""
        self._store = store

    def found(self, keys: Mapping[str, KmsKey]) -> None:
        """Say which keys the call is about, by the names that it gives them."""
        self._keys = keys

    def add(self, additional: Mapping[str, Any]) -> None:
        """Add to additionalEventData."""
        self._additional = {**(self._additional or {}), **additional}

    def commit(self, unit: TrailUnit, response: object = None) -> None:
        """Write the record down in the transaction that makes the change; the call answers `response`."""
        self.event_id = self.event_id or self._trail.new_event_id()
        self._response = response
        unit.add_record(self._trail.origin, self.event_id, self.json())

    def end(self, response: object = None, error: AwsError | None = None) -> None:
        """Say how the call ended. Never waits."""
        if response is not None:
            self._response = response
        if error is not None:
            self._error = error
        self._trail.take(self)

    def lines(self, _calls: object, _behind_front: str) -> bytes:
        """Return the record and the line's end."""
        return self.json() + b"\n"

    def json(self) -> bytes:
        """Return the record as it stands."""
        return record(
            self.seen,
            self.event_id or self._trail.new_event_id(),
            store=self._store,
            keys=self._keys,
            response=None if self._error else self._response,
            error=self._error,
            additional=self._additional,
        )


def open_trail(
    directory: Path, registry: Registry, clock: Clock, entropy: Entropy, keep: Retention
) -> FileTrail:
    """Open the trail of a data directory, and begin to write.

    Raises:
        EnvironmentUnfit: the directory or the registry cannot be used.

    """
    files = TrailFiles(directory)
    try:
        kept = _origin(directory, entropy)
    except OSError as error:
        raise unusable(directory, error) from error
    trail = FileTrail(files, registry, clock, entropy, origin=kept, keep=keep)
    trail.start()
    return trail


def _origin(directory: Path, entropy: Entropy) -> str:
    """Return the name under which this directory's records stand in a registry that replicas share."""
    file = directory / _ORIGIN
    if not file.exists():
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(entropy.random_bytes(16).hex(), encoding="ascii")
        draft.rename(file)
    return file.read_text(encoding="ascii")
