"""Where the instructions of a draw go: each step of it under callgrind, which counts and does not time."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import client
from bench.section import Figures, Rounds, Section, Terms

WARM_UP: Final = 300  # times a step is taken before it is counted
COUNTED: Final = 200
COLUMN: Final = "instructions"
STEPS: Final = (
    "nothing",
    "HTTP",
    "constant",
    "KMS",
    "metered",
    "recorded",
    "door",
    "id",
    "caller",
    "decode",
    "draw",
    "C_GenerateRandom",
    "encode",
)
"""The names by which `bench.stepping` knows them."""

_PLACEHOLDER: Final = 4599  # the port of a request that nobody is sent
_EXPLANATION: Final = """\
What a draw from a key store takes in the server's process, in instructions that callgrind counts: the same on
a busy machine as on a quiet one. What the kernel does is not among them: it takes a good third of the time.
"Of it" is part of the step above."""


def sections() -> list[Section]:
    """Return the steps."""
    return [Section("steps", "Where the instructions go", _EXPLANATION, measure, lasts)]


def lasts(_: Terms) -> float:
    """Tell about how many seconds it takes."""
    return 40


def measure(terms: Terms) -> Rounds:
    """Count once: another round would count the same."""
    if shutil.which("callgrind_control") is None:
        raise RuntimeError("valgrind is missing: apt-get install valgrind")
    terms.say("starting under callgrind")
    with counting(terms.directory) as count:
        took = {}
        for step in STEPS:
            terms.say(step)
            took[step] = count.of(step)
    alone = {step: instructions - took["nothing"] for step, instructions in took.items()}
    yield {COLUMN: rows(alone)}


def rows(took: Figures) -> Figures:
    """Return what each step takes; the parts of KMS are told beside the whole."""
    parts = {
        "the door": "door",
        "the request's id": "id",
        "who calls": "caller",
        "JSON to a request": "decode",
    }
    parts |= {"the gate and the draw": "draw", "the answer": "encode"}
    figures = {
        "HTTP: bytes to a request, an answer to bytes": took["HTTP"] - took["constant"],
        "counting and timing": took["metered"] - took["KMS"],
        "the trail, and its thread": took["recorded"] - took["KMS"],
        "KMS": took["KMS"],
        **{f"of it {part}": took[name] for part, name in parts.items()},
        "of the draw python-pkcs11, SoftHSM2 and OpenSSL": took["C_GenerateRandom"],
    }
    whole = (
        "HTTP: bytes to a request, an answer to bytes",
        "counting and timing",
        "the trail, and its thread",
    )
    return figures | {"all": sum(figures[name] for name in (*whole, "KMS"))}


class Count:
    """A process under callgrind that takes steps."""

    def __init__(self, process: "subprocess.Popen[str]", out: Path) -> None:
        self._process = process
        self._out = out
        self._dumps = 0

    def of(self, step: str) -> float:
        """Return how many instructions one step takes."""
        self._take(step, WARM_UP)
        self._control("-i", "on")
        self._take(step, COUNTED)
        self._control("-i", "off")
        self._control(f"--dump={step}")
        self._dumps += 1
        dump = self._out.with_name(f"{self._out.name}.{self._dumps}").read_text()
        (totals,) = (line for line in dump.splitlines() if line.startswith("totals: "))
        return int(totals.removeprefix("totals: ")) / COUNTED

    def _take(self, step: str, times: int) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018  # they are pipes
        self._process.stdin.write(f"{step} {times}\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError(f"the step {step} could not be taken")

    def _control(self, *command: str) -> None:
        subprocess.run(
            ["callgrind_control", *command, str(self._process.pid)], check=True, stdout=subprocess.DEVNULL
        )


@contextmanager
def counting(directory: Path) -> Iterator[Count]:
    """Run `bench.stepping` under callgrind, which counts when it is told to."""
    out = directory / "callgrind"
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"]
    headers = json.dumps(client.generate_random(_PLACEHOLDER, None).headers)
    for name in ("plain", "kept"):
        (directory / name).mkdir(mode=0o700)
    with subprocess.Popen(
        [
            *valgrind,
            f"--callgrind-out-file={out}",
            sys.executable,
            "-m",
            "bench.stepping",
            directory,
            headers,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Count(process, out)
        process.communicate()
