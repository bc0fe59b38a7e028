"""The certificates of a document: from its leaf to a root that is trusted here.

`cryptography` finds a path and checks names, signatures, pathLen, CA flags and unknown critical extensions.
What it would let pass is checked here: it takes the bundle for a pool without order, and other curves and
hashes than AWS's. No revocation list is asked; AWS says to switch that off.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
)

from hsmstore.domain.attestation import AttestationRefused, Check


class Chain(NamedTuple):
    """Certificates that have been verified, and the time (seconds since the epoch) in which all are valid."""

    leaf_key: ec.EllipticCurvePublicKey
    root: str
    not_before: float
    not_after: float


class Link(NamedTuple):
    """One certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePublicKey


def verify_chain(certificate: bytes, cabundle: Sequence[bytes], roots: frozenset[bytes], now: float) -> Chain:
    """Return what is known of the chain at `now`; `roots` are the trusted certificates, all in DER.

    Raises:
        AttestationRefused: CERTIFICATES, ROOT, VALIDITY or CHAIN.

    """
    links = [_read(place, der) for place, der in enumerate((*cabundle, certificate))]
    if cabundle[0] not in roots:
        raise AttestationRefused(Check.ROOT, "the first certificate of the bundle is not a trusted root")
    moment = datetime.fromtimestamp(now, UTC)
    for place, link in enumerate(links):
        _check_validity(place, link.certificate, moment)
    _check_path([link.certificate for link in links], moment)
    starts, ends = zip(
        *((link.certificate.not_valid_before_utc, link.certificate.not_valid_after_utc) for link in links),
        strict=True,
    )
    return Chain(
        links[-1].key, common_name(links[0].certificate), max(starts).timestamp(), min(ends).timestamp()
    )


def read_certificate(der: bytes) -> Link:
    """Return a certificate of the only kind that AWS's hierarchy has: X.509 v3, P-384, ECDSA with SHA-384.

    Raises:
        ValueError: it is of another kind, or cannot be read.

    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        algorithm = certificate.signature_algorithm_oid
        _ = certificate.extensions, certificate.subject, certificate.issuer
    except Exception as error:  # parts are read late, and what they raise is no closed list: TypeError, too
        raise ValueError("it cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ValueError("its key is not on P-384")  # noqa: TRY004 - a value that is wrong, not an argument's type
    if algorithm != SignatureAlgorithmOID.ECDSA_WITH_SHA384:
        raise ValueError("its signature is not ECDSA with SHA-384")
    return Link(certificate, key)


def common_name(certificate: x509.Certificate) -> str:
    """Return the common name of the subject, or nothing where it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _read(place: int, der: bytes) -> Link:
    try:
        return read_certificate(der)
    except ValueError as error:
        raise AttestationRefused(Check.CERTIFICATES, f"certificate {place}: {error}") from error


def _check_validity(place: int, certificate: x509.Certificate, moment: datetime) -> None:
    if moment < certificate.not_valid_before_utc:
        raise AttestationRefused(Check.VALIDITY, f"certificate {place} is not valid yet")
    if moment > certificate.not_valid_after_utc:
        raise AttestationRefused(Check.VALIDITY, f"certificate {place} has expired")


def _check_path(path: Sequence[x509.Certificate], moment: datetime) -> None:
    """See that `path`, from root to leaf, is a chain in this order and with nothing beside it."""
    root, *intermediates, leaf = path
    verifier = (
        PolicyBuilder()
        .store(Store([root]))
        .time(moment)
        .extension_policies(ca_policy=_CA, ee_policy=_LEAF)
        .build_client_verifier()
    )
    try:
        found = verifier.verify(leaf, intermediates).chain
    except Exception as error:  # a VerificationError, or what a part raises that is read late
        raise AttestationRefused(Check.CHAIN, _reason(error)) from error
    if found != [*reversed(path)]:
        raise AttestationRefused(Check.CHAIN, "the bundle is not in order, or holds more than the chain")


def _reason(error: Exception) -> str:
    """Return what the library says is wrong, without the certificate that it goes on to quote."""
    return str(error).partition(" (encountered")[0].rpartition("candidates exhausted: ")[2]


def _ca_usage(_: Policy, __: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.key_cert_sign:
        raise ValueError("a CA's key usage lacks keyCertSign")


def _leaf_usage(_: Policy, __: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.digital_signature:
        raise ValueError("the leaf's key usage lacks digitalSignature")


def _leaf_constraints(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if constraints.ca:  # a pathLen without it cannot even be read
        raise ValueError("the leaf is a CA")


# AWS's leaves have neither SAN nor AKI, and their key usage is not critical: the library's own policies,
# made for the web, refuse them.
_CA: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.CRITICAL, None)
    .require_present(x509.KeyUsage, Criticality.CRITICAL, _ca_usage)
)
_LEAF: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.CRITICAL, _leaf_constraints)
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _leaf_usage)
)
