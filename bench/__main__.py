"""`python -m bench`: measure, print, and keep the result in bench/RESULTS.md."""

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import load, machine, report, subjects
from hsmstore.settings import Settings

RESULTS: Final = Path(__file__).parent / "RESULTS.md"

_EXPLANATION: Final = """\
GenerateRandom of 32 bytes over HTTP on loopback, the request as boto3 signs it, sent by wrk (one thread) over
keep-alive connections.

- *hsmstore* draws them from a connected key store: one `C_GenerateRandom` of SoftHSM2 each.
- *constant* is the limit: the same HTTP server with as many threads, whose application gives one answer of
  the same size and headers.
- *moto_server* is the peer; it has no HSM.

They run in turn in each round; ratios are taken within a round. CPU time counts all processes of a server.
"Start to first answer" is from the start of the process to the first GenerateRandom answered with 200: at the
first start on an empty data directory, at the second from a key store that was connected before.
"""


def main() -> int:
    """Measure and report; return 1 where a bar does not hold."""
    arguments = _arguments()
    load.require_wrk()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every `finally`: no server is left
    before = machine.load_average()
    rounds = []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="hsmstore-bench-") as directory:
            rounds.append(subjects.measure(_terms(arguments, Path(directory))))
    page = _page(rounds, arguments, f"{before} before, {machine.load_average()} after")
    print(page)
    if arguments.write:
        RESULTS.write_text(page)
    return 1 if report.failures(rounds) else 0


def _terms(arguments: argparse.Namespace, directory: Path) -> subjects.Terms:
    return subjects.Terms(arguments.seconds, arguments.threads, directory)


def _page(rounds: Sequence[report.Round], arguments: argparse.Namespace, load_average: str) -> str:
    facts = machine.description() | {"load average": load_average}
    command = shlex.join(
        ["make", "bench", f"ARGS={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else ["make", "bench"]
    )
    lines = [
        "# What it costs",
        "",
        _EXPLANATION,
        *report.bars_table(rounds),
        "",
        *report.figures_table(rounds),
        "",
    ]
    lines += [
        f"{len(rounds)} rounds of {arguments.seconds:g} s, {arguments.threads} threads. Again: `{command}`",
        "",
    ]
    return "\n".join([*lines, *(f"- {name}: {value}" for name, value in facts.items()), ""])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everybody is measured (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="length of each load (%(default)s)")
    parser.add_argument(
        "--threads", type=int, default=_default_threads(), help="of the servers (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="one round of 1 s loads; implies --no-write")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave bench/RESULTS.md alone")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.write = 1, 1, False
    if arguments.rounds < 1 or arguments.seconds < 1 or arguments.threads < 1:
        parser.error("rounds, seconds and threads start at 1")
    return arguments


def _default_threads() -> int:
    return Settings().threads


if __name__ == "__main__":
    sys.exit(main())
