"""The data directory of every older version opens, and is of use: docs/versioning.md promises it."""

import base64
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsmstore.storage.migrations import REVISIONS, SchemaState, current_state
from tests.package.recording import PLAINTEXT, RECORDED
from tests.server import Server, running


@pytest.fixture(params=REVISIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a data directory as a version with this schema has left it."""
    with tarfile.open(RECORDED / f"{request.param}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "data"


@pytest.fixture
def server(old: Path) -> Iterator[Server]:
    """Serve it with the code of today."""
    with running(old, "--profile", "instant") as server:
        yield server


def test_it_opens_and_is_of_use(old: Path, server: Server) -> None:
    """Its stores are there and connect; its token draws; its keys decrypt what they have encrypted."""
    told = json.loads((old / "told.json").read_text())
    kms = server.kms()
    stores = {store["CustomKeyStoreId"] for store in kms.describe_custom_key_stores()["CustomKeyStores"]}
    assert stores == {told["Store"], told["External"]}
    kms.connect_custom_key_store(CustomKeyStoreId=told["Store"])
    answer = kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=told["Store"])
    assert len(answer["Plaintext"]) == 32
    if "Key" in told:
        key = kms.describe_key(KeyId="alias/old")["KeyMetadata"]
        assert (key["KeyId"], key["KeyState"]) == (told["Key"], "Enabled")
    if "Ciphertext" in told:
        blob = base64.b64decode(told["Ciphertext"])
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == PLAINTEXT
    assert current_state(server.registry_url) is SchemaState.CURRENT
