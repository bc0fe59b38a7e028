"""What `doctor` learns of the HSM room."""

import shutil
from pathlib import Path

from hsmstore.hsm import Pkcs11Hsm
from tests.hsm.conftest import CLUSTER_ID, OTHER_CLUSTER_ID, Bench, Ticker


def test_nothing_is_wrong(bench: Bench) -> None:
    """A sound data directory yields one line: where the module is, and its version."""
    (finding,) = bench.hsm.inspect([bench.create()])
    assert finding.mend is None
    assert "libsofthsm2.so, version 2." in finding.detail


def test_before_the_first_token(bench: Bench) -> None:
    """Nothing has to exist."""
    assert [finding.mend for finding in bench.hsm.inspect([])] == [None]


def test_what_is_wrong_is_found(bench: Bench) -> None:
    """Each kind of damage is one finding, with its mend."""
    cluster = bench.create()
    orphan = bench.create(OTHER_CLUSTER_ID)
    bench.token_object(cluster).write_bytes(b"")
    bench.home(cluster).chmod(0o755)
    (bench.home(orphan) / "token.object.bak").unlink()
    (bench.directory / ".new-cluster-ccccccccccc-x").mkdir()
    (bench.directory / "modules").mkdir(exist_ok=True)
    (bench.directory / "modules" / "libsofthsm2-left.so").touch()
    said = {(finding.subject, finding.detail): finding.mend for finding in bench.hsm.inspect([cluster])}
    assert said[CLUSTER_ID, "a kill has emptied token.object"] == "connect: its copy is then put back"
    assert said[CLUSTER_ID, "others can open it"] == f"chmod 700 {bench.home(cluster)}"
    assert said[OTHER_CLUSTER_ID, "belongs to no cluster in the registry"] is not None
    assert said[OTHER_CLUSTER_ID, "has no token.object.bak"] is not None
    assert said[".new-cluster-ccccccccccc-x", "left behind by a crash"] is not None
    assert said["libsofthsm2-left.so", "left behind by a crash"] is not None


def test_what_is_lost_is_found(bench: Bench) -> None:
    """A cluster whose token or whole directory is gone is named."""
    cluster, other = bench.create(), bench.create(OTHER_CLUSTER_ID)
    shutil.rmtree(bench.token_object(cluster).parent)
    bench.hsm.delete_token(other)
    said = {finding.subject: finding.detail for finding in bench.hsm.inspect([cluster, other])}
    assert said[CLUSTER_ID] == "has no token"
    assert said[OTHER_CLUSTER_ID] == "its directory is gone"


def test_a_missing_module_is_found(tmp_path: Path) -> None:
    """Without the module the finding says what to type."""
    (finding,) = Pkcs11Hsm(tmp_path, Ticker(), module="/nowhere/lib.so").inspect([])
    assert finding.mend is not None
    assert "apt-get install" in finding.mend
