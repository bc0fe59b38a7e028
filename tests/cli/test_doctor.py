"""`hsmstore doctor --fix`: what it mends on a data directory, and what it leaves to its owner."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hsmstore.bootstrap.looseness import examine_door
from hsmstore.cli.exits import ExitCode
from hsmstore.settings import load
from hsmstore.system.clock import real_time
from hsmstore.system.servercertificate import VALIDITY, server_certificate
from tests.cli.conftest import CommandLine
from tests.registries import REGISTRIES
from tests.server import Server, running


@pytest.fixture
def stopped(tmp_path: Path) -> Server:
    """Give a server that has been stopped, with a connected key store and a cluster beside it."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        server.kms().connect_custom_key_store(CustomKeyStoreId=server.new_store("sound"))
        server.new_cluster()
    return server


def examine(hsmstore: CommandLine, server: Server, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Run doctor; return its exit code and the findings."""
    where = ("--data-dir", str(server.data_dir), *REGISTRIES.options(server.data_dir))
    code, out, err = hsmstore("doctor", *where, "--json", *options)
    assert out, err
    findings: list[dict[str, Any]] = json.loads(out)["Findings"]
    return code, findings


def test_principals(hsmstore: CommandLine, tmp_path: Path) -> None:
    """The file of principals is looked at: what is in it, and who may read it."""
    assert hsmstore("principal", "add", "alice", "--file", "who.json").code == 0
    look = ("doctor", "--data-dir", "data", "--principals", "who.json", "--json")
    (found,) = (one for one in hsmstore(*look).json["Findings"] if "who.json" in one["subject"])
    assert found["detail"] == "1 credentials"
    (tmp_path / "who.json").chmod(0o644)
    loose = hsmstore(*look)
    assert loose.code == 4
    assert "chmod 600" in loose.out
    (tmp_path / "who.json").write_text("{")
    assert "is no file of principals" in hsmstore(*look).out


def door_of(hsmstore: CommandLine, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Return doctor's exit code, and what it says of the door and of files, for these settings."""
    code, out, err = hsmstore("doctor", "--data-dir", "data", "--json", *options)
    assert out, err
    findings = json.loads(out)["Findings"]
    return code, [one for one in findings if one["subject"] == "door" or "/data" in one["subject"].split()[0]]


def test_loose_modes(hsmstore: CommandLine, tmp_path: Path) -> None:
    """Each mode that lets in more than is needed is told, with its mend; it may be meant, and only warns."""
    code, (tight,) = door_of(hsmstore)
    assert (code, tight["mend"]) == (0, None)
    config = tmp_path / "hsmstore.toml"
    modes: dict[str, Any] = {"host": "0.0.0.0", "auth": "off", "allow_host": ["*"]}  # noqa: S104 - looked at, never bound
    modes |= {"allow_unsigned": True, "allow_plain_http": True}
    config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in modes.items()))
    code, loose = door_of(hsmstore, "--config", "hsmstore.toml")
    assert code == 0
    assert all(one["warns"] and one["ok"] for one in loose)
    said = [one["detail"] for one in loose]
    for what in ("other machines", "--auth off", "--iam off", "HTTP shows", "--allow-host '*'"):
        assert len([detail for detail in said if what in detail]) == 1, what
    config.write_text(f'host = "{modes["host"]}"\n')
    code, refused = door_of(hsmstore, "--config", "hsmstore.toml")
    assert code == ExitCode.UNFIT
    assert "--allow-unsigned" in next(one["mend"] for one in refused if not one["ok"])


def test_keys_that_everybody_knows(hsmstore: CommandLine, tmp_path: Path) -> None:
    """An access key of AWS's documentation is warned of."""
    key = {
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    }
    entry = {"Name": "alice", "Account": "111122223333", "AccessKeys": [key]}
    (tmp_path / "who.json").write_text(json.dumps({"Principals": [entry]}))
    (tmp_path / "who.json").chmod(0o600)
    code, (found,) = door_of(hsmstore, "--principals", "who.json")
    assert code == 0
    assert key["AccessKeyId"] in found["detail"]
    assert key["SecretAccessKey"] not in str(found)


def test_files_that_others_may_read(hsmstore: CommandLine, tmp_path: Path) -> None:
    """The directory and the files of secrets are to be the owner's alone."""
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "management.token").write_text("0" * 32)
    (tmp_path / "data" / "management.token").chmod(0o644)
    code, found = door_of(hsmstore)
    assert code == ExitCode.UNFIT
    mends = [one["mend"] for one in found if one["mend"]]
    assert [mend.split()[:2] for mend in mends] == [["chmod", "700"], ["chmod", "600"]]


