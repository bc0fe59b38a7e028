"""The page about attestation has every check, and the example does what it says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from hsmstore.attestation.pki import ROOT_FILE
from hsmstore.domain.attestation import MEANINGS
from tests.house.tidy import ROOT
from tests.server import Server, running
from tests.wire.failing import Played

PAGE: Final = (ROOT / "docs" / "attestation.md").read_text(encoding="utf-8")
EXAMPLE: Final = ROOT / "examples" / "enclave" / "enclave.py"
ENVIRONMENT: Final = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "HOME": "."}


def shell(script: str, place: Path) -> None:
    """Run a script as somebody would paste it."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a PKI has been made."""
    place = tmp_path_factory.mktemp("page")
    shell("hsmstore attest init pki", place)
    return place


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    """Serve with its root trusted."""
    trusted = str(place / "pki" / ROOT_FILE)
    with running(place / "data", "--profile", "instant", "--attestation-root", trusted) as server:
        yield server


def test_checks() -> None:
    """The page has every check, in order, with its meaning."""
    table = PAGE.partition("<!-- checks")[2].partition("\n\n")[2].partition("\n\n")[0]
    rows = [f"| `{check}` | {meaning} |" for check, meaning in MEANINGS.items()]
    assert table.splitlines()[2:] == rows


def test_example(place: Path, server: Server) -> None:
    """The example draws all that can be drawn at once, and opens the answer; its README draws 32 bytes."""
    played = Played(server, "example")
    played.works()
    command = [sys.executable, str(EXAMPLE), "--pki", str(place / "pki"), "--endpoint", server.endpoint]
    command += ["--store", played.store, "--bytes", "1024"]
    drawn = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert [len(bytes.fromhex(line)) for line in drawn] == [1024, 1024]
    assert drawn[0] != drawn[1]
