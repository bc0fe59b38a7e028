"""The commands against a real server."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hsmstore.cli.clock import pauses
from hsmstore.cli.exits import ExitCode
from tests.cli.conftest import CommandLine
from tests.server import PASSWORD, running

OTHER_PASSWORD = "kmsuser2password"


def _new_store(client: CommandLine, name: str) -> str:
    cluster = client("cluster", "create", "--kmsuser-password", PASSWORD, "--json").json
    made = client(
        "store", "create", name, "--cluster", cluster["CloudHsmClusterId"], "--password", PASSWORD, "--json"
    )
    key_store_id: str = made.json["CustomKeyStoreId"]
    return key_store_id


def test_cluster_create_as_json(client: CommandLine) -> None:
    """The members that scripts rely on are there, and no password."""
    made = client("cluster", "create", "--kmsuser-password", PASSWORD, "--json")
    cluster = made.json
    assert re.fullmatch(r"cluster-[2-7a-zA-Z]{11,16}", cluster["CloudHsmClusterId"])
    assert cluster["State"] == "ACTIVE"
    assert cluster["TrustAnchorCertificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert [hsm["State"] for hsm in cluster["Hsms"]] == ["ACTIVE", "ACTIVE"]
    assert cluster["KmsuserExists"] is True
    assert PASSWORD not in made.out + made.err
    assert client("cluster", "show", cluster["CloudHsmClusterId"], "--json").json == cluster
    assert cluster in client("cluster", "list", "--json").json["Clusters"]


def test_cluster_for_people(client: CommandLine) -> None:
    """The card has the id, the HSMs and the certificate; the list has a line for the cluster."""
    made = client("cluster", "create", "--hsms", "3")
    cluster_id = made.out.split()[1]
    shown = client("cluster", "show", cluster_id)
    assert made.out == shown.out + f"\nnext: hsmstore store create NAME --cluster {cluster_id}\n"
    assert len(re.findall(r"^hsm-\S+ +us-east-1[abc] ACTIVE$", shown.out, re.MULTILINE)) == 3
    assert "kmsuser" in shown.out
    assert "does not exist" in shown.out
    assert "-----BEGIN CERTIFICATE-----\n" in shown.out
    [line] = [line for line in client("cluster", "list").out.splitlines() if line.startswith(cluster_id)]
    assert line.split()[1:5] == ["ACTIVE", "3", "no", "us-east-1"]
    assert client("cluster", "delete", cluster_id).out == f"{cluster_id} is deleted\n"
    assert client("cluster", "show", cluster_id).code == ExitCode.REFUSED


def test_passwords_from_file_and_standard_input(client: CommandLine, tmp_path: Path) -> None:
    """A password is the file's text or the first line of standard input, without its line break."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    by_file = client("cluster", "create", "--kmsuser-password-file", "password", "--json").json
    by_input = client(
        "cluster", "create", "--kmsuser-password-stdin", "--json", stdin=f"{PASSWORD}\nmore"
    ).json
    for cluster in (by_file, by_input):
        key_store_id = client(
            *("store", "create", cluster["CloudHsmClusterId"], "--cluster", cluster["CloudHsmClusterId"]),
            *("--password", PASSWORD, "--json"),
        ).json["CustomKeyStoreId"]
        assert client("store", "connect", key_store_id, "--json").json["ConnectionState"] == "CONNECTED"


def test_kmsuser(client: CommandLine) -> None:
    """The crypto user is made, given another password, and deleted."""
    cluster_id = client("cluster", "create", "--json").json["CloudHsmClusterId"]
    kmsuser = ("cluster", "kmsuser")
    made = client(*kmsuser, "create", cluster_id, "--password", PASSWORD, "--json").json
    assert made["KmsuserExists"] is True
    assert client(*kmsuser, "set-password", cluster_id, "--password-stdin", stdin=OTHER_PASSWORD).code == 0
    assert client(*kmsuser, "delete", cluster_id, "--json").json["KmsuserExists"] is False


def test_life_of_a_store(client: CommandLine) -> None:
    """A store is made, connected, drawn from, disconnected, renamed and deleted, with --json all along."""
    key_store_id = _new_store(client, "cli life")
    entry = client("store", "show", key_store_id, "--json").json
    assert (entry["CustomKeyStoreId"], entry["ConnectionState"]) == (key_store_id, "DISCONNECTED")
    assert entry in client("store", "list", "--json").json["CustomKeyStores"]
    assert client("store", "connect", key_store_id, "--json").json["ConnectionState"] == "CONNECTED"
    assert len(client("random", key_store_id).out) == 65
    assert client("store", "delete", key_store_id).code == ExitCode.REFUSED
    assert client("store", "disconnect", key_store_id, "--json").json["ConnectionState"] == "DISCONNECTED"
    assert client("random", key_store_id).code == ExitCode.REFUSED
    assert client("store", "update", key_store_id, "--name", "cli renamed", "--json").json == {}
    assert client("store", "show", key_store_id, "--json").json["CustomKeyStoreName"] == "cli renamed"
    assert client("store", "delete", key_store_id, "--json").json == {}
    assert client("store", "show", key_store_id).code == ExitCode.REFUSED


