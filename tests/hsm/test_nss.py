"""NSS softokn behind p11-kit, as docs/pkcs11.md says: a token of another maker."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.domain.ports import ConnectFailed
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.system.clock import monotonic
from tests.hsm.conftest import cluster_of
from tests.pages.reading import tried_by

NOBODY = 65534 if os.getuid() == 0 else None
"""Who runs p11-kit where root runs the tests: root's own modules it leaves out."""


@pytest.fixture
def address() -> Iterator[str]:
    """Give the address of a server of a new token, whose password is `first1password`."""
    [block] = tried_by(__file__)
    with tempfile.TemporaryDirectory(prefix="nss-") as name:
        home, token = Path(name), Path(name, "nss")
        modules = home / ".config" / "pkcs11" / "modules"
        for directory in (token, modules):
            directory.mkdir(parents=True)
        here = block.text.replace("/srv", name).replace("x86_64", platform.machine())
        (modules / "nss.module").write_text(here)
        (home / "password").write_text("first1password\n")
        subprocess.run(["certutil", "-N", "-d", f"sql:{token}", "-f", home / "password"], check=True)
        if NOBODY:
            for path in (home, *home.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        token_uri = "pkcs11:token=NSS%20Certificate%20DB"
        with subprocess.Popen(
            ["p11-kit", "server", "--foreground", "--name", str(home / "s"), token_uri],
            user=NOBODY,
            env={"HOME": name, "PATH": "/usr/bin"},
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None
            yield server.stdout.readline().partition("=")[2].partition(";")[0]
            server.terminate()


def test_a_token_of_nss(address: str, tmp_path: Path) -> None:
    """It is found by its label, draws, and opens with its last password only."""
    hsm = Pkcs11Hsm(tmp_path, monotonic, deadline=30)
    cluster = cluster_of(hsm.adopt_token("NSS Certificate DB", profile="p11-kit", address=address))
    connection = hsm.connect(cluster, "first1password")
    assert len({connection.draw(32) for _ in range(3)} - {bytes(32)}) == 3
    connection.set_password("first1password", "second2password")
    connection.close()
    with pytest.raises(ConnectFailed) as failed:
        hsm.connect(cluster, "first1password")
    assert failed.value.code is ConnectionErrorCode.INVALID_CREDENTIALS
    again = hsm.connect(cluster, "second2password")
    assert len(again.draw(16)) == 16
    again.close()
