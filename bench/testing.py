"""In a test's own process: boto3 wired to a simulator, and to moto's mock.

`python bench/testing.py calls` prints the calls per second of both, taken in turn in one process, as JSON;
`first NAME` how long the import and the first call take in a fresh one.
"""

import json
import statistics
import subprocess
import sys
import time  # noqa: TID251  # a benchmark measures
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.section import Bar, Figures, Rounds, Section, Terms, ratio

HSMSTORE: Final = "hsmstore"
MOTO: Final = "moto's mock_aws"
RATE: Final = "calls/s"
FIRST: Final = "import and first call, s"
FROM_STORE: Final = "until the first draw from a key store, s"
TIMES_MOTO: Final = "the same, times moto's import and first call"
SIMULATOR: Final = "a simulator with a connected key store, ms"
CALLS: Final = 1_000
TURNS: Final = 5
REGION: Final = "us-east-1"
ROOT: Final = Path(__file__).resolve().parent.parent

_EXPLANATION: Final = """\
GenerateRandom of 32 bytes through a boto3 client in the test's own process, without a socket: hsmstore draws
them from a connected key store, moto has none. Both make 1,000 calls in turn, five times, in one process; the
rate is the median turn's. Most of the time of either is botocore's own. Import and first call, which names no
key store for either, are those of a fresh process whose modules have been compiled before; a database and
PKCS#11 are loaded by the first call that needs them.

The first draw from a key store needs both, and a cluster with a token and an RSA key pair. It takes longer
than moto's import and first call, by what the row says, and it will: a quarter of it is SQLAlchemy's import,
where moto keeps its state in dictionaries. There is no bar, since moto has no key store to draw from; whoever
tests one waits for it once in a process. A simulator, as a fixture makes it later, is the median of fifty."""


def sections() -> list[Section]:
    """Return what tests wait for."""
    bars = (
        Bar("calls/s in a test's process, times those of moto's mock_aws", ratio(HSMSTORE, MOTO, RATE), 1.5),
        Bar(
            "import and first call, no key store, times moto's mock_aws'",
            ratio(HSMSTORE, MOTO, FIRST),
            most=1.0,
        ),
    )
    return [Section("testing", "In the process of a test", _EXPLANATION, measure, lasts, bars)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return 10 + 20 * terms.rounds


def measure(terms: Terms) -> Rounds:
    """Measure both in turn, round after round."""
    for name in (HSMSTORE, MOTO):
        _asked(terms, "first", name)  # it compiles what it imports
    for _ in range(terms.rounds):
        terms.say("calls")
        figures: dict[str, Figures] = _asked(terms, "calls")
        for name in (HSMSTORE, MOTO):
            terms.say(f"first call of {name}")
            figures[name] |= _asked(terms, "first", name)
        figures[HSMSTORE][TIMES_MOTO] = figures[HSMSTORE][FROM_STORE] / figures[MOTO][FIRST]
        yield figures


def _asked(terms: Terms, *question: str) -> Any:
    """Ask this file in a process of its own."""
    compiled = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(terms.directory / "compiled")}
    command = [sys.executable, __file__, *question]
    return json.loads(subprocess.run(command, env=compiled, capture_output=True, check=True).stdout)


def _first(name: str) -> Figures:
    """Import, and call once."""
    began = time.perf_counter()
    if name == MOTO:
        import boto3  # noqa: PLC0415  # it is measured
        from moto import mock_aws  # noqa: PLC0415  # likewise

        with mock_aws():
            boto3.client("kms", region_name=REGION).generate_random(NumberOfBytes=32)
            return {FIRST: time.perf_counter() - began}
    from hsmstore.testing import simulator  # noqa: PLC0415  # likewise

    with simulator() as sim:
        kms = sim.client()
        kms.generate_random(NumberOfBytes=32)
        first = time.perf_counter() - began
        kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=sim.store)
        return {FIRST: first, FROM_STORE: time.perf_counter() - began}


def _calls() -> dict[str, Figures]:
    """Let both call in turn."""
    import boto3  # noqa: PLC0415  # not before `_first` measures it
    from moto import mock_aws  # noqa: PLC0415  # likewise

    from hsmstore.testing import simulator  # noqa: PLC0415  # likewise

    figures: dict[str, list[float]] = {HSMSTORE: [], MOTO: []}
    with simulator() as sim:
        store = {"CustomKeyStoreId": sim.store}
        for _ in range(TURNS):
            figures[HSMSTORE].append(_rate(sim.client().generate_random, **store))
            with mock_aws():
                figures[MOTO].append(_rate(boto3.client("kms", region_name=REGION).generate_random))
    rates = {name: {RATE: statistics.median(turns)} for name, turns in figures.items()}
    rates[HSMSTORE][SIMULATOR] = statistics.median(_made(simulator) for _ in range(50))
    return rates


def _rate(generate_random: Callable[..., object], **store: str) -> float:
    """Return calls per second, after a first call that is not counted."""
    generate_random(NumberOfBytes=32, **store)
    began = time.perf_counter()
    for _ in range(CALLS):
        generate_random(NumberOfBytes=32, **store)
    return CALLS / (time.perf_counter() - began)


def _made(simulator: Callable[[], Any]) -> float:
    """Return how many ms a simulator takes from its beginning to its end."""
    began = time.perf_counter()
    with simulator() as sim:
        if not sim.store:
            raise RuntimeError("no key store")
    return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    print(json.dumps(_calls() if sys.argv[1] == "calls" else _first(sys.argv[2])))
