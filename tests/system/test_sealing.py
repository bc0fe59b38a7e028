"""Sealed secrets open for their identity under their key, and for nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.ports import SealBroken, Sealer
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.sealing import MASTER_KEY_SIZE, AesGcmSealer, open_master_key

ENTROPY = SystemEntropy()
KEY = bytes(range(MASTER_KEY_SIZE))
IDENTITY = "key_stores/cks-1234567890abcdef0/password"


def sealer(key: bytes = KEY) -> Sealer:
    """Return a sealer under a fixed key."""
    return AesGcmSealer(key, ENTROPY)


@given(plaintext=st.binary(max_size=200), identity=st.text(max_size=80))
def test_what_was_sealed_opens(plaintext: bytes, identity: str) -> None:
    """Any secret of any identity comes back, 29 bytes shorter than it lay there."""
    sealed = sealer().seal(plaintext, identity)
    assert len(sealed) == len(plaintext) + 29
    assert sealer().unseal(sealed, identity) == plaintext


def test_sealing_twice_shows_no_likeness() -> None:
    """The same secret sealed twice has two nonces and two ciphertexts."""
    one, other = (sealer().seal(b"kmsuser-password", IDENTITY) for _ in range(2))
    assert one[1:13] != other[1:13]
    assert one[13:] != other[13:]


@given(data=st.data())
def test_any_flipped_bit_breaks_the_seal(data: st.DataObject) -> None:
    """Version, nonce, ciphertext and tag are all held by the seal."""
    sealed = bytearray(sealer().seal(b"kmsuser-password", IDENTITY))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBroken):
        sealer().unseal(bytes(sealed), IDENTITY)


@pytest.mark.parametrize("region", [0, 1, 12, 13, 28, 29, 44], ids=lambda position: f"byte {position}")
def test_each_region_is_authenticated(region: int) -> None:
    """The first and last byte of each region counts: version, nonce, ciphertext, tag."""
    sealed = bytearray(sealer().seal(b"kmsuser-password", IDENTITY))
    assert len(sealed) == 45
    sealed[region] ^= 0xFF
    with pytest.raises(SealBroken):
        sealer().unseal(bytes(sealed), IDENTITY)


@given(st.integers(0, 44))
def test_a_truncated_value_breaks(length: int) -> None:
    """What has lost its end does not open, down to nothing at all."""
    sealed = sealer().seal(b"kmsuser-password", IDENTITY)
    with pytest.raises(SealBroken):
        sealer().unseal(sealed[:length], IDENTITY)


def test_another_identity_does_not_open_it() -> None:
    """A value moved to another row is worthless there."""
    sealed = sealer().seal(b"kmsuser-password", IDENTITY)
    with pytest.raises(SealBroken, match="another-row"):
        sealer().unseal(sealed, "another-row")


def test_another_key_does_not_open_it() -> None:
    """A value of another installation is worthless here."""
    sealed = sealer(bytes(MASTER_KEY_SIZE)).seal(b"kmsuser-password", IDENTITY)
    with pytest.raises(SealBroken):
        sealer().unseal(sealed, IDENTITY)


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_only_256_bits_are_a_key(size: int) -> None:
    """AES-128 and AES-192 keys are refused, as is everything that is none."""
    with pytest.raises(ValueError, match="32 bytes"):
        AesGcmSealer(bytes(size), ENTROPY)


# The master key's file.


def test_first_use_makes_the_key(tmp_path: Path) -> None:
    """The file has 32 bytes, is its owner's alone, and leaves no draft beside it."""
    path = tmp_path / "master.key"
    key = open_master_key(path, ENTROPY)
    assert len(key) == MASTER_KEY_SIZE
    assert path.read_bytes() == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_second_use_finds_it(tmp_path: Path) -> None:
    """The key is made once and read thereafter."""
    path = tmp_path / "master.key"
    assert open_master_key(path, ENTROPY) == open_master_key(path, ENTROPY, may_create=False)


def test_all_who_start_at_once_get_one_key(tmp_path: Path) -> None:
    """Whoever names the file first has made the key, and the others take it."""
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: open_master_key(path, ENTROPY), range(32)))
    assert keys == {path.read_bytes()}
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_key_is_not_replaced_where_secrets_exist(tmp_path: Path) -> None:
    """With `may_create=False` a lost key is reported, and no new one takes its place."""
    path = tmp_path / "master.key"
    with pytest.raises(EnvironmentUnfit, match="missing") as caught:
        open_master_key(path, ENTROPY, may_create=False)
    assert "backup" in caught.value.mend
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644, 0o777])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """One bit for group or others is one too many; the mend is the command to type."""
    path = tmp_path / "master.key"
    open_master_key(path, ENTROPY)
    path.chmod(mode)
    with pytest.raises(EnvironmentUnfit, match="open to other users") as caught:
        open_master_key(path, ENTROPY)
    assert caught.value.mend == f"chmod 600 {path}"


@pytest.mark.parametrize("size", [0, 31, 33, 4096])
def test_a_key_of_another_size_is_refused_and_kept(tmp_path: Path, size: int) -> None:
    """What is too short or too long is nobody's key, and is not overwritten."""
    path = tmp_path / "master.key"
    path.touch(0o600)
    path.write_bytes(bytes(size))
    with pytest.raises(EnvironmentUnfit, match="exactly 32 bytes"):
        open_master_key(path, ENTROPY)
    assert path.stat().st_size == size


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    """A directory named like the key is not taken for one."""
    (tmp_path / "master.key").mkdir(0o700)
    with pytest.raises(EnvironmentUnfit, match="not a regular file"):
        open_master_key(tmp_path / "master.key", ENTROPY)


def test_an_unreadable_key_is_refused(tmp_path: Path) -> None:
    """What the system will not open is reported in its words: here a link that leads to itself."""
    path = tmp_path / "master.key"
    path.symlink_to(path)
    with pytest.raises(EnvironmentUnfit, match="cannot be used: Too many levels of symbolic links"):
        open_master_key(path, ENTROPY)


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    """Without its directory the key can't be made, and the reason names the file."""
    path = tmp_path / "nowhere" / "master.key"
    with pytest.raises(EnvironmentUnfit, match=r"nowhere/master\.key cannot be used: No such file"):
        open_master_key(path, ENTROPY)
