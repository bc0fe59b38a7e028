"""Who calls: the three modes, principals and their files, and GetCallerIdentity, as clients meet them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config

from hsmstore.bootstrap import add_principal, new_token
from hsmstore.domain.principal import PrincipalType
from tests.server import Server, running
from tests.wire.refusals import Refusal, read, refusal

ACCOUNT = "111122223333"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
    " Access Key and signing method. Consult the service documentation for details."
)
INVALID_TOKEN = "The security token included in the request is invalid."


class Known(NamedTuple):
    """A server that verifies, and what its principals sign with."""

    server: Server
    file: Path
    alice: dict[str, Any]

    def client(self, service: str, credential: dict[str, Any], region: str = "us-east-1") -> Any:
        """Return a boto3 client with a credential."""
        return boto3.client(
            service,
            endpoint_url=self.server.endpoint,
            region_name=region,
            aws_access_key_id=credential["AccessKeyId"],
            aws_secret_access_key=credential["SecretAccessKey"],
            aws_session_token=credential.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}),
        )


def principal(file: Path, name: str, kind: PrincipalType = PrincipalType.USER) -> dict[str, Any]:
    """Add a principal to a file."""
    return add_principal(file, name, account=ACCOUNT, kind=kind, tags={}, policy=None)


def token(file: Path, name: str, seconds: float = 3600.0, session: str | None = None) -> dict[str, Any]:
    """Make a temporary credential."""
    return new_token(file, name, account=ACCOUNT, seconds=seconds, session=session)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """Serve to who signs."""
    place = tmp_path_factory.mktemp("auth")
    file = place / "principals.json"
    alice = principal(file, "alice")
    with running(
        place / "data", "--profile", "instant", "--auth", "verify", "--principals", str(file)
    ) as server:
        yield Known(server, file, alice)


@pytest.mark.aws_documented
def test_signed(known: Known) -> None:
    """What boto3 has signed is served, for the account of the principal and in the Region of the scope."""
    store = {
        "CustomKeyStoreName": "of alice",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": "https://xks.example.com",
        "XksProxyUriPath": "/alice/kms/xks/v1",
        "XksProxyAuthenticationCredential": {
            "AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
            "RawSecretAccessKey": "A" * 43,
        },
    }
    made = known.client("kms", known.alice).create_custom_key_store(**store)["CustomKeyStoreId"]
    assert len(known.client("kms", known.alice).generate_random(NumberOfBytes=7)["Plaintext"]) == 7
    there = known.client("kms", known.alice).describe_custom_key_stores()["CustomKeyStores"]
    assert [one["CustomKeyStoreId"] for one in there] == [made]
    elsewhere = known.client("kms", known.alice, "eu-central-1").describe_custom_key_stores()
    assert elsewhere["CustomKeyStores"] == []


@pytest.mark.aws_recorded
@pytest.mark.parametrize(
    ("changed", "name", "text"),
    [
        (
            {"SecretAccessKey": "another"},
            "InvalidSignatureException",
            MISMATCH,
        ),
        ({"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException", INVALID_TOKEN),
        ({"AccessKeyId": "111122223333"}, "UnrecognizedClientException", INVALID_TOKEN),
    ],
    ids=["secret", "unknown key", "twelve digits"],
)
def test_refused(known: Known, changed: dict[str, str], name: str, text: str) -> None:
    """Who signs with another secret, or with a key that nobody has, is refused in the recorded words."""
    client = known.client("kms", known.alice | changed)
    assert refusal(client.generate_random, NumberOfBytes=1) == Refusal(400, name, text)


@pytest.mark.inferred(reason="The name was seen of KMS, the text of other services.")
def test_unsigned(known: Known) -> None:
    """A request without a signature is refused, and its members are not looked at."""
    missing = Refusal(400, "MissingAuthenticationTokenException", "Request is missing Authentication Token")
    assert read(known.server.call("GenerateRandom", {"NumberOfBytes": "x"})) == missing


@pytest.mark.aws_documented
def test_identity(known: Known) -> None:
    """GetCallerIdentity tells account, ARN and id of a user, and of a role's session."""
    found = known.client("sts", known.alice).get_caller_identity()
    arn = f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert (found["Account"], found["Arn"], found["UserId"]) == (ACCOUNT, arn, known.alice["PrincipalId"])


@pytest.mark.simulator_only(reason="Who calls is read off the access key; AWS always verifies.")
def test_identify(tmp_path: Path) -> None:
    """In the mode `identify` nothing is checked, and an access key of the file is its principal's."""
    file = tmp_path / "principals.json"
    alice = principal(file, "alice")
    with running(tmp_path / "data", "--principals", str(file)) as server:
        known = Known(server, file, alice | {"SecretAccessKey": "wrong"})
        assert known.client("sts", known.alice).get_caller_identity()["Arn"].endswith(":user/alice")
        stranger = {"AccessKeyId": "444455556666", "SecretAccessKey": "x"}
        assert known.client("sts", stranger).get_caller_identity()["Arn"] == "arn:aws:iam::444455556666:root"
        assert json.loads(server.call("GenerateRandom", {"NumberOfBytes": 1}).body).keys() == {"Plaintext"}
