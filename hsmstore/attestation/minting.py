"""Making attestation documents without an enclave, byte for byte laid out as the Nitro Secure Module does.

    >>> root = new_root()
    >>> document = Module(root, at=now).attest(Claims(public_key=spki, pcrs={0: bytes(48)}), at=now)

What comes out passes every check, under a test root. `broken` makes documents that fail one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha384
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from hsmstore.attestation import cbor
from hsmstore.attestation.pki import Authority, Template, chain_templates, new_root
from hsmstore.attestation.verifying import to_be_signed
from hsmstore.domain.attestation import Family

__all__ = ["Claims", "Draft", "Module", "measured", "new_root"]

PROTECTED: Final = cbor.encode({1: -35})
TAG_SIGN1: Final = b"\xd2"
PCR_SIZE: Final = 48
PCRS: Final = 16
ROLE_PCR: Final = 3
INSTANCE_PCR: Final = 4
_DEBUG_PCRS: Final = range(3)
_HALF: Final = 48


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a document is to say. PCRs that are not named are zero, but for PCR3 and PCR4.

    PCR3 measures the role and PCR4 the instance (`measured`). In debug mode PCR0 to PCR2 are zero whatever
    the image is, and the others are not, as in real documents of enclaves in debug mode.
    """

    public_key: bytes | None = None
    pcrs: Mapping[int, bytes] = field(default_factory=dict)
    role_arn: str | None = None
    nonce: bytes | None = None
    user_data: bytes | None = None
    debug: bool = False
    family: Family = Family.ENCLAVE
    tagged: bool = False


def measured(text: str) -> bytes:
    """Return the PCR of one measurement: SHA-384 over 48 zero bytes and the text (verified on real PCR4s)."""
    return sha384(bytes(PCR_SIZE) + text.encode()).digest()


@dataclass(kw_only=True)
class Draft:
    """A document before it is signed, and how each step of making it is done; a test bends what it likes."""

    templates: list[Template]
    fields: dict[int | str, object]
    tagged: bool = False
    protected: object = PROTECTED
    unprotected: object = field(default_factory=dict)
    below: Callable[[Authority], Authority] = field(default=lambda root: root)
    bundle: Callable[[list[bytes]], object] = list
    encode_fields: Callable[[object], bytes] = cbor.encode
    sign: Callable[[ec.EllipticCurvePrivateKey, bytes], bytes] = field(default_factory=lambda: signature)
    finish: Callable[[list[object]], bytes] = cbor.encode

    def chain(self, root: Authority) -> list[Authority]:
        """Issue the certificates, from the root to the leaf."""
        chain = [self.below(root)]
        for template in self.templates:
            chain.append(template.issue(chain[-1]))
        return chain

    def document(self, root: Authority) -> bytes:
        """Return the document, with a chain of its own below `root`."""
        return self.signed(self.chain(root))

    def signed(self, chain: list[Authority]) -> bytes:
        """Return the document, signed with the key of the last certificate of `chain`."""
        *authorities, leaf = chain
        fields = dict(self.fields)
        if fields.get("certificate") == b"":
            fields["certificate"] = leaf.der
        if fields.get("cabundle") == []:
            fields["cabundle"] = self.bundle([authority.der for authority in authorities])
        payload = self.encode_fields(fields)
        protected = self.protected if isinstance(self.protected, bytes) else PROTECTED
        signed = self.sign(leaf.key, to_be_signed(protected, payload))
        whole = self.finish([self.protected, self.unprotected, payload, signed])
        return TAG_SIGN1 + whole if self.tagged else whole


def signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return the ES384 signature: r and s, each as long as the field."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


class Module:
    """A Nitro Secure Module: many documents under one chain, which a real one keeps for hours, too."""

    def __init__(
        self, root: Authority, at: float, *, instance_id: str | None = None, region: str = "us-east-1"
    ) -> None:
        """Boot at `at`, in seconds since the epoch; without an id the instance gets a random one."""
        tag = f"{x509.random_serial_number():040x}"
        self.instance_id = instance_id or f"i-{tag[:17]}"
        self.module_id = f"{self.instance_id}-enc{tag[:16]}"
        self._templates = chain_templates(at, region, self.instance_id, self.module_id, tag[:16])
        self._chain: list[Authority] = Draft(templates=self._templates, fields={}).chain(root)

    def attest(self, claims: Claims, at: float) -> bytes:
        """Return the document of these claims with the timestamp `at`."""
        return self.draft(claims, at).signed(self._chain)

    def draft(self, claims: Claims, at: float) -> Draft:
        """Return the document before it is signed; `Draft.document` gives it a chain of its own."""
        fields: dict[int | str, object] = {
            "module_id": self.module_id,
            "digest": "SHA384",
            "timestamp": int(at * 1000),
            claims.family.value: self._pcrs(claims),
            "certificate": b"",  # known when the chain is
            "cabundle": [],
            "public_key": claims.public_key,
            "user_data": claims.user_data,
            "nonce": claims.nonce,
        }
        return Draft(templates=self._templates, fields=fields, tagged=claims.tagged)

    def _pcrs(self, claims: Claims) -> dict[int | str, object]:
        pcrs = dict.fromkeys(range(PCRS), bytes(PCR_SIZE))
        if claims.role_arn is not None:
            pcrs[ROLE_PCR] = measured(claims.role_arn)
        pcrs[INSTANCE_PCR] = measured(self.instance_id)
        pcrs |= claims.pcrs
        if claims.debug:
            pcrs |= dict.fromkeys(_DEBUG_PCRS, bytes(PCR_SIZE))
        return {index: pcrs[index] for index in sorted(pcrs)}
