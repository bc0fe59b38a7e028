"""The file of principals: written whole, read strictly, and read again when it has changed."""

import json
import logging
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.principal import (
    Principal,
    PrincipalType,
    new_access_key_id,
    new_secret_access_key,
)
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.principals import AccessKeyEntry, FilePrincipals, PrincipalEntry, changing

KEY = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "a secret"}
ALICE = {"Name": "alice", "Account": "111122223333", "AccessKeys": [KEY]}
LENT = {
    "AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
    "SecretAccessKey": "lent",
    "SessionToken": "token",
    "Expiration": "2027-01-01T00:00:00Z",
}

DRAWING = '{"Effect":"Allow","Action":"kms:GenerateRandom","Resource":"*"}'


def written(path: Path, *principals: Any) -> Path:
    """Write a file of these principals."""
    path.write_text(json.dumps({"Principals": principals}))
    path.chmod(0o600)
    return path


def add(path: Path, name: str) -> None:
    """Add a principal as the command does."""
    with changing(path, SystemEntropy()) as document:
        key = AccessKeyEntry(
            access_key_id=f"AKIAIOSFODNN{name:>08}".replace(" ", "A"), secret_access_key=name
        )
        document.principals.append(PrincipalEntry(name=name, account="111122223333", access_keys=[key]))


def test_what_is_read(tmp_path: Path) -> None:
    """A credential says whose it is, and with which policies."""
    more = f'{{"Version":"2012-10-17","Statement":[{DRAWING}]}}'
    (tmp_path / "more.json").write_text(more)
    role = {"Name": "build", "Type": "role", "Account": "111122223333", "TemporaryCredentials": [LENT]}
    entry = ALICE | {"Tags": {"team": "red"}, "Policies": [{"Statement": json.loads(DRAWING)}, "more.json"]}
    known = FilePrincipals(written(tmp_path / "file", entry, role)).credentials
    alice = known["AKIAIOSFODNN7EXAMPLE"].caller.principal
    assert alice is not None
    assert (alice.arn, alice.tags) == ("arn:aws:iam::111122223333:user/alice", {"team": "red"})
    assert alice.policies == (f'{{"Statement":{DRAWING}}}', more)
    lent = known["ASIAIOSFODNN7EXAMPLE"]
    assert (lent.session_token, lent.expires) == ("token", 1798761600.0)
    session = "arn:aws:sts::111122223333:assumed-role/build/ASIAIOSFODNN7EXAMPLE"
    assert lent.caller.arn == session
    assert "lent" not in repr(lent)
    assert "token" not in repr(lent)


