"""Keys on a real token: made, used, lost, found again, destroyed; and that nobody reads them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

from hsmstore.domain.cluster import Cluster
from hsmstore.domain.ports import ConnectionClosed, HsmConnection, HsmUnavailable
from hsmstore.domain.tokenkeys import CiphertextRefused, KeyMaterialGone, KeysUnsupported, Sealed, TokenKey
from hsmstore.hsm import directory
from hsmstore.hsm.keys import KeyObjects
from hsmstore.hsm.module import lent_module
from hsmstore.hsm.profile import load_profile
from tests.hsm.conftest import PASSWORD, Bench

LABEL = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY_ID = b"1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_ID = b"another-key"
AAD = b"who may read it"


def object_files(bench: Bench, cluster: Cluster) -> set[Path]:
    """Return SoftHSM2's files of the token's objects."""
    return set(bench.home(cluster).glob("tokens/*/*.object")) - {bench.token_object(cluster)}


def inspect_token(bench: Bench, cluster: Cluster, look: Callable[[pkcs11.Session], None]) -> None:
    """Open the token, to which nobody is connected, as any program with kmsuser's password could."""
    profile, home = load_profile("softhsm2"), directory.ClusterDirectory(bench.home(cluster))
    with lent_module(profile, profile.locate(), bench.directory / "modules") as module:
        module.initialize(profile.variables(home.configuration))
        look(module.find_token(cluster.id).open(rw=True, user_pin=PASSWORD))


@pytest.mark.parametrize("length", [0, 1, 32, 4096])
@pytest.mark.parametrize("aad", [b"", AAD, b"x" * 10_000])
def test_what_is_encrypted_can_be_decrypted(bench: Bench, length: int, aad: bytes) -> None:
    """Any plaintext of KMS's sizes comes back, with 16 bytes of tag and 12 of an IV beside it."""
    connection = bench.connect(bench.create())
    connection.generate_key(LABEL, KEY_ID)
    plaintext = (bytes(range(256)) * 16)[:length]
    sealed = connection.encrypt(KEY_ID, plaintext, aad)
    assert (len(sealed.iv), len(sealed.ciphertext)) == (12, length + 16)
    assert connection.decrypt(KEY_ID, sealed, aad) == plaintext


def test_no_iv_twice(bench: Bench) -> None:
    """GCM breaks where an IV returns."""
    connection = bench.connect(bench.create())
    connection.generate_key(LABEL, KEY_ID)
    assert len({connection.encrypt(KEY_ID, b"same", AAD).iv for _ in range(500)}) == 500


def test_any_altered_byte_is_refused(bench: Bench) -> None:
    """IV, ciphertext, tag and AAD are bound together; a refusal is no failure of the connection."""
    connection = bench.connect(bench.create())
    connection.generate_key(LABEL, KEY_ID)
    iv, ciphertext = sealed = connection.encrypt(KEY_ID, b"attack at dawn", AAD)
    altered = [(Sealed(iv, other), AAD) for other in one_byte_altered(ciphertext)]
    altered += [(Sealed(other, ciphertext), AAD) for other in one_byte_altered(iv)]
    altered += [(sealed, other) for other in one_byte_altered(AAD)]
    altered += [(Sealed(iv, ciphertext[:length]), AAD) for length in range(len(ciphertext))]
    for parts, aad in altered:
        with pytest.raises(CiphertextRefused):
            connection.decrypt(KEY_ID, parts, aad)
    assert connection.decrypt(KEY_ID, sealed, AAD) == b"attack at dawn"


def one_byte_altered(octets: bytes) -> list[bytes]:
    """Return every copy in which one byte has another bit."""
    return [octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :] for at in range(len(octets))]


def test_another_key_refuses(bench: Bench) -> None:
    """A ciphertext belongs to its key."""
    connection = bench.connect(bench.create())
    connection.generate_key(LABEL, KEY_ID)
    connection.generate_key("another", OTHER_ID)
    sealed = connection.encrypt(KEY_ID, b"mine", AAD)
    with pytest.raises(CiphertextRefused):
        connection.decrypt(OTHER_ID, sealed, AAD)


def test_a_key_outlives_its_connection(bench: Bench) -> None:
    """A key is on the token, and the next session finds it by its CKA_ID; the closed one works no more."""
    cluster = bench.create()
    first = bench.connect(cluster)
    first.generate_key(LABEL, KEY_ID)
    sealed = first.encrypt(KEY_ID, b"kept", AAD)
    first.close()
    for call in closed_calls(first, sealed):
        with pytest.raises(ConnectionClosed):
            call()
    second = bench.connect(cluster)
    assert second.decrypt(KEY_ID, sealed, AAD) == b"kept"
    assert second.keys() == [TokenKey(LABEL, KEY_ID)]


