"""`uvx` and `pipx run`, as docs/install.md has them: the wheel serves, and nothing was installed before."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.house.tidy import ROOT
from tests.package.shipped import Distributions, wheels
from tests.server import Server

PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`((?:uvx|pipx run) .*? hsmstore) serve`", PAGE)


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which uv finds packages in a directory only. pipx installs through uv, too."""
    home = tmp_path_factory.mktemp("home")
    found = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels(home / "wheels"))}
    found["UV_PYTHON"] = sys.executable  # which the wheels are for
    return {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.defpath}", **found}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition(" ")[0])
def test_it_serves_from_the_wheel(
    command: str,
    built: Distributions,
    offline: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command of the page, typed beside `dist/`, serves until it is told to stop."""
    for name, value in offline.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(built.wheel.parent.parent)
    server = Server(tmp_path / "data", "--profile", "instant")
    server.program = command.split()
    server.start()
    assert len(server.kms().generate_random(NumberOfBytes=8)["Plaintext"]) == 8
    assert server.stop() == 0


def test_both_are_tried() -> None:
    """The page has one command for each."""
    assert [command.split()[0] for command in COMMANDS] == ["uvx", "pipx"]
