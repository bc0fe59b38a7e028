"""Every test of the wire says how we know that AWS does so. And a place for keys, and an enclave."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import EVIDENCE
from hsmstore.attestation.pki import ROOT_FILE, Authority, new_root, save_root
from tests.attestation.conftest import Recipient, new_recipient
from tests.server import Server, running
from tests.wire.enclave import minted
from tests.wire.keys import Keys


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to run as long as a test of the wire has no evidence marker, or two."""
    here = Path(__file__).parent
    wire = [item for item in items if item.path.is_relative_to(here)]
    wrong = [item.nodeid for item in wire if sum(mark.name in EVIDENCE for mark in item.iter_markers()) != 1]
    if wrong:
        raise pytest.UsageError(f"Not exactly one of {', '.join(EVIDENCE)}:", *wrong)


@pytest.fixture(scope="session")
def keys(server: Server) -> Keys:
    """Give a connected key store, in an account of its own, to make keys in."""
    return Keys.on(server, "for keys", account="121212121212")


@pytest.fixture(scope="session")
def root() -> Authority:
    """Return a test root."""
    return new_root()


@pytest.fixture(scope="session")
def recipient() -> Recipient:
    """Return the enclave's key pair."""
    return new_recipient()


@pytest.fixture(scope="session")
def trusting(tmp_path_factory: pytest.TempPathFactory, root: Authority) -> Iterator[Server]:
    """Serve with the test root trusted."""
    place = tmp_path_factory.mktemp("recipient")
    save_root(place / "pki", root)
    trusted = str(place / "pki" / ROOT_FILE)
    with running(place / "data", "--profile", "instant", "--attestation-root", trusted) as server:
        yield server


@pytest.fixture
def document(trusting: Server, root: Authority, recipient: Recipient) -> bytes:
    """Return a document that is valid now."""
    return minted(trusting, root, recipient)
