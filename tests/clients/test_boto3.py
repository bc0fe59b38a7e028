"""boto3 with nothing but AWS's own variables."""

import boto3
import pytest

from tests.wire.keys import Keys


def test_the_variables_of_aws(
    keys: Keys, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_ENDPOINT_URL_KMS sends KMS here; nobody has to change a program, or to name an endpoint in it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    kms = boto3.client("kms")
    (store,) = kms.describe_custom_key_stores(CustomKeyStoreId=keys.store)["CustomKeyStores"]
    assert store["ConnectionState"] == "CONNECTED"
    octets = kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=keys.store)["Plaintext"]
    assert len(octets) == 32
    assert boto3.client("sts").meta.endpoint_url != kms.meta.endpoint_url
