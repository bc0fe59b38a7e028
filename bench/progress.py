"""What is being measured, and how long it will still take."""

import sys
from collections.abc import Mapping
from typing import Final

from bench.processes import monotonic

_WIDTH: Final = 34  # of the column that says where a run is


class Progress:
    """Tells on standard error, a line for each thing that is measured."""

    def __init__(self, expected: Mapping[str, float]) -> None:
        """Take about how many seconds each section lasts."""
        self._expected = dict(expected)
        self._start = monotonic()
        self._place = ""
        self._section, self._section_start = "", self._start

    @property
    def left(self) -> float:
        """About how many seconds it will still take."""
        spent = monotonic() - self._section_start if self._section else 0.0
        return max(0.0, sum(self._expected.values()) - spent)

    def enter(self, section: str, place: str) -> None:
        """Begin a section, or a round of it; a section that was begun before is over."""
        if section != self._section:
            self._expected.pop(self._section, None)
            self._section, self._section_start = section, monotonic()
        self._place = f"{section}, {place}"

    def say(self, what: str) -> None:
        """Tell what is measured now."""
        spent = monotonic() - self._start
        when = f"{spent:4.0f} s, about {self.left:.0f} s left"
        print(f"{when:<28}{self._place:<{_WIDTH}}{what}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Tell how long it took."""
        print(f"{monotonic() - self._start:4.0f} s in all", file=sys.stderr, flush=True)
