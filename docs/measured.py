"""What README.md and pages of docs/ say of figures, from bench/results.json, and what follows from them.

A figure is the median of its rounds. What has not been measured yet is said to be so.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final

from bench import record
from bench.peers import CPU, HSMSTORE, MOTO, RATE, START
from bench.record import Record
from bench.registries import CPU as CPU_OF_DRAW
from bench.registries import OWNER, POSTGRESQL, REMOTE, SQLITE
from bench.replicas import CHANGES, DISCONNECTS, FIRST_DRAWS, HEARING, IDLE, PROPORTIONAL, SERIALIZABLE
from bench.section import NO_FIGURE, Round, difference, ratio, short, value
from bench.testing import SIMULATOR
from hsmstore.hsm.remoting import CONNECTIONS_MAX

BENCH: Final = Path(__file__).parents[1] / "bench"
MANY: Final = 1000  # replicas, for which is reckoned
MISSING: Final = "Not measured yet: `make bench ARGS='--only replicas'`."


def speed(results: Path = BENCH) -> str:
    """Say what a newcomer wants to know of speed."""
    kept = record.read(results)
    hot = {name: _figure(kept, "hot-path", value(HSMSTORE, name)) for name in (RATE, CPU, START)}
    times = _figure(kept, "hot-path", ratio(HSMSTORE, MOTO, RATE))
    return (
        f"One server draws {_shown(hot[RATE])} times a second on two cores,"
        f" {_shown(times)} times moto_server's rate, for {_microseconds(hot[CPU])} of CPU each;\n"
        f"it answers {_shown(hot[START])} s after its start."
        f" A test pays {_simulator(kept)} ms for a simulator with a connected key store."
    )


def simulator(results: Path = BENCH) -> str:
    """Say what a test pays for a simulator."""
    return (
        f"A simulator with a connected key store takes {_simulator(record.read(results))} ms of one core,"
        " as `make bench` has measured ([bench/RESULTS.md](../bench/RESULTS.md))."
    )


def _simulator(kept: Record) -> str:
    return _shown(_figure(kept, "testing", value(HSMSTORE, SIMULATOR)))


def draw(results: Path = BENCH) -> str:
    """Return the table of what a draw costs."""
    kept = record.read(results)
    own = _figure(kept, "hot-path", value(HSMSTORE, CPU))
    over_postgresql, remote, owner, replica = (
        _figure(kept, "registries", figure)
        for figure in (
            value(POSTGRESQL, CPU_OF_DRAW),
            value(REMOTE, CPU_OF_DRAW),
            value(REMOTE, OWNER),
            lambda of: of[REMOTE][CPU_OF_DRAW] - of[REMOTE][OWNER],
        )
    )
    rows = (
        ("CPU of a draw from a token of the server's own, HTTP included", _microseconds(own)),
        ("so a core serves", _rate(own)),
        ("CPU of such a draw over PostgreSQL", _microseconds(over_postgresql)),
        ("CPU of a draw through `hsm serve`, the replica's and the owner's", _microseconds(remote)),
        ("of it the owner's", _microseconds(owner)),
        ("so a core of replicas serves", _rate(replica)),
        ("and a core of the token's owner", _rate(owner)),
        ("connections that one `hsm serve` takes", f"{CONNECTIONS_MAX:,}"),
    )
    return _table(("figure", "value"), rows)


def remoting(results: Path = BENCH) -> str:
    """Say how much dearer a draw is through `hsm serve`."""
    more = _figure(record.read(results), "registries", difference(REMOTE, SQLITE, CPU_OF_DRAW))
    return (
        f"A draw through `hsm serve` costs {_microseconds(more)} of CPU more than one from a token in the"
        " server's own process, both processes counted ([bench/RESULTS.md](../bench/RESULTS.md))."
    )


def idle(results: Path = BENCH) -> str:
    """Return the table of what replicas cost that nobody asks, and what so many more would."""
    return _replicas(record.read(results), IDLE, reckoned=True)


def serializable(results: Path = BENCH) -> str:
    """Return the table of renewals that are transactions like others."""
    return _replicas(record.read(results), SERIALIZABLE)


def changes(results: Path = BENCH) -> str:
    """Return the table of what a change, first draws and a disconnect take, and what follows for many."""
    kept = record.read(results)
    table = _replicas(kept, (*CHANGES, *FIRST_DRAWS, *DISCONNECTS))
    each = [_figure(kept, "replicas", value(column, HEARING)) for column in _columns(kept)]
    if not each or each[-1] is None:
        return table
    whole = _about(each[-1] * MANY / 1e3)
    return f"{table}\n\nA change that {MANY:,} replicas hear of takes {whole} ms of the database's CPU."


def _replicas(kept: Record, names: Iterable[str], *, reckoned: bool = False) -> str:
    """Return rows of the section `replicas`, by their number; on request with those of many more."""
    columns = _columns(kept)
    if not columns:
        return MISSING
    times = MANY / int(columns[-1].split()[0])
    rows = []
    for name in names:
        figures = [_figure(kept, "replicas", value(column, name)) for column in columns]
        last = figures[-1]
        more = _about(last * times) if last is not None and name in PROPORTIONAL else ""
        rows.append((name, *map(_shown, figures), *([more] if reckoned else [])))
    return _table(("", *columns, *([f"{MANY:,}, reckoned"] if reckoned else [])), rows)


def _columns(kept: Record) -> list[str]:
    """Return the numbers of replicas that were measured, in print."""
    measured = kept.sections.get("replicas")
    return list(measured.rounds[0]) if measured else []


def _figure(kept: Record, section: str, figure: Callable[[Round], float]) -> float | None:
    """Return the median of a section's rounds; None where there is none."""
    measured, values = kept.sections.get(section), list[float]()
    for one in measured.rounds if measured else ():
        with suppress(KeyError):  # somebody was left out
            values.append(figure(one))
    return median(values) if values else None


def _shown(figure: float | None) -> str:
    return NO_FIGURE if figure is None else short(figure)


def _microseconds(figure: float | None) -> str:
    return f"{_shown(figure)} µs"


def _rate(microseconds: float | None) -> str:
    return NO_FIGURE if microseconds is None else f"{_about(1e6 / microseconds)} draws/s"


def _about(figure: float) -> str:
    """Return a figure that was reckoned, with two digits."""
    return short(float(f"{figure:.2g}"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
