"""What a part of the benchmark is. `bench/__main__.py` tells how one joins `make bench`."""

import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

Figures = dict[str, float]
"""By the name of the row in the table."""

Round = Mapping[str, Figures]
"""What one round has measured, by the name of the column: the subject, mostly."""

Rounds = Generator[Round, None, None]
"""A section at work."""

NO_FIGURE: Final = "-"


class Terms(NamedTuple):
    """What a section is told."""

    rounds: int
    seconds: float  # of each load
    threads: int  # of each server that is ours
    directory: Path  # the section's own, empty at first
    quick: bool  # a look rather than a measurement: what takes long to set up is made smaller
    endpoints: Mapping[str, int]  # ports of other servers on this machine, by name
    without: frozenset[str]  # subjects to leave out
    say: Callable[[str], None]  # tell what is being measured now


class Bar(NamedTuple):
    """Something promised: what, the figure of one round, and where the median of the rounds must lie.

    `figure` raises KeyError for a round that did not measure it. `floor` is the promise that came first and
    is easier to keep. `why` is told where the promise is not kept.
    """

    what: str
    figure: Callable[[Round], float]
    least: float | None = None
    most: float | None = None
    floor: float | None = None
    why: str = ""

    def holds(self, value: float, limit: float | None = None) -> bool:
        """Tell whether `value` keeps the promise, or another limit in its place."""
        if self.least is not None:
            return value >= (self.least if limit is None else limit)
        return value <= (self.promised if limit is None else limit)

    @property
    def promised(self) -> float:
        """The limit, whichever side it is on."""
        limit = self.most if self.least is None else self.least
        if limit is None:
            raise ValueError(f"{self.what}: a bar has a limit")
        return limit

    def shown(self, limit: float | None) -> str:
        """Return a limit of this bar in print."""
        sign = "≤" if self.least is None else "≥"
        return NO_FIGURE if limit is None else f"{sign} {limit:g}"


class Verdict(NamedTuple):
    """A bar and its figures, one of each round that measured it."""

    bar: Bar
    values: Sequence[float]

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.values)

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return bool(self.values) and self.bar.holds(self.median)

    @property
    def words(self) -> str:
        """The verdict in print."""
        if not self.values:
            return "not measured"
        if self.holds:
            return "pass"
        first = self.bar.floor
        return "falls short" if first is None or not self.bar.holds(self.median, first) else "at first only"


class Section(NamedTuple):
    """One part: a table, and what is promised of it."""

    name: str  # one word, for the command line
    title: str
    explanation: str  # Markdown
    measure: Callable[[Terms], Rounds]
    """Sets up, yields each round as it has been measured, and cleans up, also when it is closed early."""
    lasts: Callable[[Terms], float]
    """About how many seconds that takes; the progress is reckoned from it."""
    bars: Sequence[Bar] = ()
    by_default: bool = True  # or only when it is named


def ratio(column: str, other: str, row: str) -> Callable[[Round], float]:
    """Return the figure of a bar: how many times `other`'s value `column`'s is."""
    return lambda of: of[column][row] / of[other][row]


def difference(column: str, other: str, row: str) -> Callable[[Round], float]:
    """Return the figure of a bar: by how much `column`'s value exceeds `other`'s."""
    return lambda of: of[column][row] - of[other][row]


def value(column: str, row: str) -> Callable[[Round], float]:
    """Return the figure of a bar: a cell."""
    return lambda of: of[column][row]


def spread(values: Sequence[float]) -> str:
    """Return the median and the extremes in print."""
    if not values:
        return NO_FIGURE
    median = short(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({short(min(values))} to {short(max(values))})"


def short(value: float) -> str:
    """Return a figure in print."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
