"""The server certificate of a server that was given none: made in its data directory, for its own names.

    tls/ca.pem       what clients are told to trust
    tls/server.pem   the certificate and its key, mode 0600

The authority signs this one certificate; its own key is kept nowhere. So whoever trusts it trusts nothing
else, and new names, like a certificate that is about to end, take a new authority.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DIRECTORY: Final = "tls"
AUTHORITY: Final = "ca.pem"
SERVER: Final = "server.pem"

VALIDITY: Final = timedelta(days=825)  # the longest that Apple's systems take
REST: Final = timedelta(days=30)  # a server may run for long; a certificate that ends sooner is made anew
_CLOCKS_APART: Final = timedelta(hours=1)


def server_certificate(data_dir: Path, names: Sequence[str], now: float) -> tuple[Path, bool]:
    """Return the file of the server's certificate and key, and whether they were made just now.

    What is there is kept while it is of the authority beside it, has all `names` (host names and addresses)
    and does not end soon after `now`, in seconds since the epoch. Who calls owns the directory.

    Raises:
        OSError: it cannot be read or made.

    """
    directory = data_dir / DIRECTORY
    start = datetime.fromtimestamp(now, UTC)
    if _serves(directory, names, start):
        return directory / SERVER, False
    directory.mkdir(mode=0o700, exist_ok=True)
    authority, server = _made(names, start)
    _write(directory / AUTHORITY, authority)
    _write(directory / SERVER, server)
    return directory / SERVER, True


def _serves(directory: Path, names: Sequence[str], now: datetime) -> bool:
    try:
        authority = x509.load_pem_x509_certificate((directory / AUTHORITY).read_bytes())
        server = x509.load_pem_x509_certificate((directory / SERVER).read_bytes())
        server.verify_directly_issued_by(authority)
        known = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return set(known) == set(_alternatives(names)) and now + REST < server.not_valid_after_utc


def _made(names: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """Return the authority's certificate, and the server's with its key before it, as PEM."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name("hsmstore, of this data directory only")
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _certificate(issuer, issuer, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _certificate(_name("hsmstore"), issuer, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    return authority.public_bytes(pem), key + server.public_bytes(pem)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_APART)
        .not_valid_after(now - _CLOCKS_APART + VALIDITY)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_alternative(name) for name in dict.fromkeys(names)]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, text: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