WRONG = {
    "no JSON": b"{",
    "a list": b"[]",
    "no UTF-8": b'{"Principals": [{"Name": "\xff"}]}',
    "another member": json.dumps({"Principals": [ALICE | {"Password": "a secret"}]}).encode(),
    "no account": b'{"Principals": [{"Name": "alice"}]}',
    "no name": b'{"Principals": [{"Name": "a b", "Account": "111122223333"}]}',
    "no type": json.dumps({"Principals": [ALICE | {"Type": "group"}]}).encode(),
    "no time zone": json.dumps(
        {"Principals": [ALICE | {"TemporaryCredentials": [LENT | {"Expiration": "2027-01-01T00:00:00"}]}]}
    ).encode(),
    "a key twice": json.dumps({"Principals": [ALICE, ALICE | {"Name": "bob"}]}).encode(),
    "a name twice": json.dumps({"Principals": [ALICE, ALICE | {"AccessKeys": []}]}).encode(),
    "a policy that is missing": json.dumps({"Principals": [ALICE | {"Policies": ["none.json"]}]}).encode(),
    "no policy": json.dumps({"Principals": [ALICE | {"Policies": ["list"]}]}).encode(),
    "too deep": b'{"Principals": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_files(tmp_path: Path, wrong: str) -> None:
    """A file that is wrong is refused in one line, which names a file and no secret."""
    (tmp_path / "list").write_text("[]")
    path = tmp_path / "file"
    path.write_bytes(WRONG[wrong])
    with pytest.raises(EnvironmentUnfit) as refused:
        FilePrincipals(path)
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "a secret" not in str(refused.value)


@pytest.mark.parametrize("path", ["none", ".", "none/file"])
def test_no_file(tmp_path: Path, path: str) -> None:
    """A file that cannot be read is refused, and so is one that cannot be written."""
    with pytest.raises(EnvironmentUnfit, match="cannot be used"):
        FilePrincipals(tmp_path / path)
    if path != "none":
        with pytest.raises(EnvironmentUnfit, match="cannot be used"):
            add(tmp_path / path, "bob")


def test_written_whole(tmp_path: Path) -> None:
    """A change is a new file, mode 0600 whatever the mask; a link stays one, and nothing else is left."""
    real, path = tmp_path / "real", tmp_path / "link"
    path.symlink_to(real)
    before = os.umask(0)
    try:
        add(path, "alice")
    finally:
        os.umask(before)
    assert real.stat().st_mode & 0o777 == 0o600
    inode = real.stat().st_ino
    keep = real.open("rb")  # so that its inode is not given out again
    add(path, "bob")
    assert (path.is_symlink(), real.stat().st_ino != inode) == (True, True)
    keep.close()
    assert {one.name for one in tmp_path.iterdir()} == {"real", "link"}
    assert [one["Name"] for one in json.loads(real.read_text())["Principals"]] == ["alice", "bob"]


def test_many_writers(tmp_path: Path) -> None:
    """Who changes the file at the same time loses nothing of the others."""
    names = [f"user{number:02}" for number in range(16)]
    threads = [threading.Thread(target=add, args=(tmp_path / "file", name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    document = json.loads((tmp_path / "file").read_text())
    assert sorted(one["Name"] for one in document["Principals"]) == names


def test_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A look finds what has changed, a policy's file too; what is no good, or gone, leaves all as it was."""
    policy = tmp_path / "policy.json"
    policy.write_text(f'{{"Statement":{DRAWING}}}')
    path = written(tmp_path / "file", ALICE | {"Policies": ["policy.json"]})
    principals = FilePrincipals(path)
    first = principals.credentials
    principals.look()
    assert principals.credentials is first
    other = f'{{"Id":"other","Statement":{DRAWING}}}'
    policy.write_text(other)
    principals.look()
    alice = principals.credentials["AKIAIOSFODNN7EXAMPLE"].caller.principal
    assert alice is not None
    assert alice.policies == (other,)
    second = principals.credentials
    for spoil in (lambda: path.write_text("{"), path.unlink):
        spoil()
        principals.look()
        principals.look()
        assert principals.credentials is second
    assert caplog.text.count("the principals stay as they are") == 2
    add(path, "bob")
    principals.look()
    assert [one.secret_access_key for one in principals.credentials.values()] == ["bob"]


def test_open_to_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that others may read is used, with a warning."""
    path = written(tmp_path / "file", ALICE)
    with caplog.at_level(logging.WARNING):
        FilePrincipals(path)
        assert caplog.text == ""
        path.chmod(0o640)
        FilePrincipals(path)
    assert f"chmod 600 {path}" in caplog.text


def test_names() -> None:
    """ARNs and unique ids are of IAM's forms; the root user has the account's."""
    user, role, root = (
        Principal(name="x", type=kind, account="111122223333")
        for kind in (PrincipalType.USER, PrincipalType.ROLE, PrincipalType.ROOT)
    )
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", user.id)
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", role.id)
    assert (root.arn, root.id) == ("arn:aws:iam::111122223333:root", "111122223333")
    random_bytes = SystemEntropy().random_bytes
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", new_access_key_id(random_bytes))
    assert re.fullmatch(r"ASIA[A-Z2-7]{16}", new_access_key_id(random_bytes, temporary=True))
    assert re.fullmatch(r"[A-Za-z0-9/+]{40}", new_secret_access_key(random_bytes))
