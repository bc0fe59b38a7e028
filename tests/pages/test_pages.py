"""Every page does what it says, and every block of code is one that can."""

import re
import shutil
from pathlib import Path

import pytest

from tests.house.tidy import ROOT
from tests.pages.comparing import Samples
from tests.pages.playing import PARSERS, Player, Untrue, commands
from tests.pages.reading import Block, blocks, pages

PLAYED = {"console", "sh", "python", "pycon"}
SHOWN = {"text"}
DIRECTIVES = {"{toctree}", "{include}"}
"""What the site is made of."""

ALL = [block for page in pages() for block in blocks(page)]
DATABASE = "postgresql+psycopg://user:password@host/name"
"""What pages call a PostgreSQL registry: an empty one."""
LIBRARIES = ROOT / "tests" / "clients" / "javascript" / "node_modules"
"""What a page's JavaScript imports."""
VISITED = re.compile(r"^\$ cd (docs/\S+)$", re.MULTILINE)
"""A directory of the clone that a page goes to. It finds a copy."""


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_page(page: Path, programs: Path, home: Path, request: pytest.FixtureRequest) -> None:
    """What the page says comes true, from top to bottom."""
    samples, text = Samples(), page.read_text(encoding="utf-8")
    if DATABASE in text:
        samples.bind(DATABASE, request.getfixturevalue("postgres").new_database())
    if any(block.language == "javascript" for block in blocks(page)):
        (home / "node_modules").symlink_to(LIBRARIES)
    for place in VISITED.findall(text):
        shutil.copytree(ROOT / place, home / place)
    player = Player(home, programs, samples, rewrite=bool(request.config.getoption("rewrite")))
    try:
        player.play(blocks(page))
    finally:
        player.close()
        _rewrite(page, player.rewritten)


def test_every_block_can_be_true() -> None:
    """No block is without a language, indented, or of a language that nothing looks at."""
    known = PLAYED | SHOWN | DIRECTIVES | set(PARSERS)
    assert [
        f"{b.place}: {b.language!r}" for b in ALL if not (b.language in known or b.file or b.tried_by)
    ] == []


def test_nothing_hides_in_text() -> None:
    """What could be typed does not stand where nobody types it."""
    hiding = re.compile(r"^\s*(\$|>>>|hsmstore|make|pip|aws|pytest|export|import|from)\s", re.MULTILINE)
    assert [block.place for block in ALL if block.language == "text" and hiding.search(block.text)] == []


def test_data_is_used() -> None:
    """Data is the content of a file, of which a later block of its page speaks."""
    for block in ALL:
        if block.language in PARSERS:
            assert block.file or block.tried_by, f"{block.place}: which file is it?"
        if block.file:
            later = [other.text for other in ALL if other.page == block.page and other.line > block.line]
            assert any(Path(block.file).stem in text for text in later), f"{block.place}: who uses it?"


def test_what_is_left_to_another_test() -> None:
    """It is nothing that could be played here, and that test asks for it."""
    for block in ALL:
        if block.tried_by:
            assert block.language not in PLAYED, f"{block.place}: it can be played"
            assert "tried_by(__file__)" in (ROOT / block.tried_by).read_text(encoding="utf-8"), block.place


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("console", "$ echo one\ntwo\n"),
        ("console", "$ false\n"),
        ("console", "$ ls nothing\n…\n"),
        ("console", "echo\n"),
        ("sh", "false\ntrue\n"),
        ("sh", "echo $nothing\n"),
        ("python", "1 / 0\n"),
        ("pycon", ">>> 1 + 1\n3\n"),
        ("json", "{\n"),
        ("toml", "a =\n"),
        ("yaml", "{\n"),
        ("ini", "a\n"),
    ],
)
def test_what_is_untrue_fails(language: str, text: str, programs: Path, home: Path) -> None:
    """A block of each language is refused that does not do what it says."""
    player = Player(home, programs, Samples())
    named = "`data.x`:" if language in PARSERS else ""
    try:
        with pytest.raises(Untrue):
            player.play([Block(pages()[0], 1, language, text, named)])
    finally:
        player.close()


@pytest.mark.parametrize(
    ("expected", "actual", "agree"),
    [
        ("cks-1234567890abcdef0\n", "cks-00000000000000000\n", True),
        ("cks-1234567890abcdef0 cks-1234567890abcdef0", "cks-00000000000000000 cks-00000000000000001", False),
        ("cks-1234567890abcdef0 cks-1234567890abcdef1", "cks-00000000000000000 cks-00000000000000000", False),
        ("cluster-abcdefghijk", "hsm-abcdefghijk", False),
        ("at 2026-11-24T12:00:00Z", "at 2027-01-01T00:00:00Z", True),
        ("00112233445566778899aabbccddeeff", "f" * 32, True),
        ("00112233445566778899aabbccddeeff", "f" * 34, False),
        ("one …\n", "one two\n", True),
        ("one …\n", "one\ntwo\n", False),
        ("one\n…\nlast\n", "one\ntwo\nthree\nlast\n", True),
        ("…\n", "", True),
        ("", "something", False),
    ],
)
def test_agreement(expected: str, actual: str, agree: bool) -> None:  # noqa: FBT001  # a column of a table
    """Ids, times and chance may differ, and only they."""
    assert Samples().agree(expected, actual) is agree


def test_a_sample_stands_for_one_thing() -> None:
    """What a page has shown, it means by the same name later, in what it types too."""
    samples = Samples()
    assert samples.agree("made cks-1234567890abcdef0", "made cks-00000000000000000")
    assert samples.true("store connect cks-1234567890abcdef0") == "store connect cks-00000000000000000"
    assert not samples.agree("cks-1234567890abcdef0", "cks-00000000000000001")
    assert samples.shown("cks-00000000000000000") == "cks-1234567890abcdef0"


def test_commands_of_a_console() -> None:
    """More lines of a command stand behind `> `."""
    [first, second] = commands("$ for x in 1; do\n> echo $x\n> done\n1\n$ true\n")
    assert first == ("for x in 1; do\necho $x\ndone", "1\n")
    assert second == ("true", "")


def _rewrite(page: Path, rewritten: dict[Block, str]) -> None:
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    for block in sorted(rewritten, key=lambda block: -block.line):
        start = block.line - 1
        lines[start : start + block.text.count("\n")] = [rewritten[block].rstrip("\n") + "\n"]
    if rewritten:
        page.write_text("".join(lines), encoding="utf-8")
