"""A page, played from top to bottom as a reader would."""

import configparser
import contextlib
import doctest
import io
import json
import os
import re
import socket
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
import pytest
import yaml

from tests.house.tidy import ROOT
from tests.pages.comparing import Samples
from tests.pages.reading import Block
from tests.pages.shell import Lasting, Shell, answers

PORTS: Final = ("4599", "4600", "4601", "5000")
"""Ports that pages name. In truth they are free ones."""

_SERVES: Final = re.compile(r"((\w+=\S+ )*hsmstore serve\b(?!.* --print-settings)|make serve\b)")
_GREETS: Final = re.compile(r"((\w+=\S+ )*hsmstore (hsm )?serve|make serve)\b")
_LASTS: Final = re.compile(r"(hsmstore hsm serve\b|hsmstore trail tail .*--follow\b|moto_server\b)")
_TESTS: Final = re.compile(r"^\s*(async )?def test_", re.MULTILINE)
_PORT: Final = re.compile(r"--port[ =](\d+)")

PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "ini": lambda text: configparser.ConfigParser().read_string(text),
}


class Untrue(AssertionError):
    """A block does not do what its page says."""


class Command(NamedTuple):
    """One command of a console: its text, and what the page shows below it."""

    text: str
    shown: str


class Player:
    """A reader with a shell, a Python and a directory, who begins at the top of a page."""

    def __init__(self, home: Path, programs: Path, samples: Samples, *, rewrite: bool = False) -> None:
        self.samples = samples
        self._home = home
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._lasting: dict[str, Lasting] = {}
        for port in PORTS:
            samples.bind(port, str(_free_port()))
        samples.bind("~", str(home))
        self._shell = Shell(home, self._environment(programs))
        self._rewrite = rewrite
        self.rewritten: dict[Block, str] = {}
        """What blocks should say that is not true; only where rewriting was asked for."""

    def _environment(self, programs: Path) -> dict[str, str]:
        """Return what a shell finds: nothing of the developer's, and the port that stands for 4599.

        pip installs what is there already. A server that exports traces does not wait for a collector.
        """
        return {
            "HOME": str(self._home),
            "PATH": f"{programs}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
            "PIP_NO_INDEX": "1",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "HSMSTORE_PORT": self.samples.true(PORTS[0]),
        }

    def play(self, page: list[Block]) -> None:
        """Play the blocks.

        Raises:
            Untrue: with the place of the block, and what it is that the page does not say.

        """
        for block in page:
            if block.tried_by is None:
                self._block(block)

    def _block(self, block: Block) -> None:
        if block.file is not None:
            self._write(block)
        elif block.language == "console":
            self._console(block)
        elif block.language == "sh":
            self._script(block)
        elif block.language == "python":
            self._python(block)
        elif block.language == "pycon":
            self._dialogue(block)

    def _write(self, block: Block) -> None:
        directory, _ = self._shell.environment()
        path = directory / str(block.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.samples.true(block.text), encoding="utf-8")
        try:
            PARSERS.get(block.language, str)(block.text)
        except (ValueError, yaml.YAMLError, configparser.Error) as error:
            raise Untrue(f"{block.place}: {error}") from error

    def _script(self, block: Block) -> None:
        said, code = self._shell.type(self._true(block.text), "-euo pipefail")
        if code != 0:
            raise Untrue(f"{block.place}: exit code {code}:\n{said}")

    def _console(self, block: Block) -> None:
        shown = [self._command(block, command) for command in commands(block.text)]
        self._settle(block, "".join(shown))

    def _command(self, block: Block, command: Command) -> str:
        """Type it; return the part of the page as it should be."""
        text = self._true(command.text)
        if _SERVES.match(command.text) or _LASTS.match(command.text):
            said, code = self._start(command, text), 0
        else:
            said, code = self._shell.type(text)
        agrees = self.samples.agree(command.shown, said)
        hidden = not agrees or command.shown.splitlines()[-1:] in ([], ["…"])
        if code != 0 and hidden and not self._rewrite:
            raise Untrue(f"{block.place}: {command.text}: exit code {code}:\n{said}")
        typed = "$ " + command.text.replace("\n", "\n> ")
        return f"{typed}\n{command.shown if agrees else self.samples.shown(said)}"

    def _start(self, command: Command, text: str) -> str:
        """Start what lasts; return what it has said. What held its port before ends."""
        serves, named = _SERVES.match(command.text), _PORT.search(text)
        port = named[1] if named else self.samples.true(PORTS[0]) if serves else None
        key = port or text
        if key in self._lasting:
            self._lasting.pop(key).close()
        if serves and not named:
            self._shell.type(f"export HSMSTORE_ENDPOINT=http://127.0.0.1:{port}")
        directory, environment = self._shell.environment()
        # a process of its own from the beginning, which signals reach
        environment["PATH"] = environment["PATH"].partition(":")[2]
        lasting = Lasting(text, self._home / f".said-{len(self._lasting)}", directory, environment)
        self._lasting[key] = lasting
        if _GREETS.match(command.text):
            lasting.wait_for(lambda said: "\nCtrl-C stops it" in said)
        elif port:
            lasting.wait_for(lambda _: answers(f"http://127.0.0.1:{port}"))
        else:
            lasting.wait_for(lambda said: self.samples.agree(command.shown, said))
        return lasting.said if command.shown else ""

    def _python(self, block: Block) -> None:
        if _TESTS.search(block.text):
            file = self._home / ".tests" / f"test_{block.line}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(self.samples.true(block.text), encoding="utf-8")
            self._script(block._replace(text=f"python -m pytest -q -p no:cacheprovider {file}"))
            return
        code = compile("\n" * (block.line - 1) + self.samples.true(block.text), block.place, "exec")
        with self._inside(), contextlib.redirect_stdout(io.StringIO()):
            try:
                exec(code, self._names)  # noqa: S102  # our own page
            except Exception as error:
                raise Untrue(f"{block.place}: {traceback.format_exc()}") from error

    def _dialogue(self, block: Block) -> None:
        shown = []
        for example in doctest.DocTestParser().get_examples(block.text):
            said = self._answer(example.source, block)
            agrees = self.samples.agree(example.want, said)
            typed = ">>> " + example.source.rstrip("\n").replace("\n", "\n... ")
            shown.append(f"{typed}\n{example.want if agrees else self.samples.shown(said)}")
        self._settle(block, "".join(shown))

    def _answer(self, source: str, block: Block) -> str:
        """Return what the interpreter answers: of an exception, the last line."""
        output = io.StringIO()
        with self._inside(), contextlib.redirect_stdout(output):
            try:
                exec(compile(self.samples.true(source), block.place, "single"), self._names)  # noqa: S102  # likewise
            except Exception as error:  # noqa: BLE001  # whatever the page brings about
                output.write("Traceback (most recent call last):\n  ...\n")
                output.write("".join(traceback.format_exception_only(error)))
        return output.getvalue()

    def _settle(self, block: Block, true: str) -> None:
        """Accept a block that shows what was shown; refuse or remember another."""
        if true == block.text:
            return
        if not self._rewrite:
            raise Untrue(f"{block.place}: it should say (pytest tests/pages --rewrite):\n{true}")
        self.rewritten[block] = true

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        """Be where the shell is, with its environment."""
        directory, environment = self._shell.environment()
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - environment.keys():  # noqa: TID251  # the page's, whole
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.chdir(directory)
            patch.setattr(boto3, "DEFAULT_SESSION", None)
            yield

    def _true(self, text: str) -> str:
        """Return a text of the page as it is to be typed: `make` works in the checkout."""
        return re.sub(
            r"^make\b", f"make --no-print-directory -C '{ROOT}'", self.samples.true(text), flags=re.MULTILINE
        )

    def close(self) -> None:
        """End everything that was started."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._shell.close)
            for lasting in self._lasting.values():
                stack.callback(lasting.close)


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a console.

    Raises:
        Untrue: it does not begin with a command.

    """
    first, *others = re.split(r"^\$ ", text, flags=re.MULTILINE)
    if first or not others:
        raise Untrue(f"a console begins with `$ `: {text!r}")
    for other in others:
        lines = other.splitlines(keepends=True)
        typed = [lines.pop(0)]
        while lines and lines[0].startswith("> "):
            typed.append(lines.pop(0).removeprefix("> "))
        yield Command("".join(typed).rstrip("\n"), "".join(lines))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
