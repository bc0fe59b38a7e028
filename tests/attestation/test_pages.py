"""The page about attestation and the example do what they say."""

import os
import re
import subprocess
import sys
import time  # noqa: TID251 - a document must be valid by the machine's clock
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from hsmstore.attestation.pki import ROOT_FILE
from hsmstore.attestation.verifying import verify
from hsmstore.domain.attestation import MEANINGS, AttestationRefused
from tests.attestation.conftest import Recipient
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
    """Return where the page's commands have been typed."""
    place = tmp_path_factory.mktemp("page")
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    shell(script, place)
    return place


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    """Serve with the page's root trusted."""
    trusted = str(place / "pki" / ROOT_FILE)
    with running(place / "data", "--profile", "instant", "--attestation-root", trusted) as server:
        yield server


def test_checks() -> None:
    """The page has every check, in order, with its meaning."""
    table = PAGE.partition("<!-- checks")[2].partition("\n\n")[2].partition("\n\n")[0]
    rows = [f"| `{check}` | {meaning} |" for check, meaning in MEANINGS.items()]
    assert table.splitlines()[2:] == rows


def test_what_the_page_types(place: Path, server: Server) -> None:
    """The document that the page makes is taken, and openssl opens the answer as the page says."""
    first = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    names: dict[str, Any] = {"kms": server.kms(), "document": (place / "document").read_bytes()}
    exec(first, names)  # noqa: S102 - our own page
    (place / "sealed").write_bytes(names["sealed"])
    assert "`openssl cms -decrypt -inform DER -inkey enclave.pem -in sealed` opens it" in PAGE
    shell("openssl cms -decrypt -inform DER -inkey enclave.pem -in sealed -binary -out opened", place)
    assert len((place / "opened").read_bytes()) == 32


def test_documents_from_python(recipient: Recipient) -> None:
    """The page's lines make a good document and a broken one."""
    second = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    now = time.time()
    names: dict[str, Any] = {"now": now, "spki": recipient.spki, "image": bytes(48)}
    exec(second, names)  # noqa: S102 - our own page
    roots = frozenset([names["root"].der])
    assert verify(names["document"], roots, now).public_key == recipient.spki
    with pytest.raises(AttestationRefused, match="expired"):
        verify(names["refused"], roots, now)


@pytest.mark.parametrize("count", [32, 1024])
def test_example(place: Path, server: Server, count: int) -> None:
    """The example draws from a key store and opens the answer."""
    played = Played(server, f"example-{count}")
    played.works()
    command = [sys.executable, str(EXAMPLE), "--pki", str(place / "pki"), "--endpoint", server.endpoint]
    command += ["--store", played.store, "--bytes", str(count)]
    drawn = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert [len(bytes.fromhex(line)) for line in drawn] == [count, count]
    assert drawn[0] != drawn[1]
