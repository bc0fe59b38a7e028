"""From samples to a page: medians with their extremes, ratios within a round, and the bars."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from bench.load import Figures
from bench.subjects import CONSTANT, HSMSTORE, MOTO

Round = Mapping[str, Figures]
"""By the name of the subject."""

SUBJECTS: Final = (HSMSTORE, CONSTANT, MOTO)
_MISSING: Final = "-"


class Bar(NamedTuple):
    """Something promised: what, the figure of one round, and where it must lie."""

    what: str
    figure: Callable[[Round], float]
    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Tell whether `value` keeps the promise."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def limit(self) -> str:
        """The promise in print."""
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


def _times(row: str, other: str) -> Callable[[Round], float]:
    return lambda of: of[HSMSTORE][row] / of[other][row]


def _own(row: str) -> Callable[[Round], float]:
    return lambda of: of[HSMSTORE][row]


BARS: Final = (
    Bar(
        "requests/s, 1 connection, of the constant handler's",
        _times("requests/s, 1 connection", CONSTANT),
        0.5,
    ),
    Bar(
        "requests/s, 64 connections, of the constant handler's",
        _times("requests/s, 64 connections", CONSTANT),
        0.5,
    ),
    Bar("requests/s, 1 connection, times moto_server's", _times("requests/s, 1 connection", MOTO), 20),
    Bar("requests/s, 64 connections, times moto_server's", _times("requests/s, 64 connections", MOTO), 20),
    Bar("CPU per request, µs, 64 connections", _own("CPU per request, µs, 64 connections"), most=80),
    Bar("start to first answer, first, s", _own("start to first answer, first, s"), most=1.5),
    Bar("start to first answer, second, s", _own("start to first answer, second, s"), most=1.0),
    Bar("RSS, MB", _own("RSS, MB"), most=150),
)


def figures_table(rounds: Sequence[Round]) -> list[str]:
    """Return a row for each figure and a column for each subject."""
    names = rounds[0][HSMSTORE]
    rows = (
        [
            name,
            *(
                _spread([one[subject][name] for one in rounds if name in one[subject]])
                for subject in SUBJECTS
            ),
        ]
        for name in names
    )
    return _table(["median (least to most)", *SUBJECTS], rows)


def bars_table(rounds: Sequence[Round]) -> list[str]:
    """Return a row for each bar. It is the median of the rounds that must keep it."""
    rows = []
    for bar in BARS:
        values = [bar.figure(one) for one in rounds]
        verdict = "pass" if bar.holds(statistics.median(values)) else "FAIL"
        rows.append([bar.what, bar.limit, _spread(values), verdict])
    return _table(["bar", "promised", "measured", ""], rows)


def failures(rounds: Sequence[Round]) -> int:
    """Count the bars that do not hold."""
    return sum(not bar.holds(statistics.median(bar.figure(one) for one in rounds)) for bar in BARS)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return _MISSING
    return f"{_short(statistics.median(values))} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return Markdown that reads as a table before it is rendered, too."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return [shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]]
