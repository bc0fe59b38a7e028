"""The help and docs/cli.md say what is true."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from hsmstore import __version__
from hsmstore.cli.app import COMMANDS, app
from hsmstore.cli.exits import MEANINGS
from hsmstore.settings.fields import FIELDS
from tests.cli.conftest import CommandLine

pytestmark = pytest.mark.sqlite  # no registry is met

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def _leaves(group: TyperGroup, path: str = "hsmstore") -> Iterator[tuple[str, TyperCommand]]:
    """Yield every command that does something, with what one types for it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _leaves(command, f"{path} {name}")
        elif isinstance(command, TyperCommand):
            yield f"{path} {name}", command


def _root() -> TyperGroup:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    return root


LEAVES = dict(_leaves(_root()))


def _documented(comment: str) -> list[str]:
    """Return the rows of the page's table behind this comment, without its heading."""
    _, found, rest = PAGE.partition(f"<!-- {comment}: tests/cli compares -->\n\n")
    assert found, comment
    return rest.split("\n\n")[0].strip().splitlines()[2:]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _words(text: str) -> str:
    return " ".join(re.sub(r"(?<=\w-)\n\s+", "", text).split())  # a line may end at a hyphen


def test_documented_exit_codes() -> None:
    """The page has every exit code and its meaning."""
    assert _documented("exit codes") == [_row(str(code.value), text) for code, text in MEANINGS.items()]


def test_documented_commands() -> None:
    """The page has every command and the first line of its help."""
    lines = {path: (command.help or "").splitlines()[0] for path, command in LEAVES.items()}
    assert _documented("commands") == [_row(f"`{path}`", line) for path, line in lines.items()]


def test_documented_settings() -> None:
    """The page has every setting with its option, variable, meaning, bounds and default."""
    assert _documented("settings") == [
        _row(
            f"`{field.name}`",
            " ".join(f"`{option}`" for option in field.option.split("/")),
            f"`{field.variable}`",
            field.description,
            field.allowed,
            f"`{field.default}`" if field.default else "",
        )
        for field in FIELDS.values()
    ]


def test_root_help(hsmstore: CommandLine) -> None:
    """The help has the commands in a newcomer's order and the exit codes; no argument at all shows it."""
    shown = hsmstore("--help")
    commands = re.findall(r"^  (\w+)  +[A-Z]", shown.out.partition("Commands:\n")[2], re.MULTILINE)
    assert tuple(commands) == COMMANDS
    for code, meaning in MEANINGS.items():
        assert f"{code.value}  {meaning}\n" in shown.out
    assert hsmstore() == shown == hsmstore("-h")


def test_serve_help(hsmstore: CommandLine) -> None:
    """The help of `serve` has each setting's option, description and default."""
    shown = _words(hsmstore("serve", "--help").out)
    for field in FIELDS.values():
        assert field.option.replace("/", " / ") in shown
        assert field.description in shown
        assert not field.default or f"[default: {field.default}]" in shown
        assert "|".join(field.choices) in shown or field.allowed in shown


def test_help_fits(client: CommandLine) -> None:
    """No line of a help is cut off, and none is longer than 80 characters."""
    groups = {path.rpartition(" ")[0] for path in LEAVES}
    for path in (path.split()[1:] for path in {*LEAVES, *groups}):
        shown = client(*path, "--help")
        assert "..." not in shown.out.replace("]...", "")
        assert max(map(len, shown.out.splitlines())) <= 80, path


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_speaks_json(path: str) -> None:
    """Every command has --json."""
    options = {option for parameter in LEAVES[path].params for option in parameter.opts}
    assert "--json" in options


def test_version(hsmstore: CommandLine) -> None:
    """The version is the package's."""
    assert hsmstore("--version").out == f"hsmstore {__version__}\n"


def test_a_client_loads_no_server() -> None:
    """What is typed often does not pay for the server's libraries."""
    names = ("sqlalchemy", "alembic", "pkcs11", "httptools", "falcon", "cryptography", "yaml")
    program = f"import sys, hsmstore.cli; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
