"""The plugin in other people's projects: what it costs them, in parallel, and without boto3."""

import subprocess
import sys
from pathlib import Path

import pytest

STRANGERS = ("boto3", "botocore", "cryptography", "falcon", "msgspec", "pkcs11", "sqlalchemy", "ssl")

UNINVOLVED = f"""
import sys

def test_nothing_of_it():
    loaded = {{name for name in sys.modules if name.partition(".")[0] == "hsmstore"}}
    assert loaded == {{"hsmstore", "hsmstore.testing", "hsmstore.testing.plugin"}}
    assert not set({STRANGERS!r}) & set(sys.modules)
"""

PARALLEL = """
import os
import pytest

@pytest.mark.parametrize("number", range(8))
def test_own_simulator(hsmstore, kms_client, key_store, number):
    assert len(hsmstore.key_stores()) == 1
    kms_client.disconnect_custom_key_store(CustomKeyStoreId=key_store)
    with pytest.raises(kms_client.exceptions.CustomKeyStoreInvalidStateException):
        kms_client.generate_random(NumberOfBytes=1, CustomKeyStoreId=key_store)
    print("process", os.getpid())
"""

WITHOUT_BOTO3 = """
import sys
sys.modules["boto3"] = None

def test_client(kms_client):
    pass

def test_everything_else(hsmstore, key_store, hsmstore_endpoint):
    assert len(hsmstore.random(4, key_store)) == 4
"""


def run(place: Path, text: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run pytest as in a project whose only file this is."""
    (place / "test_sample.py").write_text(text, encoding="utf-8")
    (place / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        *options,
    ]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=300)


def test_costs_others_nothing(tmp_path: Path) -> None:
    """A suite that simulates nothing loads the plugin's own small file, and nothing that it needs."""
    done = run(tmp_path, UNINVOLVED)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr


def test_parallel(tmp_path: Path) -> None:
    """Under pytest-xdist every test has a simulator of its own, in whatever process it runs."""
    done = run(tmp_path, PARALLEL, "-n", "2", "-rP")
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "8 passed" in done.stdout
    assert len({line for line in done.stdout.splitlines() if line.startswith("process ")}) == 2


def test_without_boto3(tmp_path: Path) -> None:
    """Only what needs boto3 asks for it, in one line that says what to type."""
    done = run(tmp_path, WITHOUT_BOTO3)
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "boto3 is not installed: pip install 'hsmstore[testing]'" in done.stdout
    assert "Traceback" not in done.stdout


def test_fixtures_are_explained(tmp_path: Path) -> None:
    """`pytest --fixtures` tells of each."""
    told = run(tmp_path, "", "--fixtures").stdout
    for name in ("hsmstore", "kms_client", "key_store", "hsmstore_endpoint", "hsmstore_boto3"):
        assert f"\n{name} -- " in told
