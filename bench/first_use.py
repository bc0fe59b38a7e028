"""`python -m bench.first_use`: how long a newcomer waits, from a clone to the first bytes.

It types what the README says, in a clone, with a cache and with a data directory that were not there before.
What the machine has, such as SoftHSM2, is there. The server is on a free port, lest it meet one that runs.
"""

import argparse
import os
import re
import resource
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.machine import ROOT, description, load_average, now, revision
from bench.processes import STOP_WITHIN, free_port, monotonic
from hsmstore.settings.environment import PREFIX, environment

PORT: Final = "4599"
SERVE: Final = re.compile(r"^\$ (make serve)$", re.MULTILINE)
DRAW: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY: Final = "Ctrl-C stops it"


class Newcomer:
    """Somebody in an empty directory, who waits for each thing that they type."""

    def __init__(self, home: Path) -> None:
        """Take the directory."""
        self._port = str(free_port())
        self._home, self._clone = home, home / "hsmstore"
        own = {"XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
        kept = {name: value for name, value in environment().items() if not name.startswith(PREFIX)}
        self._environment: Mapping[str, str] = {**kept, **own, f"{PREFIX}PORT": self._port}

    def clone(self, source: str) -> None:
        """Clone the repository."""
        subprocess.run(["git", "clone", "--quiet", "--no-local", source, self._clone], check=True)

    def draw(self) -> None:
        """Run the README's first lines of Python, which draw bytes from the demo key store."""
        program = self._readme(DRAW).replace(PORT, self._port)
        python = self._clone / ".venv" / "bin" / "python"
        drawn = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True)
        print(f"  drawn: {drawn.stdout.strip()}")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Type what the README says, wait for the welcome; press Ctrl-C at the end."""
        log = self._home / "log"
        with log.open("w") as said:
            server = subprocess.Popen(
                self._readme(SERVE).split(),
                cwd=self._clone, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True,
            )  # fmt: skip
        assert server.stdout is not None  # noqa: S101  # it is a pipe
        try:
            if not any(READY in line for line in server.stdout):
                raise RuntimeError(f"it does not come up:\n{log.read_text()}")
            yield
        finally:
            os.killpg(server.pid, signal.SIGINT)
            server.communicate(timeout=STOP_WITHIN)

    def _readme(self, part: re.Pattern[str]) -> str:
        found = part.search((self._clone / "README.md").read_text(encoding="utf-8"))
        if found is None:
            raise RuntimeError(f"the README has no {part.pattern!r}")
        return found[1]


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long something took."""
    begun = monotonic()
    yield
    print(f"{monotonic() - begun:6.1f} s  {name}", flush=True)


def main() -> None:
    """Do it all, and say where."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_use", description=__doc__.partition("\n")[0])
    parser.add_argument("--source", default=str(ROOT), help="what to clone (this checkout)")
    source = parser.parse_args().source
    print(f"{now()}, {revision()}, load average {load_average()}; Python {description()['Python']}")
    with tempfile.TemporaryDirectory(prefix="hsmstore-first-use-") as home, ExitStack() as until:
        newcomer = Newcomer(Path(home))
        with step("from git clone to the first bytes"):
            with step("git clone"):
                newcomer.clone(source)
            with step("make serve, which sets up first"):
                until.enter_context(newcomer.serving())
            with step("the README's Python"):
                newcomer.draw()
        until.close()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{used.ru_utime + used.ru_stime:6.1f} s  of CPU until then: what an idle core would take")
        with step("make serve, again"):
            until.enter_context(newcomer.serving())


if __name__ == "__main__":
    main()
