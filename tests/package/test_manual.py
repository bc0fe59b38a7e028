"""The manual page hsmstore(1): whole, and shown by `man` without a warning."""

import os
import re
import subprocess

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from docs.generate import ROOT
from hsmstore.cli.app import app
from hsmstore.cli.exits import MEANINGS
from hsmstore.settings.fields import FIELDS
from tests.package.shipped import Installation

PAGE = ROOT / "docs" / "hsmstore.1"


@pytest.fixture(scope="module")
def shown() -> str:
    """Return the page as a terminal of 80 columns shows it; groff finds nothing wrong with it."""
    groff = ["groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-b", "-rLL=80n", str(PAGE)]
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    done = subprocess.run(groff, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _options(group: TyperGroup) -> set[str]:
    found = {option for parameter in group.params for option in parameter.opts}
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            found |= _options(command)
        else:
            found |= {option for parameter in command.params for option in parameter.opts}
    return {option for option in found if option.startswith("-")}


def test_it_is_a_page_of_the_first_section(shown: str) -> None:
    """With the sections in which people look, and no line beyond the terminal's edge."""
    assert shown.startswith("HSMSTORE(1)")
    sections = (
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "COMMANDS",
        "ENVIRONMENT",
        "EXIT STATUS",
        "FILES",
    )
    assert tuple(re.findall(r"^[A-Z][A-Z ]+$", shown, re.MULTILINE)) == (*sections, "SEE ALSO")
    assert max(map(len, shown.splitlines())) <= 80


def test_it_has_every_option_setting_and_exit_code(shown: str) -> None:
    """Nothing that can be typed is missing."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    assert [option for option in _options(root) if option not in shown] == []
    assert [field.variable for field in FIELDS.values() if field.variable not in shown] == []
    words = " ".join(shown.split())
    assert [meaning for code, meaning in MEANINGS.items() if f"{code.value} {meaning}" not in words] == []


def test_it_keeps_what_the_formatter_would_take(shown: str) -> None:
    """Options have hyphens that can be pasted, URLs and quotation marks are whole."""
    assert "hsmstore store connect [OPTIONS] {STORE}" in shown
    assert "http://127.0.0.1:4599" in shown
    assert "~/.local/share/hsmstore" in shown
    assert "see `hsmstore doctor`" in " ".join(shown.split())
    assert "\u2010" not in shown


def test_it_is_installed(installation: Installation) -> None:
    """Where `man` looks for a program in the `bin` beside it."""
    assert (installation.path / "share/man/man1/hsmstore.1").read_bytes() == PAGE.read_bytes()
