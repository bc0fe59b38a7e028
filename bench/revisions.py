"""`python -m bench.revisions OLD NEW`: draws of several revisions, with a trail and without, in turn.

How fast a server is differs by some percent from one start to the next. So each round starts every server
anew. All run in the Python that runs this, with the packages that are installed for it.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Final

from bench import client, constant, load
from bench.machine import ROOT, description, load_average, now
from bench.report import figures_table
from bench.section import Figures, Round
from bench.servers import connected_key_store, constant_command, serve_command, serving

ROUNDS: Final = 11
SECONDS: Final = 2.0
THREADS: Final = 4
RATE: Final = "requests/s"
OPTIONS: Final = ("--trail", "--no-trail")


def unpacked(revision: str, place: Path) -> Path:
    """Return a directory with the files of a revision.

    Raises:
        SystemExit: there is no such revision.

    """
    packed = subprocess.run(["git", "-C", ROOT, "archive", revision], capture_output=True, check=False)
    if packed.returncode:
        raise SystemExit(f"{revision} is no revision of this repository: {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
        files.extractall(place, filter="data")
    return place


def drawn(tree: Path, option: str, place: Path, seconds: float) -> Figures:
    """Return what a server of a tree gives at many connections; leave its request and answer in `place`."""
    hsmstore = ("/usr/bin/env", f"PYTHONPATH={tree}", sys.executable, "-P", "-m", "hsmstore")
    with tempfile.TemporaryDirectory(dir=place) as data_dir:
        command = serve_command(Path(data_dir), THREADS, option, program=hsmstore)
        with serving(command, place / "log") as (port, program, _):
            request = client.generate_random(port, connected_key_store(port))
            answer = client.send(port, request)
            constant.write(answer.headers, answer.body, place / "answer.json")
            lua = load.script([request], place / "request.lua")
            load.wrk(port, lua, load.MANY, load.WARM_UP)
            return load.over_http(program, port, lua, load.MANY, seconds)


def answered(place: Path, seconds: float) -> Figures:
    """Return what the constant handler gives for the same request and answer."""
    with serving(constant_command(place / "answer.json", THREADS), place / "log") as (port, program, _):
        lua = place / "request.lua"
        load.wrk(port, lua, load.MANY, load.WARM_UP)
        return load.over_http(program, port, lua, load.MANY, seconds)


def measured(trees: dict[str, Path], place: Path, seconds: float) -> Round:
    """Measure all once; ratios are to the constant handler of the same round."""
    figures = {
        f"{name} {option}": drawn(tree, option, place, seconds)
        for name, tree in trees.items()
        for option in OPTIONS
    }
    limit = answered(place, seconds)
    for one in figures.values():
        one["of the constant handler's rate"] = one[RATE] / limit[RATE]
    return {**figures, "constant": limit}


def main() -> None:
    """Measure in rounds, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.revisions", description=__doc__.partition("\n")[0])
    parser.add_argument("revisions", nargs="+", help="what git knows, such as v1.0.0 or HEAD")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured ({ROUNDS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"length of each load ({SECONDS:g})")
    arguments = parser.parse_args()
    load.require_wrk()
    print(f"{now()}, load average {load_average()}; Python {description()['Python']}")
    with tempfile.TemporaryDirectory(prefix="hsmstore-revisions-") as home:
        trees = {name: unpacked(name, Path(home) / str(n)) for n, name in enumerate(arguments.revisions)}
        rounds = []
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            rounds.append(measured(trees, Path(home), arguments.seconds))
    print("\n".join(figures_table(rounds)))


if __name__ == "__main__":
    main()
