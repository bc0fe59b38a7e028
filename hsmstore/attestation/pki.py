"""A test PKI in the shape of AWS's: root, Region, zone, instance, leaf.

The five kinds of certificate have the validity, pathLen, key usage and identifiers that real ones have. The
names are not AWS's, so that nobody takes one for the other; the root is what decides.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hsmstore.attestation.roots import checked_root
from hsmstore.domain.errors import EnvironmentUnfit

ROOT_NAME: Final = "hsmstore.nitro-enclaves"
ROOT_FILE: Final = "root.pem"
KEY_FILE: Final = "root.key"

# As AWS's root has it, so that a test's clock may stand anywhere in between.
_ROOT_START: Final = datetime(2019, 10, 28, 13, 28, 5, tzinfo=UTC)
_ROOT_END: Final = datetime(2049, 10, 28, 14, 28, 5, tzinfo=UTC)

_BACK_DATED: Final = timedelta(hours=1)
_LEAF_BACK_DATED: Final = timedelta(seconds=3)
_REGION_LIFE: Final = timedelta(days=20)
_ZONE_LIFE: Final = timedelta(days=5)
_INSTANCE_LIFE: Final = timedelta(hours=24)
LEAF_LIFE: Final = timedelta(hours=3)

_SIMULATED: Final = {
    NameOID.ORGANIZATION_NAME: "SIMULATED by hsmstore",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "Nitro",
}


class Authority(NamedTuple):
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        """The certificate as it stands in a document."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of that, in hexadecimal."""
        return sha256(self.der).hexdigest()


def usage(*names: str) -> x509.KeyUsage:
    """Return the key usage that allows what is named, and nothing else."""
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in names for name in every})


@dataclass(kw_only=True)
class Template:
    """A certificate to be issued. A test changes what it wants to be wrong."""

    name: x509.Name
    start: datetime
    end: datetime
    constraints: x509.ExtensionType | None
    constraints_critical: bool = True
    usage: x509.KeyUsage | None
    usage_critical: bool = True
    identified: bool = False
    curve: ec.EllipticCurve = field(default_factory=ec.SECP384R1)
    digest: hashes.SHA256 | hashes.SHA384 = field(default_factory=hashes.SHA384)
    more: list[tuple[x509.ExtensionType, bool]] = field(default_factory=list)

    def issue(self, issuer: Authority | None = None) -> Authority:
        """Return the certificate with a new key, signed by `issuer` or by itself."""
        key = ec.generate_private_key(self.curve)
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.certificate.subject if issuer else self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.start)
            .not_valid_after(self.end)
        )
        for extension, critical in self._extensions(key.public_key(), issuer):
            builder = builder.add_extension(extension, critical)
        return Authority(builder.sign(signer, self.digest), key)

    def _extensions(
        self, key: ec.EllipticCurvePublicKey, issuer: Authority | None
    ) -> list[tuple[x509.ExtensionType, bool]]:
        found: list[tuple[x509.ExtensionType, bool]] = []
        if self.constraints is not None:
            found.append((self.constraints, self.constraints_critical))
        if self.identified and issuer is not None:
            authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
            found.append((authority, False))
        if self.identified:
            found.append((x509.SubjectKeyIdentifier.from_public_key(key), False))
        if self.usage is not None:
            found.append((self.usage, self.usage_critical))
        return found + self.more


_SIGNS_ALL: Final = ("digital_signature", "key_cert_sign", "crl_sign")


def root_template(common_name: str = ROOT_NAME) -> Template:
    """Return a root's template: pathLen unbounded, identified, thirty years."""
    return Template(
        name=_name(common_name),
        start=_ROOT_START,
        end=_ROOT_END,
        constraints=x509.BasicConstraints(ca=True, path_length=None),
        usage=usage(*_SIGNS_ALL),
        identified=True,
    )


def chain_templates(at: float, region: str, instance_id: str, module_id: str, tag: str) -> list[Template]:
    """Return the templates of Region, zone, instance and leaf, valid from just before `at`.

    `tag` is a hexadecimal number that tells two hierarchies apart.
    """
    now = datetime.fromtimestamp(int(at), UTC)
    return [
        _authority(f"{tag}.{region}.{ROOT_NAME}", now, _REGION_LIFE, 2),
        _authority(f"{tag[::-1]}.zonal.{region}.{ROOT_NAME}", now, _ZONE_LIFE, 1, located=True),
        Template(
            name=_name(f"{instance_id}.{region}.{ROOT_NAME}", located=True),
            start=now - _LEAF_BACK_DATED,
            end=now + _INSTANCE_LIFE,
            constraints=x509.BasicConstraints(ca=True, path_length=0),
            usage=usage("key_cert_sign"),
        ),
        Template(
            name=_name(f"{module_id}.{region}.hsmstore", located=True),
            start=now - _LEAF_BACK_DATED,
            end=now + LEAF_LIFE,
            constraints=x509.BasicConstraints(ca=False, path_length=None),
            usage=usage("digital_signature", "content_commitment"),
            usage_critical=False,
        ),
    ]


def _authority(
    common_name: str, now: datetime, life: timedelta, path_length: int, *, located: bool = False
) -> Template:
    return Template(
        name=_name(common_name, located=located),
        start=now - _BACK_DATED,
        end=now + life,
        constraints=x509.BasicConstraints(ca=True, path_length=path_length),
        usage=usage(*_SIGNS_ALL),
        identified=True,
        more=[(_revocation(common_name), False)],
    )


def _revocation(common_name: str) -> x509.CRLDistributionPoints:
    """Return a distribution point that nobody asks; the name is one that never exists (RFC 2606)."""
    url = x509.UniformResourceIdentifier(f"http://crl.hsmstore.invalid/crl/{common_name}.crl")
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint(full_name=[url], relative_name=None, reasons=None, crl_issuer=None)]
    )


def _name(common_name: str, *, located: bool = False) -> x509.Name:
    place: Mapping[x509.ObjectIdentifier, str] = (
        {NameOID.STATE_OR_PROVINCE_NAME: "Washington", NameOID.LOCALITY_NAME: "Seattle"} if located else {}
    )
    parts = {NameOID.COUNTRY_NAME: "US", **place, **_SIMULATED, NameOID.COMMON_NAME: common_name}
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


def new_root() -> Authority:
    """Return a new test root."""
    return root_template().issue()


def save_root(directory: Path, root: Authority) -> None:
    """Write a root's certificate and key (mode 0600) into `directory`, which is made where it is missing.

    Raises:
        OSError: there is one already, or it cannot be written.

    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = root.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(directory / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    (directory / ROOT_FILE).write_bytes(root.certificate.public_bytes(serialization.Encoding.PEM))


def load_root(directory: Path) -> Authority:
    """Return the root that `save_root` wrote.

    Raises:
        EnvironmentUnfit: there is none, or it is not whole.

    """
    mend = f"make one with `hsmstore attest init {directory}`"
    try:
        der = checked_root((directory / ROOT_FILE).read_bytes())
        key = serialization.load_pem_private_key((directory / KEY_FILE).read_bytes(), None)
    except OSError as error:
        reason = f"the test PKI {directory} cannot be read: {error.strerror}"
        raise EnvironmentUnfit(reason, mend) from error
    except (ValueError, TypeError) as error:
        raise EnvironmentUnfit(f"the test PKI {directory} is not whole: {error}", mend) from error
    certificate = x509.load_der_x509_certificate(der)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise EnvironmentUnfit(f"the test PKI {directory} has a key of another certificate", mend)
    return Authority(certificate, key)
