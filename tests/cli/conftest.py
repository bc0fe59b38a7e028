"""The command line as a process, in an environment that holds nothing of the developer's."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hsmstore.cli import app
from hsmstore.settings.environment import CREDENTIAL_VARIABLES, ENDPOINT_VARIABLE, REGION_VARIABLES
from tests.server import Server


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output of a command that succeeded."""
        assert self.code == 0, self.err
        return json.loads(self.out)


class CommandLine:
    """`hsmstore` with a home directory of its own."""

    def __init__(self, home: Path) -> None:
        self.environment = {
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "COLUMNS": "80",
        }

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Outcome:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "hsmstore", *arguments],
            cwd=self.environment["HOME"],
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)


class SameProcess(CommandLine):
    """The same without a process for each command, for tests of many commands; ten times as fast."""

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Outcome:
        """Run a command to its end."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch:
            for variable in (ENDPOINT_VARIABLE, *REGION_VARIABLES, *CREDENTIAL_VARIABLES):
                patch.delenv(variable, raising=False)
            for variable, value in (self.environment | environment).items():
                patch.setenv(variable, value)
            patch.chdir(self.environment["HOME"])
            patch.setattr(sys, "argv", ["hsmstore", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = app.main()
        return Outcome(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


@pytest.fixture
def hsmstore(tmp_path: Path) -> CommandLine:
    """Return the command line; it finds no server unless it is told where one is."""
    return CommandLine(tmp_path)


@pytest.fixture
def client(tmp_path: Path, server: Server) -> CommandLine:
    """Return the command line, pointed at the server that all tests share."""
    client = SameProcess(tmp_path)
    client.environment[ENDPOINT_VARIABLE] = server.endpoint
    return client
