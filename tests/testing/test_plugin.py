"""The plugin in other people's projects: what it costs them, in parallel, and without boto3."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STRANGERS = ("boto3", "botocore", "cryptography", "falcon", "msgspec", "pkcs11", "sqlalchemy", "ssl")

WALL = re.compile(r"Traceback|\.py:\d|During handling")
"""What pytest shows of an error that is more than a line."""

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

MARKED = """
import pytest

@pytest.mark.hsmstore(profil="aws")
def test_misspelt(hsmstore):
    pass

@pytest.mark.hsmstore("aws")
def test_without_a_name(hsmstore):
    pass

@pytest.mark.hsmstore(profile="quick")
def test_value(hsmstore):
    pass

@pytest.mark.hsmstore(profile="aws", region="eu-west-1")
class TestNearest:
    @pytest.mark.hsmstore(region="eu-west-2")
    def test_region(self, kms_client):
        assert kms_client.meta.region_name == "eu-west-2"
"""

UNFIT = """
import pytest
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.testing import simulator

def test_fixture(hsmstore):
    pass

def test_context():
    with pytest.raises(EnvironmentUnfit, match="PKCS#11 module /nowhere.so is not there"), simulator():
        pass
"""


def run(place: Path, text: str, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
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
    return subprocess.run(
        command,
        cwd=place,
        env={**os.environ, **variables},  # noqa: TID251  # that of whoever runs these tests
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


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
    assert not WALL.search(done.stdout)


def test_options_of_the_marker(tmp_path: Path) -> None:
    """A misspelt option, one without its name and one that is not allowed are refused in a line each."""
    told = run(tmp_path, MARKED).stdout
    assert "1 passed, 3 errors" in told
    assert "there is no option 'profil'; the options are profile, account, region, " in told
    assert "'aws' is no option: write its name, as in @pytest.mark.hsmstore(profile='aws')" in told
    assert "--profile: 'quick' is not instant, lifelike or aws" in told
    assert not WALL.search(told)


def test_without_softhsm2(tmp_path: Path) -> None:
    """Without the PKCS#11 module a simulator says what to install, at once and in one line."""
    told = run(tmp_path, UNFIT, HSMSTORE_PKCS11_MODULE="/nowhere.so").stdout
    assert "1 passed, 1 error" in told
    assert "\nPKCS#11 module /nowhere.so is not there (Debian, Ubuntu: apt-get install " in told
    assert not WALL.search(told)


def test_fixtures_are_explained(tmp_path: Path) -> None:
    """`pytest --fixtures` tells of each."""
    told = run(tmp_path, "", "--fixtures").stdout
    for name in ("hsmstore", "kms_client", "key_store", "hsmstore_endpoint", "hsmstore_boto3"):
        assert f"\n{name} -- " in told
