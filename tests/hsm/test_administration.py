"""Making, adopting, deleting tokens, and the crypto officer's reset."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hsmstore.domain.cluster import TokenReference
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.ports import ConnectFailed, HsmUnavailable
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from tests.hsm.conftest import CLUSTER_ID, OTHER_CLUSTER_ID, PASSWORD, SO_PIN, Bench, Ticker, cluster_of


def test_a_new_token_is_private(bench: Bench) -> None:
    """Directories are 0700, files that hold secrets 0600, and nothing temporary remains."""
    home = bench.home(bench.create())
    directories = [bench.directory, home, home / "tokens"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o700}
    assert stat.S_IMODE((home / "token.object.bak").stat().st_mode) == 0o600
    assert bench.names() == [CLUSTER_ID]


def test_a_reference_tells_the_token_from_others(bench: Bench) -> None:
    """Label and serial are what C_GetTokenInfo says; two tokens never share a serial."""
    one, other = bench.create().token, bench.create(OTHER_CLUSTER_ID).token
    assert one is not None
    assert other is not None
    assert (one.profile, one.label, other.label) == ("softhsm2", CLUSTER_ID, OTHER_CLUSTER_ID)
    assert Path(one.module).name == "libsofthsm2.so"
    assert one.serial != other.serial


def test_creating_twice(bench: Bench) -> None:
    """A cluster's token is not made over: the second attempt fails and the first token stays."""
    cluster = bench.create()
    with pytest.raises(HsmUnavailable, match="has a token already"):
        bench.create()
    assert bench.connect(cluster).draw(8)
    assert bench.names() == [CLUSTER_ID]


@pytest.mark.parametrize("pin", ["abc", "x" * 256])
def test_a_pin_that_the_module_refuses(bench: Bench, pin: str) -> None:
    """A crypto officer's PIN of a bad length is the module's refusal, and leaves no half-made token."""
    with pytest.raises(HsmUnavailable, match="C_InitToken") as refused:
        bench.hsm.create_token(CLUSTER_ID, pin, PASSWORD)
    assert pin not in refused.value.reason
    assert bench.names() == []


def test_a_data_directory_that_is_a_file(bench: Bench) -> None:
    """A path that cannot be a directory is said to be unfit in one line."""
    bench.directory.write_text("in the way")
    with pytest.raises(EnvironmentUnfit, match="Cannot create the token") as refused:
        bench.create()
    assert "\n" not in str(refused.value)


def test_a_path_that_softhsm2_cannot_be_told(tmp_path: Path) -> None:
    """A number sign begins a comment in softhsm2.conf, wherever it stands; the path is refused."""
    with pytest.raises(EnvironmentUnfit, match="cannot read the path"):
        Bench(tmp_path / "a #b" / "hsm").create()


WITHOUT_SPACE = """
import resource, sys
from pathlib import Path
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.ports import HsmUnavailable
from tests.hsm.conftest import Bench
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    Bench(Path(sys.argv[1])).create()
except (EnvironmentUnfit, HsmUnavailable) as refused:
    print(type(refused).__name__, refused)
"""


