"""What `doctor` learns of the HSM room."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hsmstore.domain.ports import ConnectFailed
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.hsm.tokenfile import is_whole
from tests.hsm.conftest import CLUSTER_ID, OTHER_CLUSTER_ID, SO_PIN, Bench, Ticker


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


def test_what_can_be_mended_is_mended(bench: Bench) -> None:
    """Each kind of damage that can be mended without a loss is, and the finding says so; then all is well."""
    cluster, orphan = bench.create(), bench.create(OTHER_CLUSTER_ID)
    whole = bench.token_object(cluster).read_bytes()
    bench.token_object(cluster).write_bytes(whole[:-1])
    bench.home(cluster).chmod(0o755)
    (bench.home(orphan) / "token.object.bak").unlink()
    (bench.directory / ".new-cluster-ccccccccccc-x" / "tokens").mkdir(parents=True)
    (bench.directory / "modules").mkdir(exist_ok=True)
    (bench.directory / "modules" / "libsofthsm2-left.so").touch()
    kept = bench.token_object(orphan).read_bytes()
    mended = bench.hsm.inspect([cluster], fix=True)
    assert {finding.mend for finding in mended} == {None}
    assert {(finding.subject, finding.detail.rpartition(": ")[2]) for finding in mended[1:]} == {
        (CLUSTER_ID, "closed to them"),
        (CLUSTER_ID, "its copy is put back"),
        (OTHER_CLUSTER_ID, "written"),
        (OTHER_CLUSTER_ID, f"moved to {bench.directory.parent / 'lost+found'}"),
        (".new-cluster-ccccccccccc-x", "removed"),
        ("libsofthsm2-left.so", "removed"),
    }
    (found,) = (bench.directory.parent / "lost+found").glob(f"{OTHER_CLUSTER_ID}-*/tokens/*/token.object")
    assert found.read_bytes() == kept
    assert len(bench.hsm.inspect([cluster])) == 1
    assert bench.connect(cluster).draw(8)


def test_what_would_be_lost_is_left_alone(bench: Bench) -> None:
    """What cannot be mended is told as before; nothing is moved where nobody knows the clusters."""
    cluster, other = bench.create(), bench.create(OTHER_CLUSTER_ID)
    bench.token_object(cluster).write_bytes(b"")
    (bench.home(cluster) / "token.object.bak").unlink()
    (_, finding) = bench.hsm.inspect(None, fix=True)
    assert (finding.subject, finding.detail) == (
        CLUSTER_ID,
        "token.object is emptied, without token.object.bak",
    )
    assert finding.mend is not None
    assert bench.home(other).is_dir()


def test_a_token_initialised_anew_is_whole(bench: Bench) -> None:
    """A token that somebody initialised anew is shorter than its copy, and not called damaged."""
    cluster = bench.create()
    tool = ["pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--slot-index", "0", "--init-token"]
    subprocess.run(
        [*tool, "--label", CLUSTER_ID, "--so-pin", SO_PIN],
        env={"SOFTHSM2_CONF": str(bench.home(cluster) / "softhsm2.conf"), "PATH": "/usr/bin"},
        check=True,
        capture_output=True,
    )
    anew = bench.token_object(cluster).read_bytes()
    assert len(anew) < len((bench.home(cluster) / "token.object.bak").read_bytes())
    assert len(bench.hsm.inspect([cluster], fix=True)) == 1
    with pytest.raises(ConnectFailed, match="USER_NOT_FOUND"):
        bench.connect(cluster)


def test_every_cut_of_a_token_object_is_seen(bench: Bench) -> None:
    """A token.object is whole as SoftHSM2 writes it, and not with any number of bytes missing at its end."""
    for cluster in (bench.create(), bench.create(OTHER_CLUSTER_ID, None)):
        content = bench.token_object(cluster).read_bytes()
        assert is_whole(content)
        assert [length for length in range(len(content)) if is_whole(content[:length])] == []


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
