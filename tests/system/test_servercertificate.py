"""The certificate that a server makes for itself: kept while it serves, made anew when it does not."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from hsmstore.system.servercertificate import AUTHORITY, DIRECTORY, REST, SERVER, VALIDITY, server_certificate

NOW = 1_780_000_000.0
NAMES = ["localhost", "127.0.0.1", "::1", "hsmstore", "*.example.com"]


def read(data_dir: Path, name: str) -> bytes:
    """Return a file of the certificate's directory."""
    return (data_dir / DIRECTORY / name).read_bytes()


def test_what_is_made(tmp_path: Path) -> None:
    """A certificate of all names, its key for the owner alone, and the authority, whose key is nowhere."""
    file, is_new = server_certificate(tmp_path, NAMES, NOW)
    assert is_new
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in file.parent.iterdir()} == {AUTHORITY, SERVER}
    assert read(tmp_path, SERVER).count(b"PRIVATE KEY-----") == 2
    assert b"PRIVATE" not in read(tmp_path, AUTHORITY)
    certificate = x509.load_pem_x509_certificate(read(tmp_path, SERVER))
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(read(tmp_path, AUTHORITY)))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "hsmstore", "*.example.com"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)


def test_it_is_kept(tmp_path: Path) -> None:
    """As long as it is good, whatever the order of the names."""
    server_certificate(tmp_path, NAMES, NOW)
    before = read(tmp_path, SERVER)
    later = NOW + (VALIDITY - 2 * REST).total_seconds()
    assert server_certificate(tmp_path, NAMES[::-1], later) == (tmp_path / DIRECTORY / SERVER, False)
    assert read(tmp_path, SERVER) == before


@pytest.mark.parametrize(
    ("name", "content"), [(SERVER, b""), (SERVER, b"\xff"), (AUTHORITY, None), (AUTHORITY, b"no certificate")]
)
def test_it_is_made_anew_where_a_file_is_no_good(tmp_path: Path, name: str, content: bytes | None) -> None:
    """A crash may have left one of the two."""
    file, _ = server_certificate(tmp_path, NAMES, NOW)
    if content is None:
        (file.parent / name).unlink()
    else:
        (file.parent / name).write_bytes(content)
    assert server_certificate(tmp_path, NAMES, NOW)[1]


def test_it_is_made_anew_for_other_names_and_before_it_ends(tmp_path: Path) -> None:
    """And where the authority beside it is another's."""
    file, _ = server_certificate(tmp_path, NAMES, NOW)
    assert server_certificate(tmp_path, NAMES[1:], NOW)[1]
    assert server_certificate(tmp_path, NAMES[1:], NOW + VALIDITY.total_seconds())[1]
    other, _ = server_certificate(tmp_path / "..", NAMES, NOW)
    (file.parent / AUTHORITY).write_bytes(read(other.parent.parent, AUTHORITY))
    assert server_certificate(tmp_path, NAMES[1:], NOW + VALIDITY.total_seconds())[1]
