"""spin: a verifier made from a model, run to the end of its search."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

MODEL: Final = Path(__file__).resolve().parents[2] / "docs" / "model" / "gate.pml"

DEPTH: Final = 1_000_000
"""Steps that a behaviour may be long. A search that would need more says so and is not complete."""


class Findings(NamedTuple):
    """What a search has found: its errors, the states it visited, and whether it left nothing out."""

    errors: int
    states: int
    complete: bool
    text: str


def search(
    directory: Path,
    *names: str,
    claim: str | None = None,
    fair: bool = False,
    error_expected: bool = False,
    depth: int = DEPTH,
) -> Findings:
    """Search the model, `names` defined in it, for a broken assertion, a broken claim, or a deadlock.

    A claim about what comes in the end takes `fair`: no thread that could go on is passed over for ever.
    The search is exhaustive: every state is kept in full, none is hashed away. Where an `error_expected` is
    found it is over, and the compiler's time counts for more than the search's.
    """
    options = ["-DNOCLAIM"] if claim is None else []
    options += ["-DNFAIR=3"] if fair else ["-DSAFETY"]
    options += ["-O0"] if error_expected else ["-O2"]
    options += ["-DBFS"] if error_expected and claim is None else []  # the shortest way to it
    _run(directory, "spin", *(f"-D{name}" for name in names), "-a", str(MODEL))
    _run(directory, "gcc", "-w", *options, "-o", "pan", "pan.c")
    arguments = [f"-m{depth}", "-w22", "-n"]
    arguments += [] if claim is None else ["-N", claim]
    arguments += ["-a", "-f"] if fair else []
    return _read(_run(directory, "./pan", *arguments))


def _run(directory: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


_CUT_SHORT: Final = ("Search not completed", "max search depth too small", "out of memory", "Bit statespace")


def _read(text: str) -> Findings:
    errors, states = _number(r"errors: (\d+)", text), _number(r"(\d+) states, stored", text)
    return Findings(errors, states, not any(sign in text for sign in _CUT_SHORT), text)


def _number(pattern: str, text: str) -> int:
    found: Sequence[str] = re.findall(pattern, text)
    assert len(found) == 1, text
    return int(found[0])
