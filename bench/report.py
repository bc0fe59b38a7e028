"""From samples to a page: medians with their extremes, ratios within a round, and the bars."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from bench.plot import FILE as PLOT
from bench.record import UNKNOWN, Measured, Record
from bench.section import Bar, Round, Section, Verdict, spread

_HEAD: Final = f"""\
# What it costs

<!-- Made by `make bench`; changes are lost. -->

{{whence}}
Who is compared with whom is measured in turn, in several rounds; a ratio is taken within a round. Shown are
the median, and in brackets the least and the most.

![The figures as bars, and how far each promise is kept]({PLOT})

## What is promised

The median must keep the promise. *At first* is what was promised first, where that was less."""

_ALIKE: Final = "Everything here was measured on one machine and of one revision, {}."
_UNLIKE: Final = """\
Not everything here was measured on one machine and of one revision: each section tells of both."""
_REASONS: Final = "What falls short, and what would be needed: [docs/speed.md](../docs/speed.md)."


def verdicts(sections: Sequence[Section], record: Record) -> Iterator[Verdict]:
    """Yield every bar with what was measured of it."""
    for section in sections:
        measured = record.sections.get(section.name)
        for bar in section.bars:
            yield Verdict(bar, list(_figures(bar, measured.rounds if measured else [])))


def _figures(bar: Bar, rounds: Iterable[Round]) -> Iterator[float]:
    for one in rounds:
        with suppress(KeyError):  # somebody was left out
            yield bar.figure(one)


def bars_table(sections: Sequence[Section], record: Record) -> list[str]:
    """Return a row for each bar."""
    rows = [
        [
            each.bar.what,
            each.bar.shown(each.bar.promised),
            each.bar.shown(each.bar.floor),
            spread(each.values),
            each.words,
        ]
        for each in verdicts(sections, record)
    ]
    return _table(["bar", "promised", "at first", "measured", ""], rows)


def page(sections: Sequence[Section], record: Record) -> str:
    """Return the whole page. What differs between sections, machine or revision, each of them tells."""
    shown = {one.title: kept for one in sections if (kept := record.sections.get(one.name))}
    machines = _machines(shown.values())
    revisions = list(dict.fromkeys(measured.revision for measured in shown.values()))
    alike = len(machines) == len(revisions) == 1 and UNKNOWN not in revisions
    whence = _ALIKE.format(*revisions) if alike else _UNLIKE
    lines = [_HEAD.format(whence=whence), "", *bars_table(sections, record), *_reasons(sections, record)]
    for section in sections:
        measured = record.sections.get(section.name)
        if measured:
            place = next(name for name, machine in machines.items() if machine == measured.machine)
            where = "" if alike else f" On {place}, of revision {measured.revision}."
            lines += ["", f"## {section.title}", "", section.explanation, ""]
            lines += [*figures_table(measured.rounds), "", f"{measured.circumstances}{where}"]
    for name, machine in machines.items():
        lines += ["", f"## {name.capitalize()}", "", *(f"- {part}: {fact}" for part, fact in machine.items())]
    return "\n".join([*lines, ""])


def _machines(measured: Iterable[Measured]) -> dict[str, dict[str, str]]:
    """Return each machine once, by what it is called on the page."""
    machines: list[dict[str, str]] = []
    machines += (one.machine for one in measured if one.machine not in machines)
    if len(machines) == 1:
        return {"the machine": machines[0]}
    return {f"machine {number}": machine for number, machine in enumerate(machines, 1)}


def _reasons(sections: Sequence[Section], record: Record) -> list[str]:
    """Say why promises are not kept, where there are such."""
    missed = [each.bar for each in verdicts(sections, record) if each.values and not each.holds]
    told = [f"- {bar.what}: {bar.why}" for bar in missed if bar.why]
    return ["", *told, *([""] if told else []), _REASONS] if missed else []


def figures_table(rounds: Sequence[Round]) -> list[str]:
    """Return a row for each figure and a column for each subject."""
    columns = list(dict.fromkeys(column for one in rounds for column in one))
    names = dict.fromkeys(name for one in rounds for column in columns for name in one.get(column, {}))
    rows = [
        [name, *(spread([one[c][name] for one in rounds if name in one.get(c, {})]) for c in columns)]
        for name in names
    ]
    return _table(["median (least to most)", *columns], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return Markdown that reads as a table before it is rendered, too."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    return [shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]]
