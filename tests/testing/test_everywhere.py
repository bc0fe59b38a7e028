"""Sessions that nobody has wired: made while a simulator is the default, they reach it and nothing else."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from aws_encryption_sdk import EncryptionSDKClient, StrictAwsKmsMasterKeyProvider
from botocore.exceptions import EndpointConnectionError, NoRegionError
from botocore.handlers import BUILTIN_HANDLERS
from moto import mock_aws

from hsmstore.testing import Simulation, simulator

NOBODY = "http://127.0.0.1:9"
"""Where a client goes that is not caught: to a port at which nobody listens."""


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user who has neither keys nor a Region; and let what is not caught stay on this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:  # noqa: TID251  # the user's
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def own_session() -> Any:
    """Return a client of a session of boto3's."""
    return boto3.Session().client("kms")


def own_core() -> Any:
    """Return a client of a session of botocore's."""
    return botocore.session.Session().create_client("kms")


def own_session_elsewhere() -> Any:
    """Return a client of a session with keys, a Region and an endpoint of its own."""
    session = boto3.Session("444455556666", "secret", region_name="eu-west-1")
    return session.client("kms", endpoint_url="http://127.0.0.1:10")


MAKERS = [lambda: boto3.client("kms"), own_session, own_core, own_session_elsewhere]


@pytest.mark.usefixtures("hsmstore_boto3")
@pytest.mark.parametrize("make", MAKERS)
def test_every_session(hsmstore: Simulation, make: Any) -> None:
    """A client of any session that is made in the context reaches the simulator."""
    hsmstore.fail_next("GenerateRandom", "KMSInternalException")
    client = make()
    with pytest.raises(client.exceptions.KMSInternalException):
        client.generate_random(NumberOfBytes=1)
    assert len(client.generate_random(NumberOfBytes=6)["Plaintext"]) == 6


@pytest.mark.usefixtures("hsmstore_boto3")
def test_who_calls() -> None:
    """STS is caught with KMS: nobody's keys are the simulator's own account, and keys say what they say."""
    assert boto3.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert boto3.Session().client("sts").get_caller_identity()["Account"] == "000000000000"
    session = boto3.Session("444455556666", "secret")
    assert session.client("sts").get_caller_identity()["Account"] == "444455556666"


@pytest.mark.usefixtures("hsmstore_boto3")
def test_encryption_sdk(key_store: str) -> None:
    """The AWS Encryption SDK makes sessions of its own, and works under a key in the key store."""
    key = boto3.client("kms").create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=key_store)["KeyMetadata"]
    provider = StrictAwsKmsMasterKeyProvider(key_ids=[key["Arn"]])
    sdk = EncryptionSDKClient()
    sealed, _ = sdk.encrypt(source=b"attack at dawn", key_provider=provider)
    opened, _ = sdk.decrypt(source=sealed, key_provider=StrictAwsKmsMasterKeyProvider(key_ids=[key["Arn"]]))
    assert opened == b"attack at dawn"


def state() -> tuple[object, list[object], dict[str, str]]:
    """Return what the context changes: boto3's session, botocore's handlers, the environment."""
    return boto3.DEFAULT_SESSION, [*BUILTIN_HANDLERS], {**os.environ}  # noqa: TID251  # likewise


def test_all_comes_back(hsmstore: Simulation) -> None:
    """After the context boto3, botocore and the environment are as before, whether the test fails or not."""
    before = state()
    with pytest.raises(ZeroDivisionError), hsmstore.as_default():
        _ = 1 / (state() == before)
    assert state() == before
    with pytest.raises(NoRegionError):
        own_session()
    with pytest.raises(EndpointConnectionError):
        boto3.Session("any", "any", region_name="us-east-1").client("kms").generate_random(NumberOfBytes=1)


def test_made_before(hsmstore: Simulation) -> None:
    """A client that has been made before goes where it went, until it is attached."""
    client = boto3.Session("any", "any", region_name="us-east-1").client("kms")
    with hsmstore.as_default():
        with pytest.raises(EndpointConnectionError):
            client.generate_random(NumberOfBytes=1)
        hsmstore.attach(client)
        assert client.generate_random(NumberOfBytes=1)


def test_one_in_another(hsmstore: Simulation) -> None:
    """Of two contexts the inner one is reached, and then the outer one again."""

    def accounts() -> Iterator[str]:
        for session in (boto3, boto3.Session()):
            yield session.client("sts").get_caller_identity()["Account"]

    with simulator(account="111122223333") as inner, hsmstore.as_default():
        assert set(accounts()) == {"000000000000"}
        with inner.as_default():
            assert set(accounts()) == {"111122223333"}
        assert set(accounts()) == {"000000000000"}


def test_own_clients_stay_apart(hsmstore: Simulation) -> None:
    """A simulator's own client is wired to it, whoever else is the default when it is made."""
    with simulator() as other, other.as_default():
        other.fail_next("GenerateRandom", "KMSInternalException")
        assert hsmstore.client().generate_random(NumberOfBytes=1)


@mock_aws
def test_beside_moto(hsmstore: Simulation) -> None:
    """Of one session KMS is the simulator's, and the rest moto's."""
    with hsmstore.as_default():
        session = boto3.Session(region_name="us-east-1")
        session.client("s3", endpoint_url="https://s3.amazonaws.com").create_bucket(Bucket="reports")
        kms = session.client("kms")
        assert kms.generate_random(NumberOfBytes=1, CustomKeyStoreId=hsmstore.store)


def test_a_client_that_stays() -> None:
    """A client that outlives its simulator is told so, and goes nowhere else."""
    with simulator() as sim, sim.as_default():
        client = own_session()
        client.generate_random(NumberOfBytes=1)
    with pytest.raises(RuntimeError, match="has ended with its test; make the client in the test"):
        client.generate_random(NumberOfBytes=1)
