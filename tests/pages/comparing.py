"""What a page shows and what was shown: the same but for ids, times, chance, and what `…` stands for."""

import re
from typing import Final

IDS: Final = (
    r"cks-[0-9a-f]{17}",
    r"cluster-[a-z2-7]{11}",
    r"hsm-[a-z2-7]{11}",
    r"backup-[a-z2-7]{11}",
    r"subnet-[0-9a-f]{17}",
    r"fault-[0-9a-f]{8}",
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
)
"""What a page's sample stands for one of. The kinds never overlap."""

CHANGING: Final = (
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+\d\d:\d\d)?",
    r"\b\d\d:\d\d:\d\d\b",
    r"\b1\d{9}\.\d+",
    r"\b[0-9a-f]{16,}\b",
)
"""What differs from run to run: times, seconds since the epoch, random bytes."""

_PARTS: Final = re.compile(
    "|".join((*(f"(?P<id{n}>{kind})" for n, kind in enumerate(IDS)), *CHANGING, r"^…\n?", "…")), re.MULTILINE
)


class Samples:
    """Which true id, or port, each sample of a page stands for."""

    def __init__(self) -> None:
        self._true: dict[str, str] = {}

    def bind(self, sample: str, true: str) -> None:
        """Let a sample stand for something."""
        self._true[sample] = true

    def true(self, text: str) -> str:
        """Return a text of the page with what its samples stand for."""
        return self._replaced(text, self._true)

    def shown(self, text: str) -> str:
        """Return a true text as the page shows it."""
        return self._replaced(text, {true: sample for sample, true in self._true.items()})

    def agree(self, expected: str, actual: str) -> bool:
        """Tell whether the page shows this, and learn what its new samples stand for."""
        pattern, new = self._pattern(_tidy(expected))
        found = re.fullmatch(pattern, self.shown(_tidy(actual)))
        if found is None:
            return False
        trues = [found[f"new{n}"] for n in range(len(new))]
        if len(set(trues)) != len(trues):  # two samples for one id
            return False
        self._true.update(zip(new, trues, strict=True))
        return True

    def _pattern(self, expected: str) -> tuple[str, list[str]]:
        """Return the pattern of what may come, and the new samples in the order of its groups."""
        new: list[str] = []
        parts, end = [], 0
        for part in _PARTS.finditer(expected):
            parts.append(re.escape(expected[end : part.start()]))
            parts.append(self._part(part, new))
            end = part.end()
        return "".join([*parts, re.escape(expected[end:])]), new

    def _part(self, part: re.Match[str], new: list[str]) -> str:
        text = part[0]
        if part.lastgroup is not None:
            if text in self._true:
                return re.escape(text)
            if text in new:
                return f"(?P=new{new.index(text)})"
            new.append(text)
            return f"(?P<new{len(new) - 1}>{IDS[int(part.lastgroup.removeprefix('id'))]})"
        if text.startswith("…"):
            return r"(?:.*\n)*?" if text.endswith("\n") else ".*"
        kind = next(kind for kind in CHANGING if re.fullmatch(kind, text))
        return rf"[0-9a-f]{{{len(text)}}}" if kind == CHANGING[-1] else kind

    @staticmethod
    def _replaced(text: str, names: dict[str, str]) -> str:
        if not names:
            return text
        # the longest first, so that none is taken for the beginning of another
        choice = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        return re.sub(rf"(?<!\w)(?:{choice})(?!\w)", lambda found: names[found[0]], text)


def _tidy(text: str) -> str:
    """Return a text without spaces at the ends of lines, and with one end of line at its end."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines).rstrip("\n") + "\n"
