"""Lengths of time as a person types them: `90s`, `20m`, `1h30m`, `7d`; a bare number is seconds."""

import re
from collections.abc import Iterator
from typing import Final

_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION: Final = re.compile(
    r"(?a)(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?"
)
EXAMPLES: Final = "90s, 20m, 1h30m or 7d"


def seconds_of(text: str) -> float:
    """Return how many seconds `text` says.

    Raises:
        ValueError: it is no duration.

    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groupdict().values()):
        raise ValueError(f"{text!r} is not a duration such as {EXAMPLES}")
    return sum(float(number) * _UNITS[unit] for unit, number in found.groupdict().items() if number)


def in_words(seconds: float) -> str:
    """Return the duration as it would be typed, to the second: `1h30m`."""
    return "".join(_parts(round(seconds))) or "0s"


def _parts(left: int) -> Iterator[str]:
    for unit, size in _UNITS.items():
        number, left = divmod(left, size)
        if number:
            yield f"{number}{unit}"
