"""Policies that only warn, callers that nobody knows, and policies that are none."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsmstore.system.clock import monotonic
from hsmstore.trail.files import trail_files
from tests.server import Server
from tests.trail.reading import Record, records
from tests.wire.keys import fresh
from tests.wire.policed import ACCOUNT, NO_IDENTITY, Place, allow, denied, policy, serving
from tests.wire.refusals import code, refusal


@pytest.fixture(scope="module")
def warned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Serve, identify and warn."""
    yield from serving(tmp_path_factory.mktemp("warned"), "--iam", "warn")


@pytest.mark.simulator_only(reason="AWS has no such mode.")
def test_warn_and_suggest(warned: Place) -> None:
    """Mode warn allows everything, logs what would have been denied, and knows the least policy."""
    store = warned.store()
    nobody = warned.client("nobody")
    path = f"/principals/nobody/suggestion?Account={ACCOUNT}"
    assert warned.server.manage("GET", path)[0] == 404
    key = nobody.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]["Arn"]
    blob = nobody.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for _ in range(2):
        assert nobody.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    nobody.generate_random(NumberOfBytes=8)
    status, answer = warned.server.manage("GET", path)
    assert status == 200
    assert answer["Policy"] == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["kms:CreateKey", "kms:GenerateRandom"], "Resource": ["*"]},
            {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": [key]},
        ],
    }
    assert len(answer["Denied"]) == 4
    told = f"would be denied: {denied('nobody', 'Decrypt', key, NO_IDENTITY.format('Decrypt')).message}"
    assert warned.server.log.count(told) == 1
    assert warned.client("reader").generate_random(NumberOfBytes=8)
    allowed = warned.server.manage("GET", f"/principals/reader/suggestion?Account={ACCOUNT}")[1]
    assert allowed["Denied"] == []


def recorded(place: Place, **wanted: str) -> Record:
    """Return the first record that has these members, as soon as it is written."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        for path in trail_files(place.server.data_dir / "trail"):
            for one in records(path.read_bytes().rpartition(b"\n")[0]):
                if wanted.items() <= one.items():
                    return one
        threading.Event().wait(0.05)
    raise AssertionError(wanted)


@pytest.mark.simulator_only(reason="AWS has no such mode.")
def test_warnings_are_recorded(warned: Place) -> None:
    """In the trail a call that would have been denied says so, each time; one that is allowed does not."""
    nobody, key = warned.client("nobody"), fresh("alias/warned")
    drawn = [nobody.generate_random(NumberOfBytes=8)["ResponseMetadata"]["RequestId"] for _ in range(2)]
    text = denied("nobody", "GenerateRandom", "*", NO_IDENTITY.format("GenerateRandom")).message
    for request_id in drawn:
        record = recorded(warned, requestID=request_id)
        assert record["additionalEventData"] == {"wouldBeDenied": [text]}
        assert (record["userIdentity"]["userName"], record.get("errorCode")) == ("nobody", None)
    allowed = warned.client("reader").generate_random(NumberOfBytes=8)["ResponseMetadata"]["RequestId"]
    assert "additionalEventData" not in recorded(warned, requestID=allowed)
    assert code(nobody.delete_alias, AliasName=key) == "NotFoundException"
    missing = recorded(warned, eventName="DeleteAlias")
    assert missing["errorCode"] == "NotFoundException"
    assert "kms:DeleteAlias" in missing["additionalEventData"]["wouldBeDenied"][0]


@pytest.mark.simulator_only(reason="AWS knows every caller.")
def test_somebody_unknown(warned: Place, tmp_path: Path) -> None:
    """Who is not known has no policy: enforce refuses, warn does not."""
    assert warned.client("stranger").generate_random(NumberOfBytes=1)
    for enforcing in serving(tmp_path, "--iam", "enforce"):
        refused = refusal(enforcing.client("stranger").generate_random, NumberOfBytes=1)
        assert refused.message == (
            "User: anonymous is not authorized to perform: kms:GenerateRandom on resource: *"
            " because no identity-based policy allows the kms:GenerateRandom action"
        )
        record = recorded(enforcing, eventName="GenerateRandom")
        assert (record["errorCode"], record["errorMessage"]) == ("AccessDenied", refused.message)


@pytest.mark.simulator_only(reason="The policies of principals stand in a file.")
def test_a_file_with_a_malformed_policy(tmp_path: Path) -> None:
    """A server does not start with a policy that is none, and says which and why."""
    file = tmp_path / "principals.json"
    entry = {"Name": "alice", "Account": ACCOUNT, "Policies": [policy(allow("Decrypt"))]}
    file.write_text(json.dumps({"Principals": [entry]}))
    server = Server(tmp_path / "data", "--principals", str(file))
    server.spawn()
    assert server.wait() != 0
    assert "'Decrypt' is not an action, such as kms:Decrypt. (Statement 1)" in server.log
