"""From samples to a page: medians with their extremes, ratios within a round, and the bars."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from bench.plot import FILE as PLOT
from bench.record import Record
from bench.section import Bar, Round, Section, Verdict, spread

_HEAD: Final = f"""\
# What it costs

<!-- Made by `make bench`; changes are lost. -->

Everything here was measured in one go on one machine. Who is compared with whom is measured in turn, in
several rounds; a ratio is taken within a round. Shown are the median, and in brackets the least and the
most.

![The figures as bars, and how far each promise is kept]({PLOT})

## What is promised

The median must keep the promise. *At first* is what was promised first, where that was less."""


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
    """Return the whole page."""
    lines = [_HEAD, "", *bars_table(sections, record)]
    for section in sections:
        measured = record.sections.get(section.name)
        if measured:
            lines += ["", f"## {section.title}", "", section.explanation, ""]
            lines += [*figures_table(measured.rounds), "", measured.circumstances]
    lines += ["", "## The machine", "", *(f"- {name}: {fact}" for name, fact in record.machine.items())]
    return "\n".join([*lines, ""])


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
