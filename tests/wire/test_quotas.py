"""Request quotas: on a clock that stands still exactly a second's worth of calls is let through."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server, running
from tests.wire.refusals import Refusal, refusal

THROTTLED = Refusal(
    400,
    "ThrottlingException",
    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
)


@pytest.fixture
def throttling(tmp_path: Path) -> Iterator[Server]:
    """Serve with AWS's quotas, but for a small one of stores, on a clock that stands still."""
    config = tmp_path / "hsmstore.toml"
    config.write_text('quotas = "aws"\nquota_rate = ["CryptographicOperationsPerKeyStore=2"]\n')
    with running(tmp_path / "data", "--profile", "instant", "--config", str(config)) as server:
        assert server.manage("PUT", "/clock/rate", {"Rate": 0})[0] == 200
        yield server


def hang_up(server: Server) -> None:
    """Send SIGHUP, and wait until the settings have been read again."""
    told = "the settings were read again"
    before = server.log.count(told)
    os.kill(server.pid, signal.SIGHUP)
    while server.log.count(told) == before:
        threading.Event().wait(0.02)


@pytest.mark.aws_recorded
def test_store_operations_have_five_a_second(throttling: Server) -> None:
    """The sixth Describe of an account in a Region in one second is refused, in the recorded words."""
    client = throttling.kms(account="111122223333")
    for _ in range(5):
        client.describe_custom_key_stores()
    assert refusal(client.describe_custom_key_stores) == THROTTLED
    throttling.kms(account="444455556666").describe_custom_key_stores()
    throttling.kms(account="111122223333", region="eu-west-1").describe_custom_key_stores()
    client.generate_random(NumberOfBytes=1)
    assert throttling.manage("POST", "/clock/advance", {"Seconds": 1})[0] == 200
    for _ in range(5):
        client.describe_custom_key_stores()
    assert refusal(client.describe_custom_key_stores) == THROTTLED


@pytest.mark.inferred
def test_a_store_has_a_quota_of_its_own(throttling: Server) -> None:
    """Draws and cryptography with the keys of one store count together, beside the account's quota."""
    store = throttling.new_store("busy")
    client = throttling.kms()
    client.connect_custom_key_store(CustomKeyStoreId=store)
    key = client.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]["KeyId"]
    client.encrypt(KeyId=key, Plaintext=b"x")
    client.generate_random(NumberOfBytes=1, CustomKeyStoreId=store)
    assert refusal(client.generate_random, NumberOfBytes=1, CustomKeyStoreId=store) == THROTTLED
    assert refusal(client.encrypt, KeyId=key, Plaintext=b"x") == THROTTLED
    client.generate_random(NumberOfBytes=1)
    client.describe_key(KeyId=key)


@pytest.mark.simulator_only
def test_a_hangup_changes_quotas(throttling: Server) -> None:
    """SIGHUP has the quotas read again."""
    config = throttling.data_dir.with_name("hsmstore.toml")
    client = throttling.kms()
    config.write_text('quotas = "aws"\nquota_rate = ["ListKeys=1"]\n')
    hang_up(throttling)
    client.list_keys()
    assert refusal(client.list_keys) == THROTTLED
    config.write_text('quotas = "off"\n')
    hang_up(throttling)
    for _ in range(10):
        client.list_keys()


@pytest.mark.simulator_only
def test_without_quotas_nobody_is_throttled(server: Server) -> None:
    """The default is none."""
    client = server.kms(account="111122223333")
    for _ in range(20):
        client.describe_custom_key_stores()
