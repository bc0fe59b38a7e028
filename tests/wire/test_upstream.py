"""One endpoint for this simulator and another emulator: a real moto_server behind `--upstream`."""

import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from botocore.config import Config

from hsmstore.bootstrap.principals import add_principal
from hsmstore.domain.principal import PrincipalType
from tests.server import Server, running
from tests.wire.keys import Keys
from tests.wire.refusals import code, refusal

pytestmark = pytest.mark.simulator_only(reason="AWS has no emulator behind it.")


@contextmanager
def moto(log: Path) -> Iterator[str]:
    """Run a moto_server; give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = shutil.which("moto_server", path=str(Path(sys.executable).parent))
    assert program is not None
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            threading.Event().wait(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/moto-api/data.json")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a moto_server."""
    with moto(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[Server]:
    """Serve in front of it."""
    data_dir = tmp_path_factory.mktemp("upstream") / "data"
    options = ("--profile", "instant", "--upstream", upstream, "--account", "123456789012")
    with running(data_dir, *options) as server:
        yield server


@pytest.fixture(scope="module")
def keys(both: Server) -> Keys:
    """Give a connected key store; moto's account is always the same."""
    return Keys.on(both, "ours", account="123456789012")


def directly(upstream: str) -> Any:
    """Return a client of the moto_server itself."""
    return boto3.client(
        "kms",
        endpoint_url=upstream,
        region_name="us-east-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_standard_keys_are_upstream(keys: Keys, upstream: str) -> None:
    """A key that is in no key store is made, used, named and deleted upstream, through the one endpoint."""
    key_id = keys.kms.create_key(Description="standard")["KeyMetadata"]["KeyId"]
    assert directly(upstream).describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == "standard"
    assert keys.described(key_id)["Origin"] == "AWS_KMS"
    keys.kms.create_alias(AliasName="alias/standard", TargetKeyId=key_id)
    blob = keys.kms.encrypt(KeyId="alias/standard", Plaintext=b"secret")["CiphertextBlob"]
    assert keys.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"
    assert directly(upstream).decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"
    assert [entry["AliasName"] for entry in keys.kms.list_aliases(KeyId=key_id)["Aliases"]] == [
        "alias/standard"
    ]
    keys.kms.delete_alias(AliasName="alias/standard")
    keys.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert keys.state(key_id) == "PendingDeletion"
    asymmetric = keys.kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert keys.kms.get_public_key(KeyId=asymmetric)["PublicKey"]


def test_keys_in_key_stores_are_not(keys: Keys, upstream: str) -> None:
    """What is about a key in a key store stays here, its refusals too."""
    key_id = keys.create()
    assert code(directly(upstream).describe_key, KeyId=key_id) == "NotFoundException"
    keys.kms.create_alias(AliasName="alias/ours", TargetKeyId=key_id)
    blob = keys.kms.encrypt(KeyId="alias/ours", Plaintext=b"secret")["CiphertextBlob"]
    assert keys.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"
    assert code(keys.kms.decrypt, CiphertextBlob=blob[:-1]) == "InvalidCiphertextException"
    theirs = keys.kms.create_key()["KeyMetadata"]["KeyId"]
    foreign = keys.kms.encrypt(KeyId=theirs, Plaintext=b"secret")["CiphertextBlob"]
    assert code(keys.kms.decrypt, CiphertextBlob=foreign, KeyId=key_id) == "InvalidCiphertextException"
    assert code(keys.kms.get_key_rotation_status, KeyId=key_id) == "UnsupportedOperationException"
    assert len(keys.kms.list_aliases(KeyId=key_id)["Aliases"]) == 1
    assert keys.kms.describe_custom_key_stores()["CustomKeyStores"]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lists_are_of_both_sides(both: Server, size: int) -> None:
    """ListKeys and ListAliases page through ours, then through the upstream's, each once."""
    region = {1: "eu-west-1", 3: "eu-west-2", 1000: "eu-west-3"}[size]
    cluster = both.new_cluster(AccountId="123456789012", Region=region)
    kms = both.kms(region=region, account="123456789012")
    store = kms.create_custom_key_store(
        CustomKeyStoreName="listed",
        CloudHsmClusterId=cluster["CloudHsmClusterId"],
        TrustAnchorCertificate=cluster["TrustAnchorCertificate"],
        KeyStorePassword="kmsuser1password",
    )["CustomKeyStoreId"]
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    members: list[dict[str, str]] = [{"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store}, {}] * 2
    made = [kms.create_key(**given)["KeyMetadata"]["KeyId"] for given in members]
    for number, key_id in enumerate(made):
        kms.create_alias(AliasName=f"alias/listed-{number}", TargetKeyId=key_id)
    config = {"PageSize": size}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig=config))
    assert all(len(page["Keys"]) <= size for page in pages)
    found = [entry["KeyId"] for page in pages for entry in page["Keys"]]
    assert sorted(found) == sorted(made)
    assert found[:2] == [made[0], made[2]]
    listed = kms.get_paginator("list_aliases").paginate(PaginationConfig=config)
    names = [entry["AliasName"] for page in listed for entry in page["Aliases"]]
    ours = [name for name in names if name.startswith("alias/listed-")]
    assert sorted(ours) == [f"alias/listed-{number}" for number in range(4)]
    assert len(set(names)) == len(names)
    assert code(kms.list_keys, Marker="x") == "InvalidMarkerException"


def test_other_services_are_upstream(both: Server) -> None:
    """An operation that this simulator does not know, of KMS or another service, goes upstream."""
    arguments = {
        "endpoint_url": both.endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "123456789012",
        "aws_secret_access_key": "secret",
    }
    assert boto3.client("sts", **arguments).get_caller_identity()["Account"] == "123456789012"
    queues = boto3.client("sqs", **arguments)
    queues.create_queue(QueueName="a-queue")
    assert queues.list_queues()["QueueUrls"][0].endswith("/a-queue")


def test_what_goes_upstream_is_verified_here(tmp_path: Path, upstream: str) -> None:
    """With verify nobody's request goes upstream, of whichever service; a principal's goes as it came."""
    file = tmp_path / "principals.json"
    policy = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"},
    }
    alice, bob = (
        add_principal(file, name, account="123456789012", kind=PrincipalType.USER, tags={}, policy=given)
        for name, given in (("alice", policy), ("bob", None))
    )
    options = ("--upstream", upstream, "--auth", "verify", "--principals", str(file), "--iam", "enforce")
    with running(tmp_path / "data", "--profile", "instant", *options) as server:
        key_id = _signed(server, "kms", alice).create_key()["KeyMetadata"]["KeyId"]
        assert directly(upstream).describe_key(KeyId=key_id)
        assert code(_signed(server, "kms", bob).create_key) == "AccessDeniedException"
        assert _signed(server, "kms", bob).describe_key(KeyId=key_id), "the upstream decides about its keys"
        _signed(server, "sqs", bob).create_queue(QueueName="signed")
        bucket = _signed(server, "s3", bob)
        bucket.create_bucket(Bucket="signed")
        bucket.put_object(Bucket="signed", Key="a/b", Body=b"x" * 1000)
        assert bucket.get_object(Bucket="signed", Key="a/b")["Body"].read() == b"x" * 1000

        wrong = bob | {"SecretAccessKey": "wrong"}
        stranger = {"AccessKeyId": "AKIANOBODYHASEXAMPLE", "SecretAccessKey": "wrong"}
        for credential, names in (
            (wrong, {"InvalidSignatureException", "SignatureDoesNotMatch"}),
            (stranger, {"UnrecognizedClientException", "InvalidClientTokenId"}),
        ):
            assert refusal(_signed(server, "kms", credential).describe_key, KeyId=key_id).code in names
            assert refusal(_signed(server, "sts", credential).get_caller_identity).code in names
            assert refusal(_signed(server, "s3", credential).create_bucket, Bucket="forged").code in names
            assert refusal(_signed(server, "iam", credential).list_users).code in names
        unheard = {"X-Amz-Target": "TrentService.Unheard", "Content-Type": "application/x-amz-json-1.1"}
        answer = server.request("POST", "/", b"{}", unheard)
        assert json.loads(answer.body)["__type"] == "MissingAuthenticationTokenException"
        assert server.request("GET", "/moto-api/", b"", {}).status == 403
        assert [one["Name"] for one in bucket.list_buckets()["Buckets"]] == ["signed"]


def _signed(server: Server, service: str, credential: dict[str, Any]) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=credential["AccessKeyId"],
        aws_secret_access_key=credential["SecretAccessKey"],
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


class _Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"
    connections: ClassVar[set[tuple[str, int]]] = set()

    def do_POST(self) -> None:
        """Show the request."""
        self.connections.add(self.client_address)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        shown = {"path": self.path, "headers": self.headers.items(), "body": body.decode()}
        answer = json.dumps(shown).encode()
        self.send_response(418)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Content-Type", "application/x-echo")
        self.send_header("X-Twice", "a")
        self.send_header("X-Twice", "b")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_request_goes_on_untouched(tmp_path: Path) -> None:
    """Path, headers and body arrive as they were sent, and the answer as it was given."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_address[1]}"
        with running(tmp_path / "data", "--upstream", url, "--allow-host", ".amazonaws.com") as server:
            sent = {
                "X-Amz-Target": "TrentService.Unheard",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/kms/aws4_request",
                "X-Amz-Date": "20260101T000000Z",
                "Host": "kms.us-east-1.amazonaws.com",
            }
            for number in range(3):
                answer = server.request("POST", f"/?number={number}", b'{"a": 1}', sent)
                shown = json.loads(answer.body)
                arrived = {name.title(): value for name, value in shown["headers"]}
                assert {name: arrived[name] for name in sent} == sent
                assert (answer.status, shown["path"], shown["body"]) == (
                    418,
                    f"/?number={number}",
                    '{"a": 1}',
                )
                assert answer.headers["Content-Type"] == "application/x-echo"
            assert len(_Echo.connections) == 1
        other.shutdown()


def test_an_upstream_that_is_away(tmp_path: Path) -> None:
    """What would go upstream is refused while nobody answers there; the rest is served."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://user:hidden@127.0.0.1:{taken.getsockname()[1]}"
        with running(tmp_path / "data", "--profile", "instant", "--upstream", url) as server:
            refused = refusal(server.kms().create_key)
            assert refused[:2] == (500, "KMSInternalException")
            assert "does not answer" in refused.message
            assert "hidden" not in refused.message + server.log
            keys = Keys.on(server, "ours")
            assert keys.state(keys.create()) == "Enabled"
