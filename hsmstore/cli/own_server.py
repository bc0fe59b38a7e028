"""A simulator for the length of one command: a process, a free port and a data directory of its own."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hsmstore.cli.client import Simulator, Unreachable
from hsmstore.cli.clock import pauses
from hsmstore.cli.exits import ExitCode
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.profile import Profile
from hsmstore.settings.environment import PREFIX, environment
from hsmstore.settings.fields import FIELDS

STARTED_WITHIN: Final = 30.0
STOPPED_WITHIN: Final = 10.0


@contextmanager
def own_server(
    account: str | None,
    region: str | None,
    *,
    profile: Profile = Profile.LIFELIKE,
    directory: Path | None = None,
) -> Iterator[Simulator]:
    """Serve while the context lasts. The simulator is told to speak for this account and Region.

    Nothing is left behind, but what is in `directory` if there is one.

    Raises:
        EnvironmentUnfit: the server does not come up; the reason is what it said.

    """
    place = TemporaryDirectory(prefix="hsmstore-") if directory is None else nullcontext(directory)
    with place as name:
        port, home = _free_port(), Path(name)
        log = home / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                _command(port, home, profile), env=_environment(), stdout=output, stderr=subprocess.STDOUT
            )
        try:
            simulator = Simulator(f"http://127.0.0.1:{port}", account=account, region=region)
            _await(simulator, process, log)
            yield simulator
        finally:
            _stop(process)


def _command(port: int, home: Path, profile: Profile) -> list[str]:
    arguments = ["--port", str(port), "--data-dir", str(home / "data"), "--profile", profile]
    return [sys.executable, "-m", "hsmstore", "serve", "--no-demo", *arguments]


def _environment() -> dict[str, str]:
    """Return the environment without what could lead the server to somebody's data; the module stays."""
    module = {FIELDS["pkcs11_profile"].variable, FIELDS["pkcs11_module"].variable}
    return {
        name: value for name, value in environment().items() if not name.startswith(PREFIX) or name in module
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(simulator: Simulator, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in pauses(STARTED_WITHIN):
        try:
            simulator.manage("GET", "health")
        except Unreachable:
            if process.poll() is None:
                continue
            break
        else:
            return
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    reason = said[-1].removeprefix("hsmstore: ") if said else "it said nothing"
    mend = "`hsmstore doctor` says more" if process.returncode == ExitCode.UNFIT else "try `hsmstore serve`"
    raise EnvironmentUnfit(f"the command's own server did not start: {reason}", mend)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
