"""The AWS SDK for JavaScript v3, in Node.js: its commands, its bytes and its exceptions."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire.keys import NO_KEY, Keys

HERE = Path(__file__).parent / "javascript"
SDK = HERE / "node_modules" / "@aws-sdk" / "client-kms"


class Sdk:
    """A program of Node.js that sends one command after the other."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _said(self, command: str, members: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, "members": members}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __call__(self, command: str, **members: Any) -> Any:
        """Send a command that must succeed; return its output."""
        said = self._said(command, members)
        assert said.get("status") == 200, said
        return said["output"]

    def refused(self, command: str, **members: Any) -> tuple[int, str, str]:
        """Send a command that must be refused; return status, name and text of the SDK's own exception."""
        said = self._said(command, members)
        assert said.get("typed"), said
        return said["status"], said["name"], said["message"]


@pytest.fixture
def sdk(environment: dict[str, str]) -> Iterator[Sdk]:
    """Run the program, pointed at the server by AWS_ENDPOINT_URL_KMS."""
    assert SDK.is_dir(), "type: make setup-tests"
    command = ["node", str(HERE / "use.mjs")]
    surroundings = {**environment, "PATH": os.environ["PATH"]}  # noqa: TID251  # node is found as a user finds it
    with subprocess.Popen(
        command, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Sdk(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_a_life(keys: Keys, sdk: Sdk) -> None:
    """A store gives bytes, a key works, and disconnected both are refused with the SDK's own classes."""
    (store,) = sdk("DescribeCustomKeyStores", CustomKeyStoreId=keys.store)["CustomKeyStores"]
    assert store["ConnectionState"] == "CONNECTED"
    drawn = sdk("GenerateRandom", CustomKeyStoreId=keys.store, NumberOfBytes=24)["Plaintext"]
    assert len(base64.b64decode(drawn)) == 24
    key = sdk("CreateKey", Origin="AWS_CLOUDHSM", CustomKeyStoreId=keys.store)["KeyMetadata"]
    plain = base64.b64encode(b"attack at dawn").decode()
    context = {"Department": "IT"}
    sealed = sdk("Encrypt", KeyId=key["KeyId"], Plaintext=plain, EncryptionContext=context)["CiphertextBlob"]
    assert sdk("Decrypt", CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"] == plain
    assert sdk.refused("Decrypt", CiphertextBlob=sealed)[:2] == (400, "InvalidCiphertextException")
    sdk("DisconnectCustomKeyStore", CustomKeyStoreId=keys.store)
    status, name, _ = sdk.refused("GenerateRandom", CustomKeyStoreId=keys.store, NumberOfBytes=24)
    assert (status, name) == (400, "CustomKeyStoreInvalidStateException")
    assert sdk.refused("Decrypt", CiphertextBlob=sealed, EncryptionContext=context) == (
        400,
        "KMSInvalidStateException",
        f"{key['Arn']} is unavailable.",
    )
    assert sdk.refused("DescribeKey", KeyId=NO_KEY)[1] == "NotFoundException"
