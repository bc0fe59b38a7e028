"""The trail of a server: every call has its record, and no record has a secret."""

import base64
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from hsmstore.trail.files import trail_files
from hsmstore.trail.shown import SHOWN
from hsmstore.wire.operations import OPERATIONS
from tests.crash.scene import mortal
from tests.server import PASSWORD, Server, external_members, running
from tests.trail.reading import Record, records

CANARY: Final = "C4n4ryC4n4ryC4n4ry"


def trail_of(data_dir: Path) -> list[Record]:
    """Return the records of a server that has ended; each must be as the schema says."""
    return [one for path in trail_files(data_dir / "trail") for one in records(path.read_bytes())]


def only(found: list[Record], name: str, *, refused: bool = False) -> Record:
    """Return the one record of this operation that was, or was not, refused."""
    (record,) = [one for one in found if one["eventName"] == name and ("errorCode" in one) is refused]
    return record


class Life:
    """What the calls of one server were, and the records that it left."""

    def __init__(self, data_dir: Path) -> None:
        self.requests: list[str] = []
        with running(data_dir, "--profile", "instant") as server:
            self._live(server)
        self.data_dir = data_dir
        self.log = server.log
        self.records = trail_of(data_dir)

    def _live(self, server: Server) -> None:
        client = server.kms()
        client.meta.events.register("after-call.kms.*", self._note)
        cluster = server.new_cluster()
        self.cluster_id = cluster["CloudHsmClusterId"]
        self.store = client.create_custom_key_store(
            CustomKeyStoreName="trailed",
            CloudHsmClusterId=self.cluster_id,
            TrustAnchorCertificate=cluster["TrustAnchorCertificate"],
            KeyStorePassword=PASSWORD,
        )["CustomKeyStoreId"]
        client.update_custom_key_store(CustomKeyStoreId=self.store, KeyStorePassword=PASSWORD)
        client.connect_custom_key_store(CustomKeyStoreId=self.store)
        client.describe_custom_key_stores(CustomKeyStoreId=self.store)
        drawn = client.generate_random(NumberOfBytes=24, CustomKeyStoreId=self.store)["Plaintext"]
        self.key = client.create_key(
            Origin="AWS_CLOUDHSM", CustomKeyStoreId=self.store, Description="for the trail"
        )["KeyMetadata"]
        self.secrets = [PASSWORD.encode(), CANARY.encode(), base64.b64encode(CANARY.encode()), drawn]
        self.secrets.append(base64.b64encode(drawn))
        self._use_key(client, self.key["KeyId"])
        client.disconnect_custom_key_store(CustomKeyStoreId=self.store)
        external = client.create_custom_key_store(
            CustomKeyStoreName="external",
            **external_members("external")
            | {
                "XksProxyAuthenticationCredential": {
                    "AccessKeyId": "CANARYKEYCANARYKEY22",
                    "RawSecretAccessKey": CANARY + "A" * 30,
                }
            },
        )["CustomKeyStoreId"]
        self.secrets += [b"CANARYKEYCANARYKEY22", b"A" * 30]
        client.delete_custom_key_store(CustomKeyStoreId=external)
        self._be_refused(server)

    def _use_key(self, client: Any, key_id: str) -> None:
        named = {"KeyId": key_id}
        context = {"purpose": "test"}
        blob = client.encrypt(Plaintext=CANARY.encode(), EncryptionContext=context, **named)["CiphertextBlob"]
        client.decrypt(CiphertextBlob=blob, EncryptionContext=context)
        again = client.re_encrypt(
            CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=key_id
        )
        pair = client.generate_data_key(KeySpec="AES_256", **named)
        alone = client.generate_data_key_without_plaintext(KeySpec="AES_256", **named)
        for octets in (blob, again["CiphertextBlob"], pair["CiphertextBlob"], pair["Plaintext"]):
            self.secrets += [octets, base64.b64encode(octets)]
        self.secrets.append(alone["CiphertextBlob"])
        grant = client.create_grant(
            GranteePrincipal="arn:aws:iam::000000000000:user/alice", Operations=["Encrypt"], **named
        )
        self.secrets.append(grant["GrantToken"].encode())
        client.list_grants(**named)
        client.list_retirable_grants(RetiringPrincipal="arn:aws:iam::000000000000:user/alice")
        client.retire_grant(GrantToken=grant["GrantToken"])
        client.revoke_grant(
            GrantId=client.create_grant(
                GranteePrincipal="arn:aws:iam::000000000000:user/bob", Operations=["Decrypt"], **named
            )["GrantId"],
            **named,
        )
        client.create_alias(AliasName="alias/trail", TargetKeyId=key_id)
        client.update_alias(AliasName="alias/trail", TargetKeyId=key_id)
        client.delete_alias(AliasName="alias/trail")
        client.tag_resource(Tags=[{"TagKey": "team", "TagValue": "red"}], **named)
        client.untag_resource(TagKeys=["team"], **named)
        policy = client.get_key_policy(**named)["Policy"]
        client.put_key_policy(Policy=policy, **named)
        for call in (client.disable_key, client.enable_key, client.describe_key, client.list_resource_tags):
            call(**named)
        client.update_key_description(Description="another", **named)
        client.list_key_policies(**named)
        client.list_keys()
        client.list_aliases()
        client.schedule_key_deletion(PendingWindowInDays=7, **named)
        client.cancel_key_deletion(**named)

    def _be_refused(self, server: Server) -> None:
        """Have every operation refused: by its types, by its members, by the service."""
        for target in OPERATIONS:
            name = target.partition(".")[2]
            self._send(server, name, b'{"KeyId": []')
            self._send(server, name, json.dumps(self._unfit()).encode())
        self._send(server, "NoSuchOperation", b"{}")

    def _unfit(self) -> dict[str, Any]:
        return {
            "CustomKeyStoreId": "cks-00000000000000000",
            "KeyId": "00000000-0000-0000-0000-000000000000",
            "TargetKeyId": "00000000-0000-0000-0000-000000000000",
            "KeyStorePassword": CANARY,
            "NumberOfBytes": 1025,
            "Plaintext": base64.b64encode(CANARY.encode()).decode(),
            "Message": base64.b64encode(CANARY.encode()).decode(),
            "AliasName": "alias/aws/unfit",
            "Tags": [{"TagKey": "k", "TagValue": "v"}],
            "TagKeys": ["k"],
            "Limit": 100_000,
        }

    def _send(self, server: Server, name: str, body: bytes) -> None:
        answer = server.call(name, body)
        self.requests.append(answer.headers["X-Amzn-Requestid"])

    def _note(self, parsed: Any, **_: Any) -> None:
        self.requests.append(parsed["ResponseMetadata"]["RequestId"])


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Lead a server through every operation that it serves, and every refusal of each."""
    return Life(tmp_path_factory.mktemp("trail") / "data")


@pytest.mark.aws_documented
def test_every_call_has_one_record(life: Life) -> None:
    """Each request id stands in the trail once, in the order of the answers; refusals included."""
    known = set(life.requests)
    assert len(known) == len(life.requests)
    found = [one.get("requestID") for one in life.records if one.get("requestID") in known]
    assert found == life.requests


@pytest.mark.simulator_only
def test_every_operation_is_there_and_refused(life: Life) -> None:
    """What was refused has the error's name; the table of what may be shown has a row for each operation."""
    names = {target.partition(".")[2] for target in OPERATIONS}
    assert set(SHOWN) == names
    assert {one["eventName"] for one in life.records if one.get("errorCode")} == names | {"UnknownOperation"}
    assert len({one["eventID"] for one in life.records}) == len(life.records)


