"""Who may vouch: what is named, and nothing that takes AWS's name in vain."""

from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hsmstore.attestation.pki import (
    KEY_FILE,
    ROOT_FILE,
    Authority,
    load_root,
    new_root,
    root_template,
    save_root,
)
from hsmstore.attestation.roots import AWS_COMMON_NAME, AWS_FINGERPRINT, aws_root, load_roots
from hsmstore.domain.errors import EnvironmentUnfit


def pem(root: Authority) -> bytes:
    """Return a root as a file holds it."""
    return root.certificate.public_bytes(Encoding.PEM)


def test_aws() -> None:
    """`aws` is the root with the fingerprint that AWS publishes."""
    (der,) = load_roots(["aws"])
    assert sha256(der).hexdigest() == AWS_FINGERPRINT
    assert x509.load_der_x509_certificate(der).subject.rfc4514_string() == (
        "CN=aws.nitro-enclaves,OU=AWS,O=Amazon,C=US"
    )


def test_a_changed_aws_root_is_noticed(root: Authority) -> None:
    """The built-in root is compared with the fingerprint each time."""
    with pytest.raises(EnvironmentUnfit, match="fingerprint"):
        aws_root(pem(root))


def test_files(tmp_path: Path, root: Authority) -> None:
    """A root's file may be PEM or DER; AWS's own may be one of them."""
    files = {"a.pem": pem(root), "a.der": root.der, "aws.der": aws_root()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    named = [str(tmp_path / name) for name in files]
    assert load_roots(named) == {root.der, aws_root()}
    assert load_roots([]) == frozenset()


def _impostor() -> bytes:
    return pem(root_template(AWS_COMMON_NAME).issue())


def _no_root() -> bytes:
    template = root_template("somebody.else")
    return pem(template.issue(new_root()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_impostor, "bears the name of AWS's root"),
        (_no_root, "not self-signed"),
        (lambda: pem(new_root()) + pem(new_root()), "more than one certificate"),
        (lambda: b"", "cannot be read"),
        (lambda: b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n", "cannot be trusted"),
    ],
    ids=["impostor", "no root", "two", "empty", "broken"],
)
def test_not_to_be_trusted(tmp_path: Path, content: object, reason: str) -> None:
    """What is no single root, or bears AWS's name without being it, is refused with the reason."""
    file = tmp_path / "root.pem"
    assert callable(content)
    file.write_bytes(content())
    with pytest.raises(EnvironmentUnfit, match=reason) as refused:
        load_roots([str(file)])
    assert str(file) in refused.value.reason


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(EnvironmentUnfit, match="No such file"):
        load_roots([str(tmp_path / "none.pem")])


def test_a_saved_root_is_loaded(tmp_path: Path, root: Authority) -> None:
    """What was saved is loaded; only its owner may read the key; nothing is written over it."""
    save_root(tmp_path / "pki", root)
    assert load_root(tmp_path / "pki").der == root.der
    assert (tmp_path / "pki" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        save_root(tmp_path / "pki", new_root())


def test_a_half_root_is_refused(tmp_path: Path, root: Authority) -> None:
    """A directory without a root, or with the key of another, is refused."""
    with pytest.raises(EnvironmentUnfit, match="attest init"):
        load_root(tmp_path)
    save_root(tmp_path / "pki", root)
    (tmp_path / "pki" / ROOT_FILE).write_bytes(pem(new_root()))
    with pytest.raises(EnvironmentUnfit, match="another certificate"):
        load_root(tmp_path / "pki")
    (tmp_path / "pki" / KEY_FILE).write_bytes(b"x")
    with pytest.raises(EnvironmentUnfit, match="not whole"):
        load_root(tmp_path / "pki")
