"""The bill of materials: valid CycloneDX, of the lock, the same bytes each time, and without an address."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.sbom import LOCK, NotInstalled, of_a_server, wanted
from hsmstore import __version__
from tests.house.tidy import ROOT

RUNTIME = ("alembic", "cryptography", "msgspec", "psycopg-binary", "python-pkcs11", "sqlalchemy", "typer")


def _make(to: Path) -> str:
    command = [sys.executable, str(ROOT / "deploy" / "sbom.py"), str(to)]
    environment = {"PATH": os.defpath, "SOURCE_DATE_EPOCH": "1750000000"}
    subprocess.run(command, cwd=to.parent, env=environment, check=True, capture_output=True)
    return to.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what `make sbom` writes."""
    return _make(tmp_path_factory.mktemp("bill") / "hsmstore.cdx.json")


@pytest.fixture(scope="module")
def bill(text: str) -> dict[str, Any]:
    """Return it decoded."""
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def test_it_is_cyclonedx(text: str) -> None:
    """The schema of CycloneDX 1.6 allows it, and no more than it."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"bomFormat"', '"bomform"')) is not None


def test_it_is_the_locks(bill: dict[str, Any]) -> None:
    """Every package of a server in the version of the lock, with a licence, and no tool of the tests."""
    parts = {part["purl"]: part for part in bill["components"]}
    assert set(parts) == {f"pkg:pypi/{name}@{v}" for name, v in wanted(LOCK.read_text()).items()}
    names = {purl.removeprefix("pkg:pypi/").partition("@")[0] for purl in parts}
    assert names.issuperset(RUNTIME)
    assert names.isdisjoint({"pytest", "moto", "boto3", "mypy"})
    assert [purl for purl, part in parts.items() if not part.get("licenses")] == []


def test_it_says_who_needs_what(bill: dict[str, Any]) -> None:
    """From hsmstore every package is reached, and nothing is named that is not there."""
    needs = {node["ref"]: set(node.get("dependsOn", ())) for node in bill["dependencies"]}
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"]) == ("hsmstore", __version__)
    reached: set[str] = set()
    ahead = {root["bom-ref"]}
    while ahead:
        reached |= ahead
        ahead = set().union(*(needs[name] for name in ahead)) - reached
    assert reached == {root["bom-ref"], *(part["bom-ref"] for part in bill["components"])}


def test_it_has_no_address(text: str) -> None:
    """Neither of a registry nor of this machine."""
    assert set(re.findall(r"\w+://[^\"\s]*", text)) == {"http://cyclonedx.org/schema/bom-1.6.schema.json"}
    assert str(ROOT) not in text


def test_it_is_the_same_each_time(text: str, tmp_path: Path) -> None:
    """Dated by SOURCE_DATE_EPOCH, without a serial number that chance chose."""
    assert _make(tmp_path / "again.json") == text
    assert '"timestamp": "2025-06-15T15:06:40+00:00"' in text


@pytest.mark.parametrize("version", ["1", None])
def test_another_environment_is_refused(bill: dict[str, Any], version: str | None) -> None:
    """A bill of what is installed is no bill of the lock where the two differ."""
    versions = wanted(LOCK.read_text())
    other = {**versions, "alembic": version} if version else {**versions, "missing": "1"}
    with pytest.raises(NotInstalled, match="make setup-tools"):
        of_a_server(bill, other)