@pytest.mark.aws_documented
def test_no_secret_is_in_any_file(life: Life) -> None:
    """Passwords, plaintext, blobs, tokens and credentials are in no file of the trail, nor in the log."""
    written = b"".join(path.read_bytes() for path in trail_files(life.data_dir / "trail"))
    for secret in life.secrets:
        assert secret not in written
        assert secret not in life.log.encode()
    planted = (PASSWORD.encode(), CANARY.encode(), base64.b64encode(CANARY.encode()))
    for path in life.data_dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in planted), path


@pytest.mark.aws_documented
def test_records_of_key_stores(life: Life) -> None:
    """They are as in the KMS Developer Guide: clusterId, no password, the store's name beside a change."""
    created = next(one for one in life.records if one["eventName"] == "CreateCustomKeyStore")
    assert created["requestParameters"] == {"customKeyStoreName": "trailed", "clusterId": life.cluster_id}
    assert created["responseElements"] == {"customKeyStoreId": life.store}
    assert not created["readOnly"]
    for name in ("ConnectCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore"):
        record = only(life.records, name)
        assert record["requestParameters"] == {"customKeyStoreId": life.store}
        assert record["responseElements"] is None
        assert record["additionalEventData"] == {
            "customKeyStoreName": "trailed",
            "clusterId": life.cluster_id,
        }
        assert "resources" not in record
    described = next(
        one
        for one in life.records
        if one["eventName"] == "DescribeCustomKeyStores" and one["requestParameters"]
    )
    assert described["readOnly"]


