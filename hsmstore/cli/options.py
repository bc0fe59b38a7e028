"""Options that several commands share, written once."""

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hsmstore.settings import BadSetting, load
from hsmstore.settings.environment import environment
from hsmstore.settings.fields import FIELDS, Field

Command = Callable[..., None]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def takes(
    into: str, parameters: Sequence[inspect.Parameter], build: Callable[[dict[str, Any]], object]
) -> Callable[[Command], Command]:
    """Give a command the options `parameters`; its own argument `into` gets what `build` makes of them."""

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)

        @functools.wraps(command)
        def wrapper(**arguments: Any) -> None:
            taken = {parameter.name: arguments.pop(parameter.name) for parameter in parameters}
            command(**arguments, **{into: build(taken)})

        shown: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            shown.extend(parameters if parameter.name == into else [parameter])
        wrapper.__signature__ = signature.replace(  # type: ignore[attr-defined]  # inspect's protocol
            parameters=[parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in shown]
        )
        return wrapper

    return decorate


def option(name: str, kind: Any, *declarations: str, **about: Any) -> inspect.Parameter:
    """Return an option that is None when it is not given; `about` is typer's."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, typer.Option(*declarations, **about)],
    )


# Settings.

METAVAR_MAX: Final = 40
_LISTS: Final = {"allow_host": "NAME", "attestation_root": "FILE|aws", "quota_rate": "QUOTA=RATE"}
_METAVARS: Final = {int: "NUMBER", str: "TEXT", Path: "PATH"}


def _setting(field: Field) -> inspect.Parameter:
    """Return the option of a setting. Its value stays text: `load` words what is wrong with it."""
    short = "|".join(field.choices)
    listed = f" One of {field.allowed}." if len(short) > METAVAR_MAX else ""
    default = f"  [default: {field.default}]" if field.default else ""
    about: dict[str, Any] = {"help": field.description + listed + default}
    if field.type is bool:
        return option(field.name, bool | None, field.option, **about)
    if field.choices:
        about["metavar"] = "NAME" if listed else short
        about["autocompletion"] = lambda: list(field.choices)
    if field.type is tuple:
        return option(field.name, list[str] | None, field.option, metavar=_LISTS[field.name], **about)
    # A path stays text, too: as a Path, the empty one could not be told from the current directory.
    metavar = {"metavar": _METAVARS.get(field.type)}
    return option(field.name, str | None, field.option, **(metavar | about))


def takes_settings(*names: str) -> Callable[[Command], Command]:
    """Give a command these settings, or all, and --config; its argument `loaded` gets the outcome."""
    config = option("config", Path | None, "--config", metavar="FILE", help="TOML file of settings.")
    settings = [_setting(field) for field in FIELDS.values() if not names or field.name in names]

    def build(given: dict[str, Any]) -> object:
        file = given.pop("config")
        return load(given, environment(), file)

    return takes("loaded", [*settings, config], build)


# Secrets.


def takes_secret(name: str, what: str) -> Callable[[Command], Command]:
    """Give a command --<name>, --<name>-file and --<name>-stdin; its argument `name` gets the secret."""
    flag = "--" + name.replace("_", "-")
    parameters = [
        option(f"{name}_text", str | None, flag, metavar="TEXT", help=f"{what}."),
        option(f"{name}_file", Path | None, f"{flag}-file", metavar="FILE", help="Read it from a file."),
        option(f"{name}_stdin", bool | None, f"{flag}-stdin", help="Read it from standard input."),
    ]

    def build(given: dict[str, Any]) -> str | None:
        text, file, stdin = given.values()
        return _secret(flag, text, file, from_stdin=bool(stdin))

    return takes(name, parameters, build)


def _secret(flag: str, text: str | None, file: Path | None, *, from_stdin: bool) -> str | None:
    if (text is not None) + (file is not None) + from_stdin > 1:
        raise BadSetting(f"{flag}: give it once, as text, as a file or on standard input")
    if file is not None:
        text = read_text(f"{flag}-file", file)
    elif from_stdin:
        text = _first_line(flag)
    return text and text.removesuffix("\n").removesuffix("\r")


def _first_line(flag: str) -> str:
    try:
        return sys.stdin.readline()
    except UnicodeDecodeError as error:
        raise BadSetting(f"{flag}-stdin: standard input is not UTF-8 text") from error


def required_secret(name: str, secret: str | None) -> str:
    """Return the secret, asking for it where somebody sits at a terminal.

    Raises:
        BadSetting: there is none, and nobody to ask.

    """
    if secret is not None:
        return secret
    if not sys.stdin.isatty():
        raise BadSetting(f"--{name}: it is missing; give --{name}, --{name}-file or --{name}-stdin")
    return str(typer.prompt(name.capitalize(), hide_input=True, err=True))


def read_text(option: str, file: Path) -> str:
    """Return a file's text.

    Raises:
        BadSetting: it cannot be read.

    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSetting(f"{option}: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"{option}: {file} is not UTF-8 text") from error
