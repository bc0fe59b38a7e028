"""The manual page hsmstore(1), made from the command line itself, the settings and the exit codes.

It is plain man(7), in ASCII: groff and mandoc show it, on every system's `man`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from hsmstore import __version__
from hsmstore.cli.app import app
from hsmstore.cli.exits import MEANINGS
from hsmstore.settings.fields import FIELDS

NOTE: Final = r".\" Made by `make docs`; changes are lost."

FILES: Final = {
    "$XDG_DATA_HOME/hsmstore, ~/.local/share/hsmstore": (
        "The data directory, unless another is named: the registry, the tokens, the key that seals secrets,"
        " and the records of calls."
    ),
    "$HSMSTORE_CONFIG": "A TOML file of settings.",
}

SEE_ALSO: Final = ("aws(1)", "softhsm2-util(1)", "softhsm2.conf(5)", "pkcs11-tool(1)", "p11-kit(8)")


def manual() -> str:
    """Return the page."""
    command = get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101  # typer's own: an app with commands is a group
    root = typer.Context(command, info_name="hsmstore")
    return "\n".join(
        [
            NOTE,
            f'.TH HSMSTORE 1 "" "hsmstore {__version__}" "User Commands"',
            ".nh",  # a hyphen that the formatter adds cannot be typed
            ".ad l",
            ".SH NAME",
            r"hsmstore \- simulate AWS KMS custom key stores on this machine",
            ".SH SYNOPSIS",
            r".B hsmstore",
            _text("[OPTIONS] COMMAND [ARGS]..."),
            ".SH DESCRIPTION",
            _prose(
                "A local server that speaks the wire of AWS KMS for custom key stores, with a PKCS#11 token"
                " behind each of them, and the commands that make, keep and look at them."
                "\n\nhsmstore serve starts it, with a connected key store named demo."
                " hsmstore demo walks through the life of a key store. Every command has --help."
            ),
            ".SH OPTIONS",
            "These stand before the command.",
            *_parameters(command, root),
            ".SH COMMANDS",
            *_commands(command, root),
            ".SH ENVIRONMENT",
            "Settings of hsmstore serve, which its options, in parentheses, override.",
            *(_setting(field.variable, field.option, field.description) for field in FIELDS.values()),
            ".SH EXIT STATUS",
            *(_tagged(str(code.value), meaning) for code, meaning in MEANINGS.items()),
            ".SH FILES",
            *(_tagged(name, meaning) for name, meaning in FILES.items()),
            ".SH SEE ALSO",
            _text(", ".join(SEE_ALSO)),
            "",
        ]
    )


def _commands(group: TyperGroup, context: typer.Context) -> Iterator[str]:
    """Yield every command that does something, in the order of the help."""
    for name, command in group.commands.items():
        below = typer.Context(command, info_name=name, parent=context)
        if isinstance(command, TyperGroup):
            yield from _commands(command, below)
        elif isinstance(command, TyperCommand):
            yield f'.SS "{_text(_usage(command, below))}"'
            yield _prose(command.help or "")
            yield from _parameters(command, below)


def _usage(command: TyperCommand, context: typer.Context) -> str:
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _parameters(command: TyperCommand | TyperGroup, context: typer.Context) -> Iterator[str]:
    """Yield what the help says of each argument and option, but for the one of the help itself."""
    for parameter in command.get_params(context):
        shown = parameter.get_help_record(context)
        if shown is not None and not shown[0].startswith(("-h", "--help")):
            yield _tagged(shown[0], shown[1])


def _setting(variable: str, option: str, description: str) -> str:
    return _tagged(f"{variable} ({option})", description)


def _tagged(tag: str, text: str) -> str:
    return f".TP\n.B {_text(tag)}\n{_prose(text)}"


def _prose(text: str) -> str:
    """Return paragraphs that a blank line parts, each filled by the formatter."""
    return "\n.PP\n".join(_text(" ".join(part.split())) for part in re.split(r"\n\s*\n", text.strip()))


def _text(text: str) -> str:
    """Return text so that the formatter takes none of it for its own."""
    escaped = "".join(_characters(text))
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _characters(text: Iterable[str]) -> Iterator[str]:
    for character in text:
        if character in _SPECIAL:
            yield _SPECIAL[character]
        elif character.isascii():
            yield character
        else:
            yield f"\\[u{ord(character):04X}]"


_SPECIAL: Final = {"\\": r"\e", "-": r"\-", '"': r"\(dq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "\b": ""}