def closed_calls(connection: HsmConnection, sealed: Sealed) -> list[Callable[[], object]]:
    """Return every call about keys."""
    return [
        lambda: connection.generate_key(LABEL, KEY_ID),
        lambda: connection.encrypt(KEY_ID, b"x", AAD),
        lambda: connection.decrypt(KEY_ID, sealed, AAD),
        lambda: connection.destroy_key(KEY_ID),
        lambda: connection.has_key(KEY_ID),
        connection.keys,
    ]


def test_an_unknown_key(bench: Bench) -> None:
    """What was never made is gone, and destroying it is nothing."""
    connection = bench.connect(bench.create())
    assert not connection.has_key(KEY_ID)
    connection.destroy_key(KEY_ID)
    with pytest.raises(KeyMaterialGone):
        connection.encrypt(KEY_ID, b"x", AAD)
    with pytest.raises(KeyMaterialGone):
        connection.decrypt(KEY_ID, Sealed(bytes(12), bytes(17)), AAD)
    assert connection.keys() == []


def test_a_destroyed_key(bench: Bench) -> None:
    """A destroyed key is gone from the session, from the token and from the disk; others stay."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.generate_key("another", OTHER_ID)
    others = object_files(bench, cluster)
    connection.generate_key(LABEL, KEY_ID)
    assert connection.has_key(KEY_ID)
    connection.destroy_key(KEY_ID)
    assert not connection.has_key(KEY_ID)
    with pytest.raises(KeyMaterialGone):
        connection.encrypt(KEY_ID, b"x", AAD)
    assert object_files(bench, cluster) == others
    assert connection.keys() == [TokenKey("another", OTHER_ID)]


def test_a_key_deleted_beside_the_session_and_put_back(bench: Bench) -> None:
    """A handle whose object has gone is not an error of the HSM; the object put back is found again."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.generate_key(LABEL, KEY_ID)
    sealed = connection.encrypt(KEY_ID, b"still mine", AAD)
    (file,) = object_files(bench, cluster)
    away = file.rename(bench.directory / "away")
    for _ in range(2):
        with pytest.raises(KeyMaterialGone):
            connection.decrypt(KEY_ID, sealed, AAD)
        assert not connection.has_key(KEY_ID)
    away.rename(file)
    connection.close()
    assert bench.connect(cluster).decrypt(KEY_ID, sealed, AAD) == b"still mine"


def test_a_key_made_beside_the_session(bench: Bench) -> None:
    """A key that appears after the handles were read is searched for: another process may have made it."""
    cluster = bench.create()
    maker = bench.connect(cluster)
    maker.generate_key(LABEL, KEY_ID)
    sealed = maker.encrypt(KEY_ID, b"from elsewhere", AAD)
    maker.close()
    (file,) = object_files(bench, cluster)
    away = file.rename(bench.directory / "away")
    connection = bench.connect(cluster)
    assert not connection.has_key(KEY_ID)
    away.rename(file)
    (file.parent / "generation").write_bytes(bytes(8))  # SoftHSM2's sign that somebody else has written
    assert connection.decrypt(KEY_ID, sealed, AAD) == b"from elsewhere"


def test_half_written_keys_disturb_nobody(bench: Bench) -> None:
    """What a kill in C_GenerateKey leaves, cut anywhere, hides no other key and makes no call fail."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.generate_key("another", OTHER_ID)
    (other,) = object_files(bench, cluster)
    connection.generate_key(LABEL, KEY_ID)
    (file,) = object_files(bench, cluster) - {other}
    whole = file.read_bytes()
    connection.close()
    for length in range(0, len(whole), 40):
        file.write_bytes(whole[:length])
        connection = bench.connect(cluster)
        assert connection.has_key(OTHER_ID)
        listed = connection.keys()
        assert TokenKey("another", OTHER_ID) in listed
        connection.generate_key("a third", b"third")
        connection.destroy_key(b"third")
        connection.close()


def test_two_keys_of_one_id(bench: Bench) -> None:
    """Nobody guesses which of two keys is meant; the second is not made, and the first is left alone."""
    connection = bench.connect(bench.create())
    connection.generate_key(LABEL, KEY_ID)
    sealed = connection.encrypt(KEY_ID, b"the first", AAD)
    with pytest.raises(HsmUnavailable, match="2 keys with CKA_ID"):
        connection.generate_key(LABEL, KEY_ID)
    assert connection.decrypt(KEY_ID, sealed, AAD) == b"the first"
    assert connection.keys() == [TokenKey(LABEL, KEY_ID)]


def test_a_token_that_is_gone_has_no_missing_keys(bench: Bench) -> None:
    """Where the token is gone its keys are not deleted: the HSM fails, and all is well when it is back."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.generate_key(LABEL, KEY_ID)
    sealed = connection.encrypt(KEY_ID, b"kept", AAD)
    token = bench.token_object(cluster).parent
    moved = token.rename(bench.directory / "moved")
    for call in closed_calls(connection, sealed):
        with pytest.raises(HsmUnavailable, match="token is gone"):
            call()
    moved.rename(token)
    connection.close()
    assert bench.connect(cluster).decrypt(KEY_ID, sealed, AAD) == b"kept"


