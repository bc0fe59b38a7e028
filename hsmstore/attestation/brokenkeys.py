"""Documents whose public key nobody should encrypt to. The moduli are numbers of a size; nobody has a key."""

import base64
from collections.abc import Callable
from hashlib import shake_256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsmstore.attestation.ber import BITS, INTEGER, OID, SEQUENCE, definite
from hsmstore.attestation.minting import Draft
from hsmstore.domain.attestation import Check

_RSA: Final = bytes.fromhex("2a864886f70d010101")
_RSASSA_PSS: Final = bytes.fromhex("2a864886f70d01010a")
_NULL: Final = b"\x05\x00"


def modulus(bits: int) -> int:
    """Return an odd number of exactly `bits` bits, the same each time."""
    number = int.from_bytes(shake_256(b"modulus").digest(bits // 8), "big")
    return number | 1 << (bits - 1) | 1


def pkcs1(n: int, e: int = 65537) -> bytes:
    """Return an RSAPublicKey in DER."""
    return definite(SEQUENCE, *(definite(INTEGER, _signed(number)) for number in (n, e)))


def spki(n: int, e: int = 65537, algorithm: bytes = _RSA) -> bytes:
    """Return a SubjectPublicKeyInfo in DER."""
    identifier = definite(SEQUENCE, definite(OID, algorithm), _NULL)
    return definite(SEQUENCE, identifier, definite(BITS, b"\0", pkcs1(n, e)))


def _signed(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _key(make: Callable[[], bytes | None]) -> tuple[Check, Callable[[Draft], None]]:
    def apply(draft: Draft) -> None:
        draft.fields["public_key"] = make()

    return Check.PUBLIC_KEY, apply


def _absent(draft: Draft) -> None:
    del draft.fields["public_key"]


def _elliptic() -> bytes:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem() -> bytes:
    body = base64.encodebytes(spki(modulus(2048)))
    return b"-----BEGIN PUBLIC KEY-----\n" + body + b"-----END PUBLIC KEY-----\n"


KINDS: Final = {
    "public_key absent": (Check.PUBLIC_KEY, _absent),
    "public_key null": _key(lambda: None),
    "public_key of 32 bytes": _key(lambda: bytes(32)),
    "public_key EC": _key(_elliptic),
    "public_key PKCS#1": _key(lambda: pkcs1(modulus(2048))),
    "public_key PEM": _key(_pem),
    "public_key with a trailing byte": _key(lambda: spki(modulus(2048)) + b"\0"),
    "public_key RSASSA-PSS": _key(lambda: spki(modulus(2048), algorithm=_RSASSA_PSS)),
    "RSA-1024": _key(lambda: spki(modulus(1024))),
    "RSA-2040": _key(lambda: spki(modulus(2040))),
    "RSA-4104": _key(lambda: spki(modulus(4104))),
    "exponent 3": _key(lambda: spki(modulus(2048), 3)),
    "exponent even": _key(lambda: spki(modulus(2048), 65536)),
    "exponent huge": _key(lambda: spki(modulus(2048), modulus(1024))),
    "modulus even": _key(lambda: spki(modulus(2048) - 1)),
}
"""By name: the check that fails, and how to spoil a good draft."""