@pytest.mark.parametrize("room", [0, 100, 300])
def test_no_space(bench: Bench, room: int) -> None:
    """Where nothing more can be written, one line says so and nothing half-made is left."""
    command = [sys.executable, "-c", WITHOUT_SPACE, str(bench.directory), str(room)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stderr == ""
    assert told.stdout.startswith(("EnvironmentUnfit", "HsmUnavailable"))
    assert told.stdout.count("\n") == 1
    assert bench.names() == []


def test_deleting(bench: Bench) -> None:
    """Deleting removes all there is, and may be repeated."""
    cluster = bench.create()
    bench.hsm.delete_token(cluster)
    bench.hsm.delete_token(cluster)
    assert bench.names() == []


def test_deleting_where_nothing_was_ever_made(bench: Bench) -> None:
    """There need not even be a data directory."""
    bench.hsm.delete_token(cluster_of(None))


def test_a_reset(bench: Bench) -> None:
    """The crypto officer sets a password without knowing the old one."""
    cluster = bench.create()
    bench.hsm.reset_password(cluster, SO_PIN, "anotherPswd456")
    with pytest.raises(ConnectFailed, match="INVALID_CREDENTIALS"):
        bench.connect(cluster)
    assert bench.connect(cluster, "anotherPswd456").draw(8)


def test_a_reset_makes_kmsuser(bench: Bench) -> None:
    """On a token without kmsuser the reset creates it."""
    cluster = bench.create(password=None)
    bench.hsm.reset_password(cluster, SO_PIN, PASSWORD)
    assert bench.connect(cluster).draw(8)


def test_a_reset_with_the_wrong_pin(bench: Bench) -> None:
    """The wrong SO PIN is refused in PKCS#11's words, and the password stays."""
    cluster = bench.create()
    with pytest.raises(HsmUnavailable, match="CKR_PIN_INCORRECT"):
        bench.hsm.reset_password(cluster, "wrong-pin", "anotherPswd456")
    assert bench.connect(cluster).draw(8)


def test_a_reset_while_kmsuser_is_logged_in(bench: Bench) -> None:
    """The reset is refused while kmsuser is logged in, and works once it is not."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    with pytest.raises(HsmUnavailable, match="kmsuser is logged in"):
        bench.hsm.reset_password(cluster, SO_PIN, "anotherPswd456")
    assert connection.draw(8)
    connection.close()
    bench.hsm.reset_password(cluster, SO_PIN, "anotherPswd456")


def test_a_reset_without_a_token(bench: Bench) -> None:
    """Neither a cluster without a directory nor one without a token can be reset."""
    cluster = bench.create()
    shutil.rmtree(bench.token_object(cluster).parent)
    with pytest.raises(HsmUnavailable, match="token"):
        bench.hsm.reset_password(cluster, SO_PIN, "anotherPswd456")
    bench.hsm.delete_token(cluster)
    with pytest.raises(HsmUnavailable, match="has no token"):
        bench.hsm.reset_password(cluster, SO_PIN, "anotherPswd456")


def adopted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[Pkcs11Hsm, TokenReference]:
    """Return an Hsm that has adopted the token of another, and its reference."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(bench.home(bench.create()) / "softhsm2.conf"))
    hsm = Pkcs11Hsm(tmp_path / "adopting", Ticker())
    return hsm, hsm.adopt_token(CLUSTER_ID, profile="softhsm2-existing")


def test_an_adopted_token(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token that exists already connects, changes and resets its password, and is not deleted."""
    hsm, token = adopted(bench, monkeypatch, tmp_path)
    cluster = cluster_of(token, OTHER_CLUSTER_ID)
    connection = hsm.connect(cluster, PASSWORD)
    assert connection.draw(8)
    connection.set_password(PASSWORD, "anotherPswd456")
    connection.close()
    hsm.reset_password(cluster, SO_PIN, PASSWORD)
    hsm.delete_token(cluster)
    connection = hsm.connect(cluster, PASSWORD)
    assert connection.draw(8)
    connection.close()


def test_an_adopted_token_has_one_user_at_a_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two clusters that adopted the same token cannot both write its files."""
    hsm, token = adopted(bench, monkeypatch, tmp_path)
    connection = hsm.connect(cluster_of(token, CLUSTER_ID), PASSWORD)
    with pytest.raises(ConnectFailed, match="USER_LOGGED_IN"):
        hsm.connect(cluster_of(token, OTHER_CLUSTER_ID), PASSWORD)
    assert connection.draw(8)
    connection.close()


def test_adopting_what_is_not_there(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An unknown label is refused by name; without a label the only token is taken."""
    hsm, token = adopted(bench, monkeypatch, tmp_path)
    with pytest.raises(HsmUnavailable, match="no token with label 'nobody'"):
        hsm.adopt_token("nobody", profile="softhsm2-existing")
    assert hsm.adopt_token(None, profile="softhsm2-existing") == token


def test_adopting_needs_a_profile_of_existing_tokens(bench: Bench) -> None:
    """The profile whose tokens are made here has none to adopt; an unknown profile has none at all."""
    with pytest.raises(EnvironmentUnfit, match="tokens of its own"):
        bench.hsm.adopt_token(None, profile="softhsm2")
    with pytest.raises(EnvironmentUnfit, match="choose one of opencryptoki, p11-kit, softhsm2"):
        bench.hsm.adopt_token(None, profile="../softhsm2")


def test_making_needs_a_profile_that_makes_tokens(tmp_path: Path) -> None:
    """The networked profile has existing tokens only."""
    with pytest.raises(EnvironmentUnfit, match="makes no tokens"):
        Pkcs11Hsm(tmp_path, Ticker(), profile="p11-kit").create_token(CLUSTER_ID, SO_PIN, PASSWORD)


def test_modules_that_are_none(tmp_path: Path) -> None:
    """No file, a text file, a directory, a library without C_GetFunctionList: one line with the path."""
    (library,) = Path(msgspec.__file__).parent.glob("_core*.so")
    text = tmp_path / "text.so"
    text.write_text("not a library")
    for path in (tmp_path / "nothing.so", text, tmp_path, library):
        hsm = Pkcs11Hsm(tmp_path / "hsm", Ticker(), module=str(path))
        with pytest.raises(EnvironmentUnfit) as refused:
            hsm.create_token(CLUSTER_ID, SO_PIN, PASSWORD)
        assert str(path) in refused.value.reason
        assert "\n" not in str(refused.value)
        assert "apt-get install" in refused.value.mend or "PKCS#11 module" in refused.value.mend