def test_store_for_people(client: CommandLine) -> None:
    """Cards, lines and the list name the store and its state."""
    key_store_id = _new_store(client, "cli \x1b[31m people")
    card = client("store", "connect", key_store_id)
    assert re.search(r"^state +CONNECTED$", card.out, re.MULTILINE)
    assert "\x1b" not in card.out
    [line] = [line for line in client("store", "list").out.splitlines() if line.startswith(key_store_id)]
    assert line.split()[4:6] == ["CONNECTED", "AWS_CLOUDHSM"]
    assert client("store", "disconnect", key_store_id, "--no-wait").code == 0
    assert client("store", "update", key_store_id, "--name", "x people").out == f"{key_store_id} is updated\n"
    assert client("store", "delete", key_store_id).out == f"{key_store_id} is deleted\n"


def test_failed_connect(client: CommandLine) -> None:
    """A connect that fails ends with 1 and the ConnectionErrorCode, and still shows the store."""
    key_store_id = _new_store(client, "cli failing")
    cluster_id = client("store", "show", key_store_id, "--json").json["CloudHsmClusterId"]
    client("cluster", "kmsuser", "set-password", cluster_id, "--password", OTHER_PASSWORD)
    code, out, err = client("store", "connect", key_store_id, "--json")
    assert code == ExitCode.REFUSED
    assert json.loads(out)["ConnectionErrorCode"] == "INVALID_CREDENTIALS"
    assert err.splitlines()[-1] == (
        f"hsmstore: {key_store_id} is FAILED: INVALID_CREDENTIALS; "
        "disconnect it, mend the cause, connect it again"
    )
    assert client("store", "disconnect", key_store_id).code == 0
    assert client("store", "update", key_store_id, "--password", OTHER_PASSWORD).code == 0
    assert client("store", "connect", key_store_id).code == 0


def test_trust_anchor_from_a_file(client: CommandLine, tmp_path: Path) -> None:
    """The certificate that is sent is the file's, right or wrong."""
    one, other = (client("cluster", "create", "--json").json for _ in range(2))
    (tmp_path / "customerCA.crt").write_text(other["TrustAnchorCertificate"])
    arguments = ["--password", PASSWORD, "--trust-anchor", "customerCA.crt"]
    refused = client("store", "create", "cli anchored", "--cluster", one["CloudHsmClusterId"], *arguments)
    assert refused.err.startswith("hsmstore: IncorrectTrustAnchorException")
    made = client("store", "create", "cli anchored", "--cluster", other["CloudHsmClusterId"], *arguments)
    assert made.code == 0


def test_external_store(client: CommandLine) -> None:
    """An external key store is described as it was made and updated, gives no byte, and shows no secret."""
    secret = "ofAProxyThatDoesNotExistAndThatNobodyEverCalls0"
    made = client(
        *("store", "create", "cli external", "--xks-connectivity", "PUBLIC_ENDPOINT", "--json"),
        *("--xks-uri-endpoint", "https://cli.example.com", "--xks-uri-path", "/kms/xks/v1"),
        *("--xks-access-key-id", "ABCDEFGHIJKLMNOPQRST", "--xks-secret-stdin"),
        stdin=secret,
    )
    key_store_id = made.json["CustomKeyStoreId"]
    assert client("store", "update", key_store_id, "--xks-uri-path", "/cli/kms/xks/v1").code == 0
    shown = client("store", "show", key_store_id)
    assert re.search(r"^UriPath +/cli/kms/xks/v1$", shown.out, re.MULTILINE)
    assert secret not in shown.out
    refused = client("random", key_store_id)
    assert refused.err.startswith("hsmstore: UnsupportedOperationException")
    assert client("store", "delete", key_store_id).code == 0


@pytest.mark.parametrize("count", [1, 32, 1024])
def test_random_formats(client: CommandLine, count: int) -> None:
    """Hex and base64 are a line, JSON is KMS's own answer."""
    drawn = [
        bytes.fromhex(client("random", "-n", str(count)).out.removesuffix("\n")),
        base64.b64decode(client("random", "--bytes", str(count), "--format", "base64").out),
        base64.b64decode(client("random", "--bytes", str(count), "--json").json["Plaintext"]),
    ]
    assert [len(some) for some in drawn] == [count] * 3
    assert len({*drawn}) == 3 or count == 1


def test_random_beyond_the_limit(client: CommandLine) -> None:
    """KMS says how many bytes may be drawn."""
    assert client("random", "--bytes", "1025").err == (
        "hsmstore: ValidationException: 1 validation error detected: Value '1025' at 'numberOfBytes' "
        "failed to satisfy constraint: Member must have value less than or equal to 1024\n"
    )