@pytest.mark.aws_documented
def test_records_of_keys(life: Life) -> None:
    """A key's creation tells its metadata, with dates in words; cryptography its store and context only."""
    created = only(life.records, "CreateKey")
    metadata = created["responseElements"]["keyMetadata"]
    assert (metadata["arn"], metadata["customKeyStoreId"]) == (life.key["Arn"], life.store)
    assert metadata["creationDate"].endswith((" AM", " PM"))
    assert json.loads(created["additionalEventData"]["backingKey"]).keys() == {"backingKeyId"}
    encrypted = only(life.records, "Encrypt")
    assert encrypted["requestParameters"] == {
        "keyId": life.key["KeyId"],
        "encryptionContext": {"purpose": "test"},
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }
    assert encrypted["responseElements"] is None
    assert encrypted["additionalEventData"] == {"customKeyStoreId": life.store}
    decrypted = only(life.records, "Decrypt")
    assert "keyId" not in decrypted["requestParameters"], "the ciphertext names it"
    assert decrypted["additionalEventData"] == {"customKeyStoreId": life.store}
    assert decrypted["resources"] == encrypted["resources"]
    assert len(only(life.records, "ReEncrypt")["resources"]) == 2
    assert [one["ARN"] for one in encrypted["resources"]] == [life.key["Arn"]]


@pytest.mark.inferred
def test_records_of_draws(life: Life) -> None:
    """GenerateRandom logs no byte count; the store stands where it does for cryptography."""
    drawn = next(
        one
        for one in life.records
        if one["eventName"] == "GenerateRandom"
        and one.get("additionalEventData") == {"customKeyStoreId": life.store}
    )
    assert (drawn["requestParameters"], drawn["responseElements"]) == (None, None)
    assert (drawn["readOnly"], drawn["resources"]) == (True, [])


