"""The roots that may vouch for a document. None is trusted that was not named.

Test roots are kept apart from AWS's: a certificate that bears AWS's name and is not AWS's is refused, so what
is made here never passes for the real thing, and every verified document says which root vouched for it.
"""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hsmstore.attestation.chain import common_name, read_certificate
from hsmstore.domain.errors import EnvironmentUnfit

AWS: Final = "aws"
"""The name of AWS's root where a file would stand."""

AWS_COMMON_NAME: Final = "aws.nitro-enclaves"
AWS_FINGERPRINT: Final = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
"""SHA-256 of the certificate, as the Nitro Enclaves User Guide publishes it."""

_AWS_ROOT_G1: Final = b"""\
-----BEGIN CERTIFICATE-----
MIICETCCAZagAwIBAgIRAPkxdWgbkK/hHUbMtOTn+FYwCgYIKoZIzj0EAwMwSTEL
MAkGA1UEBhMCVVMxDzANBgNVBAoMBkFtYXpvbjEMMAoGA1UECwwDQVdTMRswGQYD
VQQDDBJhd3Mubml0cm8tZW5jbGF2ZXMwHhcNMTkxMDI4MTMyODA1WhcNNDkxMDI4
MTQyODA1WjBJMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGQW1hem9uMQwwCgYDVQQL
DANBV1MxGzAZBgNVBAMMEmF3cy5uaXRyby1lbmNsYXZlczB2MBAGByqGSM49AgEG
BSuBBAAiA2IABPwCVOumCMHzaHDimtqQvkY4MpJzbolL//Zy2YlES1BR5TSksfbb
48C8WBoyt7F2Bw7eEtaaP+ohG2bnUs990d0JX28TcPQXCEPZ3BABIeTPYwEoCWZE
h8l5YoQwTcU/9KNCMEAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkCW1DdkF
R+eWw5b6cp3PmanfS5YwDgYDVR0PAQH/BAQDAgGGMAoGCCqGSM49BAMDA2kAMGYC
MQCjfy+Rocm9Xue4YnwWmNJVA44fA0P5W2OpYow9OYCVRaEevL8uO1XYru5xtMPW
rfMCMQCi85sWBbJwKKXdS6BptQFuZbT73o/gBh1qUxl/nNr12UO8Yfwr6wPLb+6N
IwLz3/Y=
-----END CERTIFICATE-----
"""

_PEM: Final = b"-----BEGIN CERTIFICATE-----"


def load_roots(named: Iterable[str]) -> frozenset[bytes]:
    """Return the DER of the roots: each is `aws`, or a file with one certificate in PEM or DER.

    Raises:
        EnvironmentUnfit: a file cannot be read, or holds no root that could be trusted.

    """
    return frozenset(aws_root() if name == AWS else _from_file(Path(name)) for name in named)


def aws_root(pem: bytes = _AWS_ROOT_G1) -> bytes:
    """Return the DER of AWS's root G1, of which the fingerprint has been checked.

    Raises:
        EnvironmentUnfit: somebody has changed it in this installation.

    """
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    if sha256(der).hexdigest() != AWS_FINGERPRINT:
        raise EnvironmentUnfit(
            "the built-in root of AWS does not have the fingerprint that AWS publishes",
            "install hsmstore again",
        )
    return der


def _from_file(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EnvironmentUnfit(
            f"the attestation root {path} cannot be read: {error.strerror}",
            "name a certificate's file, or `aws`; `hsmstore attest init` makes a test root",
        ) from error
    try:
        return checked_root(content)
    except ValueError as error:
        raise EnvironmentUnfit(
            f"the attestation root {path} cannot be trusted: {error}",
            "name the root.pem that `hsmstore attest init` made, or `aws`",
        ) from error


def checked_root(content: bytes) -> bytes:
    """Return the DER of the one root certificate in `content`, PEM or DER.

    Raises:
        ValueError: there is not one, it is of another kind, or it takes AWS's name in vain.

    """
    if content.count(_PEM) > 1:
        raise ValueError("the file holds more than one certificate")
    certificate = x509.load_pem_x509_certificate(content) if _PEM in content else None
    link = read_certificate(certificate.public_bytes(Encoding.DER) if certificate else content)
    if link.certificate.subject != link.certificate.issuer:
        raise ValueError("it is not self-signed")
    der = link.certificate.public_bytes(Encoding.DER)
    if common_name(link.certificate) == AWS_COMMON_NAME and sha256(der).hexdigest() != AWS_FINGERPRINT:
        raise ValueError("it bears the name of AWS's root and is not that")
    return der
