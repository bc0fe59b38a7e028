"""The AWS Encryption SDK for Python, on files, under keys in a key store."""

from pathlib import Path
from typing import Any

import pytest
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient, StrictAwsKmsMasterKeyProvider
from aws_encryption_sdk.exceptions import DecryptKeyError, GenerateKeyError
from aws_encryption_sdk.key_providers.kms import DiscoveryAwsKmsMasterKeyProvider
from botocore.exceptions import ClientError

from tests.wire.keys import Keys

CONTEXT = {"file": "report.txt", "owner": "payroll"}
SDK = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


@pytest.fixture(autouse=True)
def at_the_server(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3, which the SDK makes its own clients with, find the server."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def providers(keys: Keys, *key_ids: str) -> Any:
    """Return the SDK's way to keys: those and no others."""
    return StrictAwsKmsMasterKeyProvider(key_ids=[keys.arn(key_id) for key_id in key_ids])


def run(mode: str, source: Path, target: Path, provider: Any, **members: Any) -> Any:
    """Encrypt or decrypt a file, in pieces; return the message's header."""
    with (
        source.open("rb") as plain,
        target.open("wb") as out,
        SDK.stream(mode=mode, source=plain, key_provider=provider, **members) as pieces,
    ):
        for piece in pieces:
            out.write(piece)
        return pieces.header


@pytest.mark.parametrize("length", [0, 1, 4096, 300_000])
def test_files(keys: Keys, tmp_path: Path, length: int) -> None:
    """A file of any length comes back; its data key is the key store's, bound to the SDK's context."""
    provider = providers(keys, keys.create())
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes((b"all work and no play " * 20_000)[:length])
    written = run("e", plain, sealed, provider, encryption_context=CONTEXT)
    read = run("d", sealed, opened, provider)
    assert opened.read_bytes() == plain.read_bytes()
    assert length < 20 or plain.read_bytes() not in sealed.read_bytes()
    assert written.encryption_context == read.encryption_context
    assert CONTEXT.items() <= read.encryption_context.items()


def test_a_disconnected_key_store(keys: Keys, tmp_path: Path) -> None:
    """Disconnected, nothing can be encrypted or decrypted; connected again, the old file opens."""
    key_id = keys.create()
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(b"attack at dawn")
    run("e", plain, sealed, providers(keys, key_id))
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    with pytest.raises(GenerateKeyError) as failed:
        run("e", plain, opened, providers(keys, key_id))
    assert f"{keys.arn(key_id)} is unavailable." in said_by_kms(failed.value)
    with pytest.raises(DecryptKeyError):  # the SDK drops what KMS said of each data key
        run("d", sealed, opened, providers(keys, key_id))
    assert opened.read_bytes() == b""
    keys.kms.connect_custom_key_store(CustomKeyStoreId=keys.store)
    run("d", sealed, opened, providers(keys, key_id))
    assert opened.read_bytes() == b"attack at dawn"


def said_by_kms(error: BaseException | None) -> str:
    """Return the refusal that the SDK's error comes from."""
    while error is not None and not isinstance(error, ClientError):
        error = error.__cause__ or error.__context__
    return str(error)


def test_two_keys_of_two_stores(keys: Keys, tmp_path: Path) -> None:
    """A file for two keys opens with either, as long as one of their key stores is connected."""
    other = Keys.on(keys.server, f"other than {keys.store}", account=keys.account)
    here, there = keys.create(), other.create()
    plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(b"attack at dawn")
    run("e", plain, sealed, providers(keys, here, there))
    keys.kms.disconnect_custom_key_store(CustomKeyStoreId=keys.store)
    run("d", sealed, opened, providers(keys, there))
    assert opened.read_bytes() == b"attack at dawn"


def test_discovery(keys: Keys) -> None:
    """Without a key's name a message opens by what it says itself; another key opens nothing."""
    sealed, _ = SDK.encrypt(source=b"attack at dawn", key_provider=providers(keys, keys.create()))
    opened, header = SDK.decrypt(source=sealed, key_provider=DiscoveryAwsKmsMasterKeyProvider())
    assert opened == b"attack at dawn"
    assert header.algorithm.is_committing()
    with pytest.raises(DecryptKeyError):
        SDK.decrypt(source=sealed, key_provider=providers(keys, keys.create()))
