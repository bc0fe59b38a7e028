"""`hsmstore hsm serve` as a process that can be stopped, cut off and killed."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.hanging import hang


class ServedHsm:
    """A token behind p11-kit remoting, in a data directory of its own."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        # The name of a socket has room for some hundred bytes; a directory of pytest's takes most of them.
        self._short = Path(tempfile.mkdtemp(prefix="hsm-"))
        self.options = options if "--socket" in options else ("--socket", str(self._short / "s"), *options)
        self.said: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None

    @property
    def label(self) -> str:
        """The token's label."""
        return str(self.said["Token"])

    @property
    def address(self) -> str:
        """Where it is, for the module."""
        return str(self.said["Address"])

    @property
    def members(self) -> dict[str, str | None]:
        """What CreateCluster is told for a cluster on the token, whose kmsuser there is already."""
        return {
            "Pkcs11Profile": "p11-kit",
            "Pkcs11Address": self.address,
            "TokenLabel": self.label,
            "CryptoOfficerPin": self.officer_pin,
            "KmsuserPassword": None,
        }

    @property
    def socket(self) -> Path:
        """The socket."""
        return Path(unquote(self.address.removeprefix("unix:path=")))

    @property
    def officer_pin(self) -> str:
        """The SO PIN."""
        return Path(self.said["CryptoOfficerPinFile"]).read_text()

    @property
    def password(self) -> str:
        """The password that kmsuser was made with."""
        return Path(self.said["KmsuserPasswordFile"]).read_text()

    @property
    def token_object(self) -> Path:
        """SoftHSM2's file of the token itself."""
        (path,) = Path(self.said["Directory"]).glob("*/tokens/*/token.object")
        return path

    def start(self) -> None:
        """Start it and wait until it serves."""
        command = [
            sys.executable,
            "-m",
            "hsmstore",
            "hsm",
            "serve",
            "--json",
            "--data-dir",
            str(self.data_dir),
        ]
        self._process = subprocess.Popen([*command, *self.options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        assert lines, f"{command} has ended with {self._process.wait()}"
        self.said = json.loads("".join(lines))

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def hang(self) -> None:
        """Let it answer nobody until `go_on`."""
        assert self._process is not None
        hang(self._process.pid)

    def go_on(self) -> None:
        """End what `hang` began."""
        self.send(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; return its exit code, or minus the signal. Idempotent."""
        if self._process is None:
            return 0
        self.send(number)
        self.send(signal.SIGCONT)  # it may be a test that left it stopped
        self._process.communicate(timeout=60)
        code, self._process = self._process.returncode, None
        return code

    def close(self) -> None:
        """End it for good."""
        self.stop()
        shutil.rmtree(self._short)


@contextmanager
def served(data_dir: Path, *options: str) -> Iterator[ServedHsm]:
    """Serve a token for as long as the context lasts."""
    hsm = ServedHsm(data_dir, *options)
    try:
        hsm.start()
        yield hsm
    finally:
        hsm.close()
