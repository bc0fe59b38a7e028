"""`hsmstore` without the time that its start takes: a process that has it loaded forks for each command.

`Typist` puts a program `hsmstore` into a directory for PATH. It hands arguments, directory, environment and
the three standard files to this module, which runs as a process of its own and does nothing but that.
"""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hsmstore.cli import app

_PROGRAM: Final = """\
#!{python} -IS
import json, os, socket, sys
typist = socket.socket(socket.AF_UNIX)
typist.connect({address!r})
sheet = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(typist, [len(sheet).to_bytes(4)], [0, 1, 2])
typist.sendall(sheet)
sys.exit(int.from_bytes(typist.recv(1) or b"F"))
"""


class Typist:
    """The process, and the program that turns to it. `place` is short: a socket's name has room for 100."""

    def __init__(self, place: Path) -> None:
        self.programs = place
        address = place / "typist"
        program = place / "hsmstore"
        program.write_text(_PROGRAM.format(python=sys.executable, address=str(address)))
        program.chmod(0o755)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(address))
        listening.listen()
        with listening:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "utf8", "-m", __name__, str(listening.fileno())],
                pass_fds=[listening.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()


def _serve(listening: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    sys.argv = ["hsmstore", "--endpoint", "http://127.0.0.1:9", "clock", "show"]
    with contextlib.redirect_stderr(io.StringIO()):
        app.main()  # in vain: what a command imports is there from now on
    while True:
        asking, _ = listening.accept()
        with asking:
            if os.fork() == 0:
                listening.close()
                os._exit(_typed(asking))


def _typed(asking: socket.socket) -> int:
    """Run one command as if it had been started; return its exit code, and send it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, files, _, _ = socket.recv_fds(asking, 4, 3)
    with asking.makefile("rb") as sheet:
        arguments, directory, environment = json.loads(sheet.read(int.from_bytes(length)))
    for standard, given in enumerate(files):
        os.dup2(given, standard)
        os.close(given)
    os.chdir(directory)
    os.environ.clear()  # noqa: TID251  # the environment of whoever typed takes its place
    os.environ.update(environment)  # noqa: TID251  # likewise
    sys.argv = ["hsmstore", *arguments]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # a new standard input
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # in the order of a terminal
    code = 70
    try:
        code = app.main()
    finally:
        sys.stdout.flush()
        asking.sendall(code.to_bytes(1))
    return code


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
