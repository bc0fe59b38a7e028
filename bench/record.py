"""What has been measured, kept: bench/results.json, from which page and plot are made."""

from pathlib import Path
from typing import Final

import msgspec

from bench.section import Figures

FILE: Final = "results.json"


class Measured(msgspec.Struct, frozen=True):
    """The rounds of one section, and what there is to know about their making."""

    rounds: list[dict[str, Figures]]
    circumstances: str


class Record(msgspec.Struct):
    """The sections that were measured last, by their names, and the machine."""

    machine: dict[str, str] = {}
    sections: dict[str, Measured] = {}


def read(directory: Path) -> Record:
    """Return what was kept in a directory; a new record where there is none."""
    file = directory / FILE
    return msgspec.json.decode(file.read_bytes(), type=Record) if file.exists() else Record()


def keep(record: Record, directory: Path) -> None:
    """Keep it. Figures have five digits, which is more than they are worth."""
    text = msgspec.json.encode(_rounded(msgspec.to_builtins(record)))
    (directory / FILE).write_bytes(msgspec.json.format(text, indent=1) + b"\n")


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
