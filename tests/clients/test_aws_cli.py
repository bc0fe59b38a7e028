"""The AWS CLI, with files, under a key in a key store."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wire.keys import Keys

AWS = [sys.executable, "-m", "awscli", "--output", "json", "kms"]


class Cli:
    """`aws kms` in an environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def __call__(self, *words: str) -> Any:
        """Run a command that must succeed; return its JSON."""
        done = self._run(words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        """Run a command that must be refused; return what it says."""
        done = self._run(words)
        assert done.returncode != 0
        return done.stderr.strip()

    def _run(self, words: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*AWS, *words], env=self._environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def aws(environment: dict[str, str]) -> Cli:
    """Give the AWS CLI, pointed at the server."""
    return Cli(environment)


def test_a_file(keys: Keys, aws: Cli, tmp_path: Path) -> None:
    """A file is encrypted, decrypted, and no longer decrypted when the key store is disconnected."""
    alias = f"alias/{keys.store}"
    keys.kms.create_alias(AliasName=alias, TargetKeyId=keys.create())
    plain, blob = tmp_path / "plain", tmp_path / "blob"
    plain.write_bytes(b"attack at dawn")
    context = ("--encryption-context", "Department=IT")
    sealed = aws("encrypt", "--key-id", alias, "--plaintext", f"fileb://{plain}", *context)
    blob.write_bytes(_decoded(sealed["CiphertextBlob"]))
    opened = aws("decrypt", "--ciphertext-blob", f"fileb://{blob}", *context)
    assert _decoded(opened["Plaintext"]) == b"attack at dawn"
    assert opened["KeyId"] == sealed["KeyId"]
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    assert aws.refused("decrypt", "--ciphertext-blob", f"fileb://{blob}", *context).endswith(
        f"(KMSInvalidStateException) when calling the Decrypt operation: {sealed['KeyId']} is unavailable."
    )


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)
