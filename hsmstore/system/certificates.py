"""Trust anchors of simulated clusters: what CloudHSM calls `customerCA.crt`.

CloudHSM takes RSA keys of 2048 or 4096 bits only (User Guide, "Initialize the cluster"), so it is RSA-2048
here, although a curve's key would be made a thousand times faster (some 60 ms against 60 µs).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # x509 takes 30 ms of a start that may never need a certificate
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

_VALIDITY: Final = timedelta(days=3652)  # the User Guide's own example: ten years
_KEY_BITS: Final = 2048
_PUBLIC_EXPONENT: Final = 65537


def new_rsa_key() -> "rsa.RSAPrivateKey":
    """Return a new key pair, as large as CloudHSM's smallest."""
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415  # see above

    return rsa.generate_private_key(_PUBLIC_EXPONENT, _KEY_BITS)


class X509Certificates:
    """The Certificates of real, self-signed certificate authorities that sign nothing."""

    def __init__(self, new_key: Callable[[], "rsa.RSAPrivateKey"] = new_rsa_key) -> None:
        """Take what gives the key pair of each certificate."""
        self._new_key = new_key

    def new_trust_anchor(self, cluster_id: str, now: float) -> str:
        """Return a fresh self-signed CA certificate for the cluster, PEM, about 1.2 kB.

        Its private key is thrown away: nothing here needs a signature of it, and what does not exist
        cannot leak. `now` is in seconds since the epoch and becomes the start of ten years' validity.
        """
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415  # see above

        key = self._new_key()
        certificate = _authority(_subject(cluster_id), key.public_key(), now).sign(key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def same(self, one: str, other: str) -> bool:
        """Tell whether two PEM texts hold the same certificate, compared as DER.

        Text around the PEM block, line ends and line lengths make no difference. What holds no
        certificate is the same as nothing, itself included.
        """
        from cryptography import x509  # noqa: PLC0415  # see above

        try:
            first, second = (x509.load_pem_x509_certificate(text.encode()) for text in (one, other))
        except ValueError:
            return False
        return first == second  # cryptography compares the DER bytes


def _subject(cluster_id: str) -> "x509.Name":
    from cryptography import x509  # noqa: PLC0415  # see above
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SIMULATED by hsmstore"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "CloudHSM customer CA"),
            x509.NameAttribute(NameOID.COMMON_NAME, cluster_id),
        ]
    )


def _authority(subject: "x509.Name", public_key: "rsa.RSAPublicKey", now: float) -> "x509.CertificateBuilder":
    """Return the certificate that `openssl req -x509` would make of `subject`, as yet unsigned."""
    from cryptography import x509  # noqa: PLC0415  # see above

    start = datetime.fromtimestamp(now, UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
