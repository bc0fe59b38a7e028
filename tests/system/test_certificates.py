"""Trust anchors are certificates that CloudHSM's own rules would take."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from hsmstore.domain.limits import TRUST_ANCHOR_MAX
from hsmstore.domain.ports import Certificates
from hsmstore.system.certificates import X509Certificates

CERTIFICATES: Certificates = X509Certificates()
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
CLUSTER = "cluster-abcd2345efg"


@pytest.fixture(scope="module")
def anchor() -> str:
    """Return one trust anchor for the tests that only look at it."""
    return CERTIFICATES.new_trust_anchor(CLUSTER, NOW.timestamp())


def test_it_signed_itself(anchor: str) -> None:
    """The certificate verifies under its own RSA-2048 key, which CloudHSM demands."""
    certificate = x509.load_pem_x509_certificate(anchor.encode())
    certificate.verify_directly_issued_by(certificate)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048


def test_it_is_an_authority(anchor: str) -> None:
    """BasicConstraints says so, critically."""
    extension = x509.load_pem_x509_certificate(anchor.encode()).extensions.get_extension_for_class(
        x509.BasicConstraints
    )
    assert extension.critical
    assert extension.value.ca


def test_it_names_its_cluster_and_what_it_is(anchor: str) -> None:
    """The subject holds the cluster's id, and nobody can take it for the real thing."""
    subject = x509.load_pem_x509_certificate(anchor.encode()).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == CLUSTER
    assert "SIMULATED" in subject.rfc4514_string()


def test_it_is_valid_from_now_for_ten_years(anchor: str) -> None:
    """Validity counts from the moment that it is given, simulated or not."""
    certificate = x509.load_pem_x509_certificate(anchor.encode())
    assert certificate.not_valid_before_utc == NOW
    assert (certificate.not_valid_after_utc - NOW).days == 3652


def test_it_fits_the_service_model(anchor: str) -> None:
    """It is plain ASCII and no longer than `TrustAnchorCertificate` may be."""
    assert anchor.isascii()
    assert len(anchor) <= TRUST_ANCHOR_MAX


def test_form_makes_no_difference(anchor: str) -> None:
    """Line ends and text around the PEM block don't make it another certificate."""
    assert CERTIFICATES.same(anchor, anchor)
    assert CERTIFICATES.same(anchor, anchor.replace("\n", "\r\n"))
    assert CERTIFICATES.same(f"Certificate:\n    Data: ...\n{anchor}\n\n", anchor)


def test_every_cluster_has_its_own(anchor: str) -> None:
    """A second certificate for the same name at the same time is another one."""
    assert not CERTIFICATES.same(anchor, CERTIFICATES.new_trust_anchor(CLUSTER, NOW.timestamp()))


@pytest.mark.parametrize(
    "text", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\ud800"]
)
def test_what_is_no_certificate_is_the_same_as_none(anchor: str, text: str) -> None:
    """Rubbish equals neither a certificate nor itself, and raises nothing."""
    assert not CERTIFICATES.same(anchor, text)
    assert not CERTIFICATES.same(text, anchor)
    assert not CERTIFICATES.same(text, text)
