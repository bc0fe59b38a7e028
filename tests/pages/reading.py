"""A page of Markdown as its blocks of code, in order."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from markdown_it import MarkdownIt

from tests.house.tidy import ROOT

_TRIED: Final = re.compile(r"\*Tried by (tests/[\w/]+\.py)\.\*$")
_FILE: Final = re.compile(r"`([\w./-]+\.\w+)`:$")


class Block(NamedTuple):
    """A block of code: where it stands, what it is in, its text, and what the paragraph before it says."""

    page: Path
    line: int
    language: str
    text: str
    paragraph: str

    @property
    def place(self) -> str:
        """Where it is, as a message says it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that it is the content of."""
        found = _FILE.search(self.paragraph)
        return found and found[1]

    @property
    def tried_by(self) -> str | None:
        """The test that it is left to."""
        found = _TRIED.search(self.paragraph)
        return found and found[1]


def pages() -> list[Path]:
    """Return every page that is written for users."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def tried_by(test: str) -> list[Block]:
    """Return the blocks that are left to a test, which gives its `__file__`."""
    return [
        block
        for page in pages()
        for block in blocks(page)
        if block.tried_by and ROOT / block.tried_by == Path(test)
    ]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page. An indented one has the language ``""``, as a fence that names none."""
    found, paragraph = [], ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "inline":
            paragraph = " ".join(token.content.split())
        elif token.type in {"fence", "code_block"} and token.map is not None:
            # the first line of its text, counted from 1
            line = token.map[0] + (2 if token.type == "fence" else 1)
            found.append(Block(page, line, token.info.partition(" ")[0], token.content, paragraph))
            paragraph = ""
    return found