def test_account_and_region(client: CommandLine) -> None:
    """What is made for an account and Region is seen by those who speak for them, however they say so."""
    scope = ("--account", "111122223333", "--region", "eu-west-1")
    cluster = client(*scope, "cluster", "create", "--json").json
    assert (cluster["AccountId"], cluster["Region"]) == ("111122223333", "eu-west-1")
    made = client(
        *scope,
        "store",
        "create",
        "cli scoped",
        "--cluster",
        cluster["CloudHsmClusterId"],
        "--password",
        PASSWORD,
    )
    key_store_id = made.out.split()[0]
    assert client(*scope, "store", "show", key_store_id).code == 0
    assert client("store", "show", key_store_id).code == ExitCode.REFUSED
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        seen = client("--account", "111122223333", "store", "list", "--json", **{variable: "eu-west-1"}).json
        assert [store["CustomKeyStoreId"] for store in seen["CustomKeyStores"]] == [key_store_id]
    overruled = client(*scope, "store", "show", key_store_id, AWS_REGION="us-west-2")
    assert overruled.code == 0


def test_demo_on_a_given_server(client: CommandLine) -> None:
    """The tour walks to its end, and leaves the simulator as it was."""
    before = client("store", "list").out, client("cluster", "list").out
    steps = client("demo", "--json").json["Steps"]
    states = {step["State"] for step in steps}
    assert states == {"", "CONNECTED", "DISCONNECTED", "FAILED"}
    assert [step["Outcome"] for step in steps if step["Outcome"].startswith("refused: Unsupported")]
    assert (client("store", "list").out, client("cluster", "list").out) == before


@pytest.mark.sqlite
def test_demo_of_its_own(hsmstore: CommandLine) -> None:
    """Without an endpoint the tour starts its own simulator and ends with a table of states."""
    outcome = hsmstore("demo")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0].split() == ["STEP", "OUTCOME", "STATE"]
    assert "CONNECTING → CONNECTED" in outcome.out
    assert "hsmstore: connect it\n" in outcome.err


@pytest.mark.sqlite
def test_registry_commands(hsmstore: CommandLine, tmp_path: Path) -> None:
    """`db current` tells the schema's state and changes nothing; `db upgrade` brings it up to date."""
    (tmp_path / "data").mkdir()
    arguments = ("--data-dir", "data", "--json")
    assert hsmstore("db", "current", *arguments).json["State"] == "empty"
    upgraded = hsmstore("db", "upgrade", *arguments).json
    assert upgraded == {"DatabaseUrl": f"sqlite:///{tmp_path}/data/registry.sqlite3", "State": "current"}
    assert hsmstore("db", "upgrade", *arguments).json == upgraded
    assert hsmstore("db", "current", "--data-dir", "data").out == f"{upgraded['DatabaseUrl']} is current\n"


def test_raw_bytes_are_bare(client: CommandLine, tmp_path: Path) -> None:
    """`--format raw` writes the bytes and nothing else."""
    file = tmp_path / "drawn"
    with file.open("wb") as output:
        command = [sys.executable, "-m", "hsmstore", "random", "-n", "1000", "-f", "raw"]
        subprocess.run(command, env=client.environment, stdout=output, check=True)
    assert file.stat().st_size == 1000


@pytest.mark.sqlite
def test_doctor_finds_nothing_wrong(hsmstore: CommandLine) -> None:
    """On a machine that can run hsmstore all is well."""
    findings = hsmstore("doctor", "--data-dir", "data", "--json").json["Findings"]
    assert findings != []
    assert all(finding["ok"] and finding["mend"] is None for finding in findings)
    shown = hsmstore("doctor", "--data-dir", "data").out.splitlines()
    assert shown[0].split() == ["LOOKED", "AT", "FOUND", "MEND"]
    assert [line[0] for line in shown[1:]] == ["✓"] * len(findings)


@pytest.mark.sqlite
def test_doctor_tells_the_mend(hsmstore: CommandLine) -> None:
    """What is wrong has a cross and a mend, and the exit code is 4."""
    arguments = ("doctor", "--data-dir", "data", "--pkcs11-module", "none.so")
    code, out, _ = hsmstore(*arguments, "--json")
    assert code == ExitCode.UNFIT
    wrong = [finding for finding in json.loads(out)["Findings"] if not finding["ok"]]
    assert wrong != []
    assert all(finding["mend"] for finding in wrong)
    assert any(line.startswith("✗") for line in hsmstore(*arguments).out.splitlines())


def test_serve_as_json(tmp_path: Path) -> None:
    """`serve --json` puts one document on standard output once it serves: where, what, and sample bytes."""
    with running(
        tmp_path / "data", "--demo", "--profile", "instant", "--json", "--log-level", "error"
    ) as server:
        for _ in pauses(20):
            if server.log.rstrip().endswith("}"):
                break
        welcome = json.loads(server.log[server.log.index("{") :])
        [store] = server.kms().describe_custom_key_stores()["CustomKeyStores"]
    assert (welcome["Endpoint"], welcome["Profile"]) == (server.endpoint, "instant")
    [shown] = welcome["CustomKeyStores"]
    assert shown.keys() == store.keys()
    assert welcome["Sample"]["CustomKeyStoreId"] == shown["CustomKeyStoreId"] == store["CustomKeyStoreId"]
    assert len(bytes.fromhex(welcome["Sample"]["Hex"])) == 32