def test_a_key_is_made_whole_or_not_at_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key whose file cannot be brought to the disk is taken back."""
    cluster = bench.create()
    connection = bench.connect(cluster)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(HsmUnavailable, match="No space left"):
            connection.generate_key(LABEL, KEY_ID)
    assert object_files(bench, cluster) == set()
    connection.generate_key(LABEL, KEY_ID)
    assert connection.has_key(KEY_ID)


def test_a_key_is_on_the_disk_when_it_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key's file and the directory that names it are synced, since SoftHSM2 does neither."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    synced: list[str] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    connection.generate_key(LABEL, KEY_ID)
    (file,) = object_files(bench, cluster)
    assert str(file.resolve()) in synced
    assert synced[-1] == str(file.parent.resolve())
    synced.clear()
    connection.destroy_key(KEY_ID)
    assert synced == [str(file.parent.resolve())]


def test_nobody_can_read_a_key(bench: Bench) -> None:
    """CKA_SENSITIVE and CKA_EXTRACTABLE forbid it to whoever has kmsuser's password, and cannot be turned."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.generate_key(LABEL, KEY_ID)
    connection.close()

    def look(session: pkcs11.Session) -> None:
        (key,) = session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})
        assert isinstance(key, pkcs11.SecretKey)
        always = (Attribute.TOKEN, Attribute.PRIVATE, Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE)
        never_out = (Attribute.NEVER_EXTRACTABLE, Attribute.LOCAL)
        assert all(key[attribute] is True for attribute in (*always, *never_out))
        assert key[Attribute.EXTRACTABLE] is False
        assert (key[Attribute.LABEL], bytes(key[Attribute.ID])) == (LABEL, KEY_ID)
        assert (key[Attribute.KEY_TYPE], key[Attribute.VALUE_LEN]) == (KeyType.AES, 32)
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]
        for attribute, value in ((Attribute.SENSITIVE, False), (Attribute.EXTRACTABLE, True)):
            with pytest.raises(pkcs11.PKCS11Error):
                key[attribute] = value
        wrapper = session.generate_key(KeyType.AES, 256, capabilities=MechanismFlag.WRAP)
        with pytest.raises(pkcs11.KeyUnextractable):
            wrapper.wrap_key(key)  # type: ignore[attr-defined]  # its class is made at run time
        with pytest.raises(pkcs11.AttributeSensitive):
            key.copy({Attribute.TOKEN: False})[Attribute.VALUE]

    inspect_token(bench, cluster, look)


def test_keys_that_somebody_else_made(bench: Bench) -> None:
    """Objects with labels that are no text, or of kinds that KMS does not use, are listed and not used."""
    cluster = bench.create()

    def make(session: pkcs11.Session) -> None:
        session.generate_key(
            KeyType.AES, 256, id=KEY_ID, label="signs", store=True, capabilities=MechanismFlag.SIGN
        )

    inspect_token(bench, cluster, make)
    connection = bench.connect(cluster)
    assert connection.keys() == [TokenKey("signs", KEY_ID)]
    assert not connection.has_key(KEY_ID)
    with pytest.raises(KeyMaterialGone):
        connection.encrypt(KEY_ID, b"x", AAD)


def test_a_module_without_gcm(bench: Bench) -> None:
    """What the module lacks is said, not tried; keys that are there can be listed and destroyed."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.generate_key(LABEL, KEY_ID)
    connection.close()

    def look(session: pkcs11.Session) -> None:
        keys = KeyObjects(session, None, "no CKM_AES_GCM")
        with pytest.raises(KeysUnsupported, match="no CKM_AES_GCM"):
            keys.generate("another", OTHER_ID)
        with pytest.raises(KeysUnsupported, match="no CKM_AES_GCM"):
            keys.encrypt(KEY_ID, b"x", AAD)
        assert keys.all() == [TokenKey(LABEL, KEY_ID)]
        keys.destroy(KEY_ID)
        assert keys.all() == []

    inspect_token(bench, cluster, look)


def test_a_copy_of_the_token_has_its_keys(bench: Bench) -> None:
    """A backup holds the keys as they were: what they have encrypted can be decrypted in its cluster."""
    cluster = bench.create()
    connection = bench.connect(cluster)
    connection.generate_key(LABEL, KEY_ID)
    sealed = connection.encrypt(KEY_ID, b"from before", AAD)
    bench.hsm.back_up(cluster, "backup-aaaaaaaaaaa")
    connection.close()
    shutil.rmtree(bench.home(cluster))
    bench.hsm.restore("backup-aaaaaaaaaaa", cluster.id)
    assert bench.connect(cluster).decrypt(KEY_ID, sealed, AAD) == b"from before"