@pytest.mark.parametrize(
    ("days_left", "label", "detail", "mend"),
    [
        (800, "CERTIFICATE", "ends on", None),
        (20, "CERTIFICATE", "ends on", "SIGHUP"),
        (-5, "CERTIFICATE", "has ended", "SIGHUP"),
        (800, "TRUSTED CERTIFICATE", "can be served, but", "BEGIN CERTIFICATE"),
        (800, "NOTHING", "cannot be used", "name PEM files"),
    ],
)
def test_certificate(tmp_path: Path, days_left: int, label: str, detail: str, mend: str | None) -> None:
    """When the certificate ends is told, and in time; a file that OpenSSL alone can read is no defect."""
    now = real_time() - (VALIDITY - timedelta(days=days_left)).total_seconds()
    file, _ = server_certificate(tmp_path, ["localhost"], now)
    file.write_text(file.read_text().replace(" CERTIFICATE-", f" {label}-"))
    settings = load({"data_dir": str(tmp_path / "data"), "tls_cert": str(file)}, {}).settings
    (found,) = (one for one in examine_door(settings) if one.subject == f"certificate {file}")
    assert detail in found.detail
    assert (found.mend is None) == (mend is None)
    assert (mend or "") in (found.mend or "")


def test_litter_is_mended(hsmstore: CommandLine, stopped: Server) -> None:
    """What a crash left is told without --fix, mended with it, and gone afterwards."""
    hsm = stopped.data_dir / "hsm"
    (hsm / ".old-cluster-22222222222-x").mkdir()
    orphan = hsm / "cluster-33333333333"
    (orphan / "tokens").mkdir(mode=0o700, parents=True)
    orphan.chmod(0o700)
    code, findings = examine(hsmstore, stopped)
    assert code == ExitCode.UNFIT
    assert {f["subject"] for f in findings if not f["ok"]} == {".old-cluster-22222222222-x", orphan.name}
    code, findings = examine(hsmstore, stopped, "--fix")
    assert code == 0, findings
    assert not orphan.exists()
    assert len(list((stopped.data_dir / "lost+found").iterdir())) == 1
    assert examine(hsmstore, stopped)[0] == 0
    stopped.start()
    store = stopped.kms().describe_custom_key_stores()["CustomKeyStores"][0]["CustomKeyStoreId"]
    assert stopped.kms().generate_random(NumberOfBytes=8, CustomKeyStoreId=store)["Plaintext"]
    stopped.stop()


def test_a_key_store_without_its_cluster(hsmstore: CommandLine, stopped: Server) -> None:
    """A key store whose cluster is gone is told with the documented fix, which is its owner's to take."""
    stopped.start()
    [store] = stopped.kms().describe_custom_key_stores()["CustomKeyStores"]
    assert stopped.manage("DELETE", f"/clusters/{store['CloudHsmClusterId']}")[0] == 200
    stopped.stop()
    code, findings = examine(hsmstore, stopped, "--fix")
    assert code == ExitCode.UNFIT
    [wrong] = [finding for finding in findings if not finding["ok"]]
    assert wrong["subject"] == store["CustomKeyStoreId"]
    assert f"hsmstore store update {store['CustomKeyStoreId']} --cluster" in wrong["mend"]


@pytest.mark.sqlite
def test_a_registry_without_a_schema_is_migrated(hsmstore: CommandLine, stopped: Server) -> None:
    """A registry that lacks the schema has it after --fix; without the option it is left as it is."""
    registry = stopped.data_dir / "registry.sqlite3"
    for path in stopped.data_dir.glob("registry.sqlite3*"):
        path.unlink()
    with closing(sqlite3.connect(registry)):
        pass
    [said] = [f for f in examine(hsmstore, stopped)[1] if f["subject"] == "registry"]
    assert said["detail"] == "empty; the next start migrates it"
    [said] = [f for f in examine(hsmstore, stopped, "--fix")[1] if f["subject"] == "registry"]
    assert said["detail"] == "empty: migrated; current; 0 clusters"
    with closing(sqlite3.connect(registry)) as connection:
        assert connection.execute("SELECT count(*) FROM clusters").fetchone() == (0,)


def test_nothing_is_mended_under_a_running_server(hsmstore: CommandLine, stopped: Server) -> None:
    """While a server uses the data directory doctor only looks."""
    litter = stopped.data_dir / "hsm" / ".old-cluster-22222222222-x"
    litter.mkdir()
    stopped.start()
    code, findings = examine(hsmstore, stopped, "--fix")
    stopped.stop()
    assert code == ExitCode.UNFIT
    assert any("owned by another server" in finding["detail"] for finding in findings)
    assert litter.is_dir()
