"""What has been measured, kept: bench/results.json, from which page and plot are made."""

from pathlib import Path
from typing import Final

import msgspec

from bench.section import Figures

FILE: Final = "results.json"


UNKNOWN: Final = "unknown"


class Measured(msgspec.Struct, frozen=True):
    """The rounds of one section, and what there is to know about their making: when, where, of what."""

    rounds: list[dict[str, Figures]]
    circumstances: str
    machine: dict[str, str] = {}
    revision: str = UNKNOWN


class Record(msgspec.Struct):
    """The sections that were measured last, by their names."""

    sections: dict[str, Measured] = {}


class _Kept(Record):
    """As it stands in the file. At first one machine stood for all sections."""

    machine: dict[str, str] = {}


def read(directory: Path) -> Record:
    """Return what was kept in a directory; a new record where there is none."""
    file = directory / FILE
    kept = msgspec.json.decode(file.read_bytes(), type=_Kept) if file.exists() else _Kept()
    return Record(
        {
            name: one if one.machine else msgspec.structs.replace(one, machine=kept.machine)
            for name, one in kept.sections.items()
        }
    )


def keep(record: Record, directory: Path) -> None:
    """Keep it. Figures have five digits, which is more than they are worth."""
    text = msgspec.json.encode(_rounded(msgspec.to_builtins(record)))
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FILE).write_bytes(msgspec.json.format(text, indent=1) + b"\n")


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
