"""Full load on one server for long: whether it grows, and whether anything fails."""

from collections.abc import Callable
from statistics import median
from typing import Final

from bench import load
from bench.mixed import Scene, set_up, slow_calls
from bench.processes import monotonic
from bench.section import Bar, Figures, Round, Rounds, Section, Terms

COLUMN: Final = "hsmstore"
SLICE: Final = 10.0  # seconds of each load; connections are made anew for each
WARM: Final = 0.1  # of the time
LONG_ENOUGH: Final = 29.5  # minutes, for a bar that says 30

_EXPLANATION: Final = """\
Draws over 64 connections, while one client describes, one creates and deletes and one connects and
disconnects key stores. RSS is looked at every ten seconds; after a tenth of the time the server counts as
warm. Growth is from the median of the first ten looks after that to the median of the last ten. An error
is an answer other than 200, or a broken connection. Again: `make endurance`, or `python -m bench.soak
--minutes 30` alone."""


def _after_long(row: str) -> Callable[[Round], float]:
    def figure(of: Round) -> float:
        if of[COLUMN]["minutes"] < LONG_ENOUGH:
            raise KeyError(row)
        return of[COLUMN][row]

    return figure


BARS: Final = (
    Bar("30 minutes at full load: growth of RSS, %", _after_long("growth of RSS, %"), most=5),
    Bar("30 minutes at full load: errors", _after_long("errors"), most=0),
)


def sections() -> list[Section]:
    """Return the long run."""
    return [
        Section(
            "endurance", "Half an hour at full load", _EXPLANATION, measure, lasts, BARS, by_default=False
        )
    ]


def lasts(terms: Terms) -> float:
    """Tell how many seconds it takes: a load is as long as it is told to be."""
    return 10 + terms.rounds * terms.seconds


def measure(terms: Terms) -> Rounds:
    """Load for as long as a load shall be, in slices."""
    with set_up(terms, "server") as scene:
        for _ in range(terms.rounds):
            yield {COLUMN: _loaded(scene, terms)}


def _loaded(scene: Scene, terms: Terms) -> Figures:
    start, looks, told = monotonic(), [], []
    with slow_calls(scene) as clients:
        while (spent := monotonic() - start) < terms.seconds:
            terms.say(f"{spent / 60:.1f} minutes, RSS {scene.family.rss():.1f} MB")
            length = min(SLICE, terms.seconds - spent)
            told.append(load.tolerant_wrk(scene.port, scene.draws, load.MANY, length))
            looks.append(scene.family.rss())
        slow = sum(one.answered for one in clients)
    requests, loaded = (sum(one[name] for one in told) for name in ("requests", "seconds"))
    warm = looks[round(len(looks) * WARM) :]
    first, last = median(warm[:10]), median(warm[-10:])
    return {
        "minutes": (monotonic() - start) / 60,
        "requests": requests,
        "requests/s": requests / loaded,
        "errors": sum(one["refused"] + one["broken"] for one in told),
        "slow calls meanwhile": slow,
        "RSS when warm, MB": first,
        "RSS at the end, MB": last,
        "growth of RSS, %": (last / first - 1) * 100,
    }
