"""What a person sees: results on standard output, progress and notes on standard error.

On something that is no terminal it is plain text, without control codes and never folded.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from hsmstore.cli.waiting import Tell

UNFOLDED: Final = 10_000

STYLES: Final = {
    "CONNECTED": "green",
    "ACTIVE": "green",
    "✓": "green",
    "FAILED": "bold red",
    "✗": "bold red",
    "CONNECTING": "yellow",
    "DISCONNECTING": "yellow",
}
"""The colour of a cell that is one of these words."""


class ReaderGone(Exception):
    """Standard output was closed by whoever read it, as `head` does."""


def write(content: str | bytes) -> None:
    """Put `content` on standard output as it is, and see that it gets there.

    Raises:
        ReaderGone: nobody reads any more.
        OSError: there is no room for it.

    """
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(
            content if isinstance(content, bytes) else content.encode(errors="backslashreplace")
        )
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error


def drop_unwritten() -> None:
    """Drop what standard output has not taken; the interpreter would complain of it at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def line(text: str = "") -> None:
    """Put a line on standard output."""
    write(f"{text}\n")


def document(content: object) -> None:
    """Put one JSON document on standard output."""
    line(json.dumps(content, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Put a line on standard error. Line breaks inside become spaces: one note is one line."""
    sys.stderr.write(f"hsmstore: {' '.join(text.split())}\n")
    sys.stderr.flush()


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Put a table on standard output."""
    _render(_grid(headings, rows))


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    columns = [Column(heading, overflow="fold") for heading in headings]  # an id is never cut
    grid = Table(*columns, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        grid.add_row(*(Text(printable(cell), style=STYLES.get(cell, "")) for cell in row))
    return grid


def card(members: Iterable[tuple[str, str]]) -> None:
    """Put labelled values on standard output, one a line."""
    grid = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for label, value in members:
        grid.add_row(Text(label, style="dim"), Text(printable(value), style=STYLES.get(value, "")))
    _render(grid)


def happening(at: float, subject: str, words: Sequence[str]) -> None:
    """Put a line of what happened, and when, on standard output."""
    console = _console(sys.stdout)
    text = Text(f"{moment(at)}  {subject}  ")
    for word in words:
        text.append(f"{printable(word)}  ", style=STYLES.get(word, ""))
    text.rstrip()
    with console.capture() as capture:
        console.print(text, soft_wrap=True)
    write(capture.get())


def _render(grid: Table) -> None:
    console = _console(sys.stdout)
    with console.capture() as capture:
        console.print(grid, soft_wrap=not console.is_terminal)
    write("".join(f"{row.rstrip()}\n" for row in capture.get().splitlines()))


def _console(stream: IO[str]) -> Console:
    width = None if stream.isatty() else UNFOLDED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def printable(text: str) -> str:
    """Return `text` without what could steer a terminal; names are whatever a client sent."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def moment(timestamp: float) -> str:
    """Return seconds since the epoch as a date and time of day, UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@contextmanager
def progress(subject: str) -> Iterator[Tell]:
    """Show on standard error how `subject` goes on: a live line, or a line a change on no terminal."""
    console = _console(sys.stderr)
    if console.is_terminal:
        with console.status(Text(subject)) as status:
            yield lambda state, seconds: status.update(Text(f"{subject} {state} {seconds:.0f} s"))
        return
    shown: list[str] = []

    def tell(state: str, _: float) -> None:
        if shown[-1:] != [state]:
            shown.append(state)
            note(f"{subject} {state}")

    yield tell


class Board:
    """A table that grows while somebody watches; `rows` are those so far.

    On a terminal it is live. Elsewhere what is under way are notes, and the table comes at the end; a board
    that is not `shown` is notes alone.
    """

    def __init__(self, headings: Sequence[str], *, shown: bool) -> None:
        """Take the table's headings."""
        self.rows: list[Sequence[str]] = []
        self._headings = headings
        self._shown = shown
        self._busy = Spinner("dots")
        console = _console(sys.stdout)
        self._live = Live(console=console, transient=True) if shown and console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
        if self._shown and self.rows:
            table(self._headings, self.rows)

    def busy(self, text: str) -> None:
        """Show what is under way."""
        if self._live:
            self._busy.update(text=Text(text))
            self._live.update(Group(_grid(self._headings, self.rows), self._busy))
        else:
            note(text)

    def add(self, row: Sequence[str]) -> None:
        """Add a row."""
        self.rows.append(row)
