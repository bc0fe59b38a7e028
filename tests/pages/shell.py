"""The shell of a page: one bash that keeps variables and directory, and what is started to last."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

PATIENCE: Final = 120.0
_END: Final = "end of what was typed"


class Typed(NamedTuple):
    """What a command said, on both outputs, and its exit code."""

    said: str
    code: int


class Shell:
    """Bash in a directory and an environment. What is typed sees an empty standard input."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._script = home / ".typed"
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=home,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def type(self, text: str, options: str = "+e") -> Typed:
        """Run a text under the shell's `options`; return what it said."""
        self._script.write_text(text + "\n")
        ending = f"source {self._script} </dev/null; typed=$?; set +euo pipefail"
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"set {options}; {ending}; printf '{_END} %d\\n' $typed\n".encode())
        self._bash.stdin.flush()
        said = self._until_the_end()
        text, found, code = said.rpartition(f"{_END} ")
        return Typed(text, int(code)) if found else Typed(said, self._bash.wait())

    def _until_the_end(self) -> str:
        """Read up to the line of our own, or to the end of the shell."""
        assert self._bash.stdout is not None
        said = b""
        while not (f"{_END} ".encode() in said and said.endswith(b"\n")):
            ready, _, _ = select.select([self._bash.stdout], [], [], PATIENCE)
            assert ready, f"nothing comes any more after {said!r}"
            more = os.read(self._bash.stdout.fileno(), 65536)
            if not more:
                break
            said += more
        return said.decode()

    def environment(self) -> tuple[Path, dict[str, str]]:
        """Return the directory and the environment that a program would find."""
        directory, *variables = self.type("pwd; env -0").said.partition("\n")[::2]
        pairs = (pair.partition("=")[::2] for pair in variables[0].split("\0") if pair)
        return Path(directory), dict(pairs)

    def close(self) -> None:
        """End it, and what it has left in the background."""
        with contextlib.suppress(ProcessLookupError):  # it may have ended
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()


class Lasting:
    """A command that does not end by itself, as in a terminal of its own. What it says goes to a file."""

    def __init__(self, command: str, log: Path, directory: Path, environment: Mapping[str, str]) -> None:
        self.command = command
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["bash", "-c", f"exec env {command}"],
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """Everything that it has said."""
        return self._log.read_text()

    def wait_for(self, ready: Callable[[str], bool]) -> None:
        """Wait until it is ready, by what it has said."""
        for _ in range(int(PATIENCE * 50)):
            ended = self._process.poll()
            assert ended is None, f"{self.command} has ended with {ended}:\n{self.said}"
            if ready(self.said):
                return
            threading.Event().wait(0.02)
        raise AssertionError(f"{self.command} does not come up:\n{self.said}")

    def close(self) -> None:
        """Press Ctrl-C, and see it end in order."""
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(timeout=PATIENCE)
        assert code in {0, 130, -signal.SIGINT}, f"{self.command} has ended with {code}:\n{self.said}"


def answers(url: str) -> bool:
    """Tell whether HTTP is spoken there."""
    try:
        with urllib.request.urlopen(url, timeout=10):  # noqa: S310  # our own server
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
