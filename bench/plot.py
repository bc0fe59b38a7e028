"""The picture of the figures: an SVG of bars and promises, which follows a reader's light or dark scheme."""

from collections.abc import Iterator, Sequence
from html import escape
from statistics import median
from typing import Final

from bench.peers import CPU, HSMSTORE, RATE
from bench.record import Record
from bench.section import Bar, Round, Verdict, short, spread

FILE: Final = "results.svg"

WIDTH: Final = 880
MARGIN: Final = 20
LINE: Final = 24
HEADING: Final = 34
BAR: Final = 14  # the thickness of one
SUBJECTS_LEFT: Final = 150  # where the bars of subjects start
PROMISES_LEFT: Final = 520  # where the scale of promises starts
VALUES_WIDTH: Final = 190  # at the right, for figures
SHARE_MAX: Final = 1.5  # of a limit; what lies beyond is drawn there

_STYLE: Final = """\
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.heading { font-size: 14px; font-weight: 600 }
.value { fill: #59636e; font-variant-numeric: tabular-nums }
.own { fill: #0969da }
.other { fill: #9aa4b0 }
.kept { fill: #1a7f37 }
.short { fill: #bc4c00 }
line { stroke: #59636e; stroke-width: 1.5 }
.limit { stroke-dasharray: 3 3; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .value { fill: #9198a1 }
  .own { fill: #4493f8 }
  .other { fill: #656c76 }
  .kept { fill: #3fb950 }
  .short { fill: #db6d28 }
  line { stroke: #9198a1 }
}"""

_METRICS: Final = {
    "GenerateRandom, 32 bytes, 64 connections: requests a second (more is better)": RATE,
    "CPU time of each, all processes of the server, µs (less is better)": CPU,
    "One boto3 call, median, µs (less is better)": "boto3 call, median, µs",
}


def picture(record: Record, promises: Sequence[Verdict]) -> str:
    """Return the SVG of everything that was measured."""
    measured = record.sections.get("hot-path")
    drawing = _Drawing()
    for title, row in _METRICS.items():
        drawing.bars(title, _samples(measured.rounds if measured else [], row))
    drawing.promises([promise for promise in promises if promise.values])
    return drawing.svg()


def _samples(rounds: Sequence[Round], row: str) -> dict[str, list[float]]:
    """Return the figures of one row by subject, of those who have it."""
    columns = dict.fromkeys(column for one in rounds for column in one)
    found = {column: [one[column][row] for one in rounds if row in one.get(column, {})] for column in columns}
    return {column: values for column, values in found.items() if values}


class _Drawing:
    """Grows downwards, one line after the other."""

    def __init__(self) -> None:
        self._shapes: list[str] = []
        self._told: list[str] = []
        self._y = float(MARGIN)

    def bars(self, title: str, samples: dict[str, list[float]]) -> None:
        """Add a bar for each subject, and a line from its least to its most."""
        if not samples:
            return
        self._heading(title)
        room = WIDTH - SUBJECTS_LEFT - VALUES_WIDTH
        scale = room / max(max(values) for values in samples.values())
        for name, values in samples.items():
            middle = median(values)
            self._text(MARGIN, name)
            kind = "own" if name == HSMSTORE else "other"
            self._rectangle(SUBJECTS_LEFT, max(1.0, middle * scale), kind)
            self._whisker(SUBJECTS_LEFT + min(values) * scale, SUBJECTS_LEFT + max(values) * scale)
            self._text(SUBJECTS_LEFT + max(values) * scale + 8, spread(values), "value")
            self._told.append(f"{title}: {name} {short(middle)}.")
            self._y += LINE

    def promises(self, promises: Sequence[Verdict]) -> None:
        """Add a dot for each promise: how much of its limit is used."""
        if not promises:
            return
        self._heading("How much of each limit is used: what lies left of the dashed line is kept")
        scale = (WIDTH - PROMISES_LEFT - VALUES_WIDTH) / SHARE_MAX
        top = self._y
        for promise in promises:
            bar, values = promise
            shares = sorted(_share(bar, value) for value in values)
            places = [PROMISES_LEFT + min(share, SHARE_MAX) * scale for share in shares]
            self._text(MARGIN, bar.what)
            self._whisker(places[0], places[-1])
            self._mark(median(places), kept=promise.holds)
            figure = f"{short(promise.median)} ({bar.shown(bar.promised)})"
            self._text(WIDTH - VALUES_WIDTH + 8, figure, "value")
            self._told.append(f"{bar.what}: {figure}, {promise.words}.")
            self._y += LINE
        limit = PROMISES_LEFT + scale
        self._shapes.append(
            f'<line class="limit" x1="{limit:.1f}" y1="{top - 4:.1f}"'
            f' x2="{limit:.1f}" y2="{self._y - 4:.1f}"/>'
        )

    def svg(self) -> str:
        """Return the whole, with a title and a description for who cannot see it."""
        height = round(self._y + MARGIN / 2)
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"',
                'role="img" aria-labelledby="title description">',
                '<title id="title">What hsmstore costs</title>',
                f'<desc id="description">{escape(" ".join(self._told))}</desc>',
                f"<style>\n{_STYLE}\n</style>",
                *self._shapes,
                "</svg>\n",
            ]
        )

    def _heading(self, text: str) -> None:
        self._text(MARGIN, text, "heading")
        self._y += HEADING - 4

    def _text(self, x: float, text: str, kind: str = "label") -> None:
        self._shapes.append(
            f'<text class="{kind}" x="{x:.1f}" y="{self._y + BAR - 3:.1f}">{escape(text)}</text>'
        )

    def _rectangle(self, x: float, width: float, kind: str) -> None:
        self._shapes.append(
            f'<rect class="{kind}" x="{x}" y="{self._y:.1f}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        )

    def _whisker(self, start: float, end: float) -> None:
        y = self._y + BAR / 2
        self._shapes.append(f'<line x1="{start:.1f}" y1="{y:.1f}" x2="{end:.1f}" y2="{y:.1f}"/>')

    def _mark(self, x: float, *, kept: bool) -> None:
        """Add a dot where it is kept and a diamond where not: the colour does not say it alone."""
        y, r = self._y + BAR / 2, 5
        if kept:
            self._shapes.append(f'<circle class="kept" cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>')
        else:
            corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in _diamond(x, y, r + 1))
            self._shapes.append(f'<polygon class="short" points="{corners}"/>')


def _diamond(x: float, y: float, r: float) -> Iterator[tuple[float, float]]:
    yield from ((x - r, y), (x, y - r), (x + r, y), (x, y + r))


def _share(bar: Bar, value: float) -> float:
    """Return how much of its limit a figure uses; beyond 1 the promise is broken, and none of none is all."""
    used, limit = (value, bar.promised) if bar.least is None else (bar.promised, value)
    if not limit:
        return SHARE_MAX if used else 1.0
    return used / limit
