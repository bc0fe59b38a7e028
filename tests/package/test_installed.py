"""The wheel, installed where no checkout can be seen, does what the README promises."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsmstore import __version__
from tests.house.tidy import ROOT
from tests.package.shipped import Installation, pip_check
from tests.server import Server


class InstalledServer(Server):
    """`hsmstore serve` of an installation."""

    def __init__(self, installation: Installation, data_dir: Path) -> None:
        super().__init__(data_dir, "--profile", "instant")
        self.program = [str(installation.program)]


@pytest.fixture
def served(installation: Installation, tmp_path: Path) -> Iterator[Server]:
    """Serve from the installation, on a data directory that is not there yet."""
    server = InstalledServer(installation, tmp_path / "data")
    server.start()
    yield server
    server.stop()


def test_the_version_is_told(installation: Installation, tmp_path: Path) -> None:
    """`hsmstore --version` and `python -m hsmstore --version` are the same program."""
    shown = installation.run(installation.program, "--version", home=tmp_path)
    module = installation.run(installation.python, "-m", "hsmstore", "--version", home=tmp_path)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"hsmstore {__version__}\n", "")
    assert module.stdout == shown.stdout


def test_everything_asked_for_is_there(installation: Installation) -> None:
    """The dependencies that are declared, in the versions of the lock, suffice."""
    found = pip_check(installation)
    assert found.returncode == 0, found.stdout
    assert found.stdout == "No broken requirements found.\n"


USERS = {"boto3", "botocore", "opentelemetry", "pytest"}
"""What a part of the package is for who has it, and is loaded for nobody else."""


def test_every_module_can_be_imported(installation: Installation, tmp_path: Path) -> None:
    """Nothing in the package needs what only the tests have, but for what a user brings along."""
    program = (
        "import importlib, pkgutil, hsmstore\n"
        "for found in pkgutil.walk_packages(hsmstore.__path__, 'hsmstore.', onerror=lambda name: None):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        try:\n"
        "            importlib.import_module(found.name)\n"
        "        except ModuleNotFoundError as missing:\n"
        "            print(missing.name)\n"
        "print(hsmstore.__file__)"
    )
    done = installation.run(installation.python, "-W", "error", "-c", program, home=tmp_path)
    assert done.returncode == 0, done.stderr
    *missing, place = done.stdout.splitlines()
    assert {name.partition(".")[0] for name in missing} <= USERS
    assert place == f"{installation.site}/hsmstore/__init__.py"


def test_a_newcomer_is_served(served: Server, installation: Installation, tmp_path: Path) -> None:
    """From an empty directory to bytes: migrations, a token from the template, a store, a draw by boto3.

    The console's pages and what they load have come along.
    """
    store = served.new_store("smoke")
    kms = served.kms()
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    answer = kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=store)
    assert len(answer["Plaintext"]) == 32
    assert b"smoke" in served.request("GET", "/_hsmstore/").body
    assert served.request("GET", "/_hsmstore/console/static/console.js").status == 200
    assert list(served.data_dir.glob("**/softhsm2.conf")) != []
    served.stop()
    served.start()  # what it has made it can open
    assert served.kms().describe_custom_key_stores()["CustomKeyStores"][0]["CustomKeyStoreId"] == store
    place = ["--data-dir", str(served.data_dir)]
    served.stop()
    doctor = installation.run(installation.program, "doctor", *place, "--json", home=tmp_path)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    found = {finding["subject"]: finding["detail"] for finding in json.loads(doctor.stdout)["Findings"]}
    assert found["registry"] == "current; 1 clusters"


def test_its_own_files_are_used(installation: Installation, tmp_path: Path) -> None:
    """Migrations and PKCS#11 profiles come from the package, the same as in the checkout."""
    program = (
        "from hsmstore.resources import resource\n"
        "for name in ('migrations', 'softhsm'):\n"
        "    print(resource(name))"
    )
    done = installation.run(installation.python, "-c", program, home=tmp_path)
    assert done.stdout.splitlines() == [
        f"{installation.site}/hsmstore/_data/migrations",
        f"{installation.site}/hsmstore/_data/softhsm",
    ]
    for path in (ROOT / "softhsm").iterdir():
        assert (installation.site / "hsmstore/_data/softhsm" / path.name).read_bytes() == path.read_bytes()


HINT = (
    "Debian, Ubuntu: apt-get install -y --no-install-recommends softhsm2; "
    "Fedora, RHEL: dnf install -y softhsm; macOS: brew install softhsm"
)


def test_without_softhsm_the_way_to_get_it_is_told(installation: Installation, tmp_path: Path) -> None:
    """Who has Python only is told what to type on Debian, on Fedora and on macOS: by doctor, and by serve."""
    place = ["--data-dir", str(tmp_path / "data"), "--pkcs11-module", "/nowhere.so"]
    doctor = installation.run(installation.program, "doctor", *place, "--json", home=tmp_path)
    assert doctor.returncode == 4
    assert HINT in doctor.stdout
    server = InstalledServer(installation, tmp_path / "served")
    server.start("--demo", "--pkcs11-module", "/nowhere.so")
    while HINT not in server.log:
        assert server.ended is None, server.log
        threading.Event().wait(0.01)
    server.stop()
