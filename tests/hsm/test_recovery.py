"""What a kill leaves behind, and how the copy of token.object mends it."""

import random  # noqa: TID251  # moments to kill at, seeded
import subprocess
import sys

import pytest

from hsmstore.domain.ports import ConnectFailed
from tests.hsm.conftest import CLUSTER_ID, PASSWORD, SO_PIN, Bench, pause

LOG_IN_FOR_EVER = """
import sys
from pathlib import Path
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from tests.hsm.conftest import PASSWORD, Ticker, cluster_of
from hsmstore.domain.cluster import TokenReference
directory, module, label, serial = sys.argv[1:]
cluster = cluster_of(TokenReference(profile="softhsm2", module=module, label=label, serial=serial))
hsm = Pkcs11Hsm(Path(directory), Ticker())
hsm.connect(cluster, PASSWORD).close()
print("ready", flush=True)
while True:
    hsm.connect(cluster, PASSWORD).close()
"""


@pytest.mark.parametrize("remaining", [0, 1, 100, 319])
def test_a_token_object_cut_short(bench: Bench, remaining: int) -> None:
    """A token.object that a kill has emptied or cut short is whole again after the next connect."""
    cluster = bench.create()
    token_object = bench.token_object(cluster)
    whole = token_object.read_bytes()
    token_object.write_bytes(whole[:remaining])
    assert bench.connect(cluster).draw(8)
    assert len(token_object.read_bytes()) == len(whole)


def test_a_token_object_that_is_missing(bench: Bench) -> None:
    """The same where the file is gone but its directory is not."""
    cluster = bench.create()
    bench.token_object(cluster).unlink()
    assert bench.connect(cluster).draw(8)


def test_the_copy_follows_the_password(bench: Bench) -> None:
    """What is put back knows the newest password, whichever way it was set."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.set_password(PASSWORD, "secondPswd456")
    connection.close()
    bench.token_object(cluster).write_bytes(b"")
    connection = bench.connect(cluster, "secondPswd456")
    connection.close()
    bench.hsm.reset_password(cluster, SO_PIN, "thirdPswd789")
    bench.token_object(cluster).write_bytes(b"")
    assert bench.connect(cluster, "thirdPswd789").draw(8)


def test_the_copy_is_put_back_before_a_reset(bench: Bench) -> None:
    """The crypto officer too finds the token whole."""
    cluster = bench.create()
    bench.token_object(cluster).write_bytes(b"")
    bench.hsm.reset_password(cluster, SO_PIN, "anotherPswd456")
    assert bench.connect(cluster, "anotherPswd456").draw(8)


def test_an_emptied_token_without_a_copy(bench: Bench) -> None:
    """Without the copy there is nothing to put back: the token is lost, and the connect says so."""
    cluster = bench.create()
    bench.token_object(cluster).write_bytes(b"")
    (bench.home(cluster) / "token.object.bak").unlink()
    with pytest.raises(ConnectFailed, match="INSUFFICIENT_CLOUDHSM_HSMS"):
        bench.connect(cluster)


def test_kills_in_the_middle_of_logins(bench: Bench, endurance: bool) -> None:  # noqa: FBT001  # a fixture
    """After each kill -9 of a process that logs in all the time, the next process connects."""
    cluster = bench.create()
    assert cluster.token is not None
    arguments = [str(bench.directory), cluster.token.module, CLUSTER_ID, cluster.token.serial]
    moments = random.Random(1)
    for _ in range(200 if endurance else 8):
        with subprocess.Popen(
            [sys.executable, "-c", LOG_IN_FOR_EVER, *arguments], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            pause(moments.uniform(0, 0.005))
            process.kill()
        connection = bench.connect(cluster)
        assert connection.draw(8)
        connection.close()