@pytest.mark.aws_documented
def test_a_deleted_key_has_an_event_of_the_service(tmp_path: Path) -> None:
    """DeleteKey is KMS's own event: nobody's request, with what became of the material."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        store = server.new_store("for a key")
        server.kms().connect_custom_key_store(CustomKeyStoreId=store)
        key = server.kms().create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]
        server.kms().schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
        assert server.manage("POST", "/clock/advance", {"Seconds": 8 * 86_400})[0] == 200
        server.kms().describe_custom_key_stores()
        while server.call("DescribeKey", {"KeyId": key["KeyId"]}).status == 200:
            threading.Event().wait(0.05)
    deleted = only(trail_of(tmp_path / "data"), "DeleteKey")
    assert (deleted["eventType"], deleted.get("requestID")) == ("AwsServiceEvent", None)
    assert deleted["userIdentity"]["invokedBy"] == "AWS Internal"
    (status,) = deleted["additionalEventData"]["backingKeysDeletionStatus"]
    assert status["deletionStatus"] == "SUCCESS"


@pytest.mark.simulator_only
def test_a_kill_loses_no_record_of_a_change(tmp_path: Path) -> None:
    """Whatever change was answered before SIGKILL has its record after the next start, and has it once."""
    with mortal(tmp_path / "data", "--profile", "instant", "--key-store-quota", "100") as server:
        server.start()
        for life in range(3):
            changed = [server.new_external_store(f"store-{life}-{number}") for number in range(4)]
            server.kill()
            server.start()
            server.kms().describe_custom_key_stores()
            ids = [
                one["responseElements"]["customKeyStoreId"]
                for path in trail_files(tmp_path / "data" / "trail")
                for one in records(path.read_bytes().rpartition(b"\n")[0])
                if one["eventName"] == "CreateCustomKeyStore" and one["responseElements"]
            ]
            assert [one for one in ids if one in changed] == changed
            assert len(ids) == len(set(ids))


@pytest.mark.simulator_only
def test_without_a_trail_there_is_no_file(tmp_path: Path) -> None:
    """`--no-trail` writes nothing."""
    with running(tmp_path / "data", "--no-trail") as server:
        server.kms().generate_random(NumberOfBytes=1)
    assert not (tmp_path / "data" / "trail").exists()


def command(data_dir: Path, *arguments: str) -> str:
    """Run `hsmstore trail`; return what it printed."""
    command = [sys.executable, "-m", "hsmstore", "trail", *arguments, "--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.simulator_only
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--event", "ConnectCustomKeyStore"], ["ConnectCustomKeyStore"] * 3),
        (["--error", "UnknownOperationException"], ["UnknownOperation"]),
        (["--principal", "000000000000", "--event", "CreateKey"], ["CreateKey"] * 3),
        (["--principal", "nobody"], []),
        (["--until", "2020-01-01"], []),
        (["--since", "2020-01-01T00:00:00+02:00", "--event", "NoSuch"], []),
    ],
)
def test_records_are_found(life: Life, arguments: list[str], names: list[str]) -> None:
    """`trail search` finds by event, error, principal and time."""
    found = json.loads(command(life.data_dir, "search", "--json", *arguments))["Records"]
    assert [record["eventName"] for record in found] == names


@pytest.mark.simulator_only
def test_records_of_a_store_are_found(life: Life) -> None:
    """`trail search --store` finds what made a store, what it was drawn from and what is in it."""
    found = json.loads(command(life.data_dir, "search", "--json", "--store", life.store))["Records"]
    names = {record["eventName"] for record in found}
    assert {"CreateCustomKeyStore", "GenerateRandom", "CreateKey", "Encrypt"} <= names
    table = command(life.data_dir, "search", "--store", life.store)
    assert len(table.splitlines()) == len(found) + 1


@pytest.mark.simulator_only
def test_the_trail_can_be_followed(tmp_path: Path) -> None:
    """`trail tail --follow` prints each record soon after its call."""
    with running(tmp_path / "data") as server:
        tail = [sys.executable, "-m", "hsmstore", "trail", "tail", "--follow", "--json"]
        with subprocess.Popen(
            [*tail, "--data-dir", str(server.data_dir)], stdout=subprocess.PIPE
        ) as following:
            assert following.stdout is not None
            for line in following.stdout:
                assert records(line)[0]["requestID"]
                break
            answer = server.call("ListKeys", {})
            wanted = answer.headers["X-Amzn-Requestid"]
            assert any(records(line)[0]["requestID"] == wanted for line in following.stdout)
            following.kill()


@pytest.mark.aws_documented
def test_who_called_is_told(tmp_path: Path) -> None:
    """A principal is an IAMUser with ARN and name; of a stranger the access key is told."""
    file = tmp_path / "principals.json"
    add = [sys.executable, "-m", "hsmstore", "principal", "add", "alice", "--file", str(file), "--json"]
    alice = json.loads(subprocess.run(add, capture_output=True, check=True, timeout=60).stdout)
    body = b'{"NumberOfBytes":1}'
    with running(tmp_path / "data", "--principals", str(file)) as server:
        for key_id in (alice["AccessKeyId"], "AKIAUNKNOWN"):
            scope = f"Credential={key_id}/20261123/us-east-1/kms/aws4_request"
            headers = {
                "X-Amz-Target": "TrentService.GenerateRandom",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature={'0' * 64}",
            }
            assert server.request("POST", "/", body, headers).status == 200
    who = [one["userIdentity"] for one in trail_of(tmp_path / "data")]
    user, stranger = (one for one in who if one.get("accessKeyId") in {alice["AccessKeyId"], "AKIAUNKNOWN"})
    assert (user["type"], user["userName"]) == ("IAMUser", "alice")
    assert user["accessKeyId"] == alice["AccessKeyId"]
    assert user["arn"] == f"arn:aws:iam::{user['accountId']}:user/alice"
    assert (stranger["type"], stranger["accessKeyId"]) == ("AWSAccount", "AKIAUNKNOWN")
    assert "arn" not in stranger
    written = b"".join(path.read_bytes() for path in trail_files(tmp_path / "data" / "trail"))
    assert alice["SecretAccessKey"].encode() not in written


@pytest.mark.simulator_only
def test_who_has_not_signed_is_nobody(tmp_path: Path) -> None:
    """A request that `verify` refuses is recorded with its error, and with nobody's name."""
    with running(tmp_path / "data", "--auth", "verify") as server:
        assert server.call("ListKeys", {}).status == 400
    record = only(trail_of(tmp_path / "data"), "ListKeys", refused=True)
    assert record["errorCode"] == "MissingAuthenticationTokenException"
    assert record["userIdentity"]["type"] == "AWSAccount"
    assert "accessKeyId" not in record["userIdentity"]
