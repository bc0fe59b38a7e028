"""Every check of a document, in order: the cheap ones first, so that rubbish costs microseconds.

`verify` is a pure function of the document, the trusted roots and the time. Not checked, as KMS does not: the
document's own `timestamp` (self-asserted, and a leaf's three hours bound it), and whether it came before.
"""

from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hsmstore.attestation import cbor
from hsmstore.attestation.chain import Chain, verify_chain
from hsmstore.attestation.document import SIGNATURE_SIZE, Document, Sign1, open_sign1, read_payload
from hsmstore.attestation.envelope import UnfitKey, recipient_key
from hsmstore.domain.attestation import AttestationRefused, Attested, Check

VerifyChain = Callable[[bytes, Sequence[bytes], frozenset[bytes], float], Chain]

_HALF: Final = SIGNATURE_SIZE // 2
_ES384: Final = ec.ECDSA(hashes.SHA384())


def verify(
    blob: bytes, roots: frozenset[bytes], now: float, verify_chain: VerifyChain = verify_chain
) -> Attested:
    """Return what `blob` attests at `now` (seconds since the epoch); `roots` are certificates in DER.

    Raises:
        AttestationRefused: with the first check that failed.

    """
    signed = open_sign1(blob)
    document = read_payload(signed.payload)
    chain = verify_chain(document.certificate, document.cabundle, roots, now)
    check_signature(signed, chain.leaf_key)
    return _attested(document, chain)


def check_signature(signed: Sign1, key: ec.EllipticCurvePublicKey) -> None:
    """See that `key` has signed what is in `signed`, byte for byte as it was received.

    Raises:
        AttestationRefused: SIGNATURE.

    """
    r, s = (int.from_bytes(half, "big") for half in (signed.signature[:_HALF], signed.signature[_HALF:]))
    try:
        key.verify(encode_dss_signature(r, s), to_be_signed(signed.protected, signed.payload), _ES384)
    except InvalidSignature as error:
        raise AttestationRefused(Check.SIGNATURE, "it is not the signature of the leaf's key") from error


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure of RFC 9052, section 4.4, with no external data."""
    return cbor.encode(["Signature1", protected, b"", payload])


def _attested(document: Document, chain: Chain) -> Attested:
    public_key = document.public_key
    try:
        recipient_key(public_key)
    except UnfitKey as error:
        raise AttestationRefused(Check.PUBLIC_KEY, str(error)) from error
    return Attested(
        family=document.family,
        root=chain.root,
        module_id=document.module_id,
        timestamp=document.timestamp,
        pcrs=document.pcrs,
        public_key=public_key or b"",
        user_data=document.user_data,
        nonce=document.nonce,
    )
