"""`python -m bench`: measure, keep the figures in bench/results.json, and write page and plot from them.

A module of this package joins by a function `sections() -> list[Section]` (bench/section.py).

- `measure(terms)` is a generator: it sets up, yields one `Round` for each of `terms.rounds` (or one, if it
  has rounds of its own), which is a dictionary of figures by row for each column, and cleans up in `finally`
  or `with`: it may be closed early. It tells what it measures by `terms.say`, keeps its files in
  `terms.directory`, and makes itself small where `terms.quick` is set.
- `lasts(terms)` says how many seconds that takes.
- `bars` are what is promised of its figures. A `figure` that raises KeyError for a round was not measured in
  it. A bar that is not met is told, and fails nothing.
"""

import argparse
import importlib
import pkgutil
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import bench
from bench import load, machine, plot, record, report
from bench.progress import Progress
from bench.record import Measured, Record
from bench.section import Round, Section, Terms
from hsmstore.settings.fields import Settings

HOME: Final = Path(__file__).parent
PAGE: Final = "RESULTS.md"
HOT_PATH_FIRST: Final = ("peers", "crowd", "registries", "mixed")
LOCAL: Final = {"127.0.0.1", "localhost"}
WHOLE: Final = (5, 2.0)  # rounds, and seconds of each load
QUICK: Final = (1, 1.0)


def main(command: Sequence[str]) -> int:
    """Measure and report; return 1 where something could not be measured."""
    arguments = _arguments(command)
    sections = _sections()
    if arguments.check:
        print("\n".join(report.bars_table(sections, record.read(arguments.to or HOME))))
        return 0
    load.require_wrk()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every `finally`: no server is left
    chosen = [one for one in sections if (one.name in arguments.only if arguments.only else one.by_default)]
    kept, failed = _measured(chosen, arguments)
    if arguments.to:
        publish(sections, kept, arguments.to)
    print(report.page(sections, kept))
    for name in failed:
        print(f"{name} could not be measured: see above", file=sys.stderr)
    if not arguments.only:
        left = ", ".join(one.name for one in sections if not one.by_default)
        print(f"left out: {left} (--only NAME; the long run is `make endurance`)", file=sys.stderr)
    return 1 if failed else 0


def publish(sections: Sequence[Section], kept: Record, directory: Path) -> None:
    """Keep the record, and write page and plot from it."""
    record.keep(kept, directory)
    (directory / PAGE).write_text(report.page(sections, kept))
    (directory / plot.FILE).write_text(plot.picture(kept, list(report.verdicts(sections, kept))))


def _sections() -> list[Section]:
    """Return what every module of this package has to measure, the hot path first."""
    names = {module.name for module in pkgutil.iter_modules(bench.__path__)} - {"__main__"}
    modules = (
        importlib.import_module(f"bench.{name}")
        for name in [*HOT_PATH_FIRST, *sorted(names - {*HOT_PATH_FIRST})]
    )
    return [section for module in modules for section in getattr(module, "sections", list)()]


def _measured(sections: Sequence[Section], arguments: argparse.Namespace) -> tuple[Record, list[str]]:
    """Measure the sections; return the record with them, and the names of those that failed."""
    kept = record.read(arguments.to) if arguments.to else Record()
    described, revision = machine.description(), machine.revision()
    with tempfile.TemporaryDirectory(prefix="hsmstore-bench-") as directory:
        terms = {one.name: _terms(arguments, Path(directory) / one.name) for one in sections}
        progress = Progress({one.name: one.lasts(terms[one.name]) for one in sections})
        failed = []
        for section in sections:
            before = machine.load_average()
            try:
                rounds = _rounds(section, terms[section.name]._replace(say=progress.say), progress)
            except Exception:  # noqa: BLE001  # the others are measured all the same
                traceback.print_exc()
                failed.append(section.name)
                continue
            circumstances = _circumstances(arguments, len(rounds), before)
            kept.sections[section.name] = Measured(rounds, circumstances, described, revision)
    progress.end()
    return kept, failed


def _rounds(section: Section, terms: Terms, progress: Progress) -> list[dict[str, dict[str, float]]]:
    terms.directory.mkdir()
    rounds: list[Round] = []
    progress.enter(section.name, f"round 1 of {terms.rounds}")
    with closing(section.measure(terms)) as measuring:
        for one in measuring:
            rounds.append(one)
            progress.enter(section.name, f"round {len(rounds) + 1} of {terms.rounds}")
    return [dict(one) for one in rounds]


def _terms(arguments: argparse.Namespace, directory: Path) -> Terms:
    return Terms(
        arguments.rounds,
        arguments.seconds,
        arguments.threads,
        directory,
        arguments.quick,
        dict(arguments.endpoint),
        frozenset(arguments.without),
        lambda _: None,
    )


def _circumstances(arguments: argparse.Namespace, rounds: int, before: str) -> str:
    return (
        f"Rounds: {rounds}, loads of {arguments.seconds:g} s, servers with {arguments.threads} threads;"
        f" {machine.now()}, load average {before} before, {machine.load_average()} after."
        f" Again: `{arguments.again}`"
    )


def _arguments(command: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--rounds", type=int, help="how often everybody is measured (5; with --quick 1)")
    add("--seconds", type=float, help="length of each load (2; with --quick 1)")
    add("--threads", type=int, default=Settings().threads, help="of the servers (%(default)s)")
    add("--quick", action="store_true", help="a look within two minutes; writes nothing unless --to is given")
    add("--only", type=_names, default=[], help="sections to measure, with commas between; of the others"
        " what was measured before stays")  # fmt: skip
    add("--without", type=_names, default=[], help="subjects to leave out, such as moto_server")
    add("--endpoint", type=_endpoint, action="append", default=[], metavar="NAME=URL",
        help="another KMS on this machine, to be measured as it stands; may be given again")  # fmt: skip
    add("--to", type=Path, help="where to write results.json, RESULTS.md and results.svg (bench/)")
    add("--no-write", dest="write", action="store_false", help="write nothing")
    add("--check", action="store_true", help="measure nothing; tell which bars the kept figures meet")
    arguments = parser.parse_args(command)
    arguments.again = shlex.join(["make", "bench", *([f"ARGS={shlex.join(command)}"] if command else [])])
    rounds, seconds = QUICK if arguments.quick else WHOLE
    arguments.rounds = rounds if arguments.rounds is None else arguments.rounds
    arguments.seconds = seconds if arguments.seconds is None else arguments.seconds
    if arguments.to is None and arguments.write and not arguments.quick:
        arguments.to = HOME
    if arguments.rounds < 1 or arguments.seconds <= 0 or arguments.threads < 1:
        parser.error("rounds and threads start at 1, seconds above 0")
    unknown = {*arguments.only} - {one.name for one in _sections()}
    if unknown:
        names = ", ".join(one.name for one in _sections())
        parser.error(f"no such section: {', '.join(unknown)}; there are {names}")
    return arguments


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _endpoint(text: str) -> tuple[str, int]:
    """Return name and port. Load goes to this machine only."""
    name, _, url = text.partition("=")
    parts = urlsplit(url)
    if not name or parts.scheme != "http" or parts.hostname not in LOCAL or parts.path.strip("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=http://127.0.0.1:PORT")
    return name, parts.port or 80


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
