"""Who calls: the three modes, principals and their files, and GetCallerIdentity, as clients meet them."""

import base64
import json
import os
import subprocess
import sys
import threading
import time  # noqa: TID251 - a limit for what is polled
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hsmstore.bootstrap.principals import add_principal, new_token
from hsmstore.domain.principal import PrincipalType
from hsmstore.simulator import Credentials, Refused, Simulator
from tests.server import Server, running
from tests.wire.refusals import Refusal, read, refusal

ACCOUNT = "111122223333"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
    " Access Key and signing method. Consult the service documentation for details."
)
INVALID_TOKEN = "The security token included in the request is invalid."
UNKNOWN = Refusal(400, "UnrecognizedClientException", INVALID_TOKEN)


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


@pytest.mark.aws_documented
def test_identity_of_a_session(known: Known) -> None:
    """Of a role's session the ARN is the session's; a user's temporary credential is the user's."""
    role = principal(known.file, "builder", PrincipalType.ROLE)
    assert "AccessKeyId" not in role
    lent = token(known.file, "builder", session="nightly")
    assert known.client("kms", lent).generate_random(NumberOfBytes=1)["Plaintext"]
    found = known.client("sts", lent).get_caller_identity()
    assert found["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/nightly"
    assert found["UserId"] == f"{role['PrincipalId']}:nightly"
    own = token(known.file, "alice")
    assert known.client("sts", own).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    stolen = own | {"SessionToken": lent["SessionToken"]}
    assert refusal(known.client("kms", stolen).generate_random, NumberOfBytes=1) == UNKNOWN
    over = token(known.file, "alice", seconds=-1.0)
    refused = refusal(known.client("kms", over).generate_random, NumberOfBytes=1)
    text = "The security token included in the request is expired"
    assert refused == Refusal(400, "ExpiredTokenException", text)


@pytest.mark.aws_documented
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"SecretAccessKey": "another"}, Refusal(403, "SignatureDoesNotMatch", MISMATCH)),
        ({"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, Refusal(403, "InvalidClientTokenId", INVALID_TOKEN)),
    ],
)
def test_sts_refuses(known: Known, changed: dict[str, str], expected: Refusal) -> None:
    """STS verifies, too, and has names of its own for what is wrong."""
    client = known.client("sts", known.alice | changed)
    assert refusal(client.get_caller_identity) == expected


@pytest.mark.simulator_only(reason="AWS's STS does more.")
def test_the_rest_of_sts(known: Known) -> None:
    """Any other operation of STS is refused in its words for what it does not know."""
    client = known.client("sts", known.alice)
    text = "Could not find operation GetSessionToken for version 2011-06-15"
    assert refusal(client.get_session_token) == Refusal(400, "InvalidAction", text)


@pytest.mark.aws_documented
def test_sts_unsigned(known: Known) -> None:
    """STS is found by what is asked, and refuses who has not signed, in XML."""
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = known.server.request("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", form)
    assert (answer.status, answer.headers["Content-Type"]) == (403, "text/xml")
    assert b"<Code>MissingAuthenticationToken</Code>" in answer.body
    assert known.server.request("POST", "/", b"Action=ListUsers", form).status == 404
    markup = known.server.request(
        "POST", "/", b"Action=%3Cb%3E", form | {"Authorization": "Credential=a/b/us-east-1/sts/aws4_request"}
    )
    assert b"<b>" not in markup.body


@pytest.mark.aws_documented
def test_aws_cli(known: Known, tmp_path: Path) -> None:
    """The AWS CLI is let in by its own signature, with a credential from a process, too."""
    config = tmp_path / "config"
    command = (
        f"{sys.executable} -m hsmstore principal token alice --account {ACCOUNT} --file {known.file} --json"
    )
    config.write_text(f"[default]\nregion = eu-west-1\n[profile lent]\ncredential_process = {command}\n")
    signing = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey"}
    given = {variable: known.alice[member] for variable, member in signing.items()}
    draw = ["kms", "generate-random", "--number-of-bytes", "5"]
    assert len(base64.b64decode(json.loads(aws(known, draw, config, given).stdout)["Plaintext"])) == 5
    assert "user/alice" in aws(known, ["sts", "get-caller-identity"], config, given).stdout
    lent = aws(known, [*draw, "--region", "eu-west-1"], config, {"AWS_PROFILE": "lent"})
    assert lent.stdout, lent.stderr


def aws(
    known: Known, arguments: list[str], config: Path, environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run the AWS CLI with a configuration of its own."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "aws"), "--endpoint-url", known.server.endpoint, *arguments],
        env={"PATH": os.defpath, "HOME": str(config.parent), "AWS_CONFIG_FILE": str(config)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.simulator_only(reason="The command line is ours.")
def test_command_line(known: Known) -> None:
    """A client of our own signs, with what it is given."""
    credentials = Credentials(known.alice["AccessKeyId"], known.alice["SecretAccessKey"])
    assert known.alice["SecretAccessKey"] not in repr(credentials)
    simulator = Simulator(known.server.endpoint, credentials=credentials, region="eu-west-3")
    assert len(simulator.random(3)) == 3
    with pytest.raises(Refused, match="MissingAuthenticationToken"):
        Simulator(known.server.endpoint).random(3)


@pytest.mark.simulator_only(reason="AWS has no such file.")
def test_the_file_is_read_again(known: Known) -> None:
    """Who is added may call without a restart; a file that is no good is logged, and changes nothing."""
    text = known.file.read_text()
    bob = principal(known.file, "bob")
    draw = known.client("kms", bob).generate_random
    assert draw(NumberOfBytes=1)["Plaintext"]
    known.file.write_text("{")
    until(lambda: "the principals stay as they are" in known.server.log)
    assert draw(NumberOfBytes=1)["Plaintext"]
    known.file.write_text(text)
    until(lambda: is_refused(draw))
    assert bob["SecretAccessKey"] not in known.server.log


def is_refused(draw: Callable[..., Any]) -> bool:
    """Tell whether a call is refused."""
    try:
        draw(NumberOfBytes=1)
    except ClientError:
        return True
    return False


def until(look: Callable[[], bool]) -> None:
    """Look until it is so; it fails after a minute."""
    end = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


@pytest.mark.simulator_only(reason="AWS has no such mode.")
def test_off(tmp_path: Path) -> None:
    """In the mode `off` any signature or none is accepted, of an account that the access key says."""
    with running(tmp_path / "data", "--auth", "off") as server:
        known = Known(server, tmp_path, {"AccessKeyId": "444455556666", "SecretAccessKey": "x"})
        assert known.client("sts", known.alice).get_caller_identity()["Account"] == "444455556666"
        assert known.client("kms", known.alice).generate_random(NumberOfBytes=1)["Plaintext"]
        assert json.loads(server.call("GenerateRandom", {"NumberOfBytes": 1}).body).keys() == {"Plaintext"}


@pytest.mark.simulator_only(reason="The demo key store is ours.")
def test_the_first_start_of_a_server_that_verifies(tmp_path: Path) -> None:
    """The server signs for its own demo, with a credential that nobody else learns."""
    server = Server(tmp_path / "data", "--profile", "instant", "--auth", "verify", "--demo")
    server.start()
    try:
        until(lambda: "drawn just now" in server.log)
        assert "nobody is known" in server.log
        assert server.call("GenerateRandom", {"NumberOfBytes": 1}).status == 400
    finally:
        server.stop()


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
