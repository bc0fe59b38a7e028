"""`CiphertextForRecipient`: a CMS EnvelopedData (RFC 5652) as KMS writes it, which is BER and not DER.

Nine recordings of KMS from 2020 to 2025 have this shape, and AWS's own C SDK reads no other: lengths are
indefinite from ContentInfo down to the content, definite within the recipient, versions are 2, the recipient
is named by the whole SHA-256 of its SubjectPublicKeyInfo, and the content stands in segments of 1000 octets.
"""

from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hsmstore.attestation.ber import (
    CONSTRUCTED_CONTEXT,
    CONTEXT,
    INTEGER,
    OCTETS,
    OID,
    SEQUENCE,
    SET,
    definite,
    indefinite,
)

CONTENT_KEY_SIZE: Final = 32
IV_SIZE: Final = 16
SEGMENT: Final = 1000
RSA_BITS: Final = range(2048, 4096 + 1)
PUBLIC_EXPONENT: Final = 65537

_VERSION: Final = definite(INTEGER, b"\x02")
_ENVELOPED_DATA: Final = definite(OID, bytes.fromhex("2a864886f70d010703"))
_DATA: Final = definite(OID, bytes.fromhex("2a864886f70d010701"))
_AES_256_CBC: Final = definite(OID, bytes.fromhex("60864801650304012a"))
_SHA_256: Final = definite(SEQUENCE, definite(OID, bytes.fromhex("608648016503040201")), b"\x05\x00")
_RSAES_OAEP: Final = definite(
    SEQUENCE,
    definite(OID, bytes.fromhex("2a864886f70d010107")),
    definite(
        SEQUENCE,
        definite(CONSTRUCTED_CONTEXT, _SHA_256),
        definite(
            CONSTRUCTED_CONTEXT | 1,
            definite(SEQUENCE, definite(OID, bytes.fromhex("2a864886f70d010108")), _SHA_256),
        ),
    ),
)
_OAEP: Final = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class UnfitKey(ValueError):
    """A public key that nothing can be encrypted to here."""


def recipient_key(public_key: bytes | None) -> rsa.RSAPublicKey:
    """Return the key of a DER SubjectPublicKeyInfo: RSA of 2048 to 4096 bits with the exponent 65537.

    Raises:
        UnfitKey: it is not that, or not the one way to write it.

    """
    if public_key is None:
        raise UnfitKey("there is none")
    try:
        key = serialization.load_der_public_key(public_key)
        written = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except Exception as error:  # what the loader raises is no closed list; all of it means the same
        raise UnfitKey("it is no SubjectPublicKeyInfo in DER") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise UnfitKey("it is no RSA key")
    if written != public_key:
        raise UnfitKey("it is not the DER of a SubjectPublicKeyInfo with rsaEncryption")
    numbers = key.public_numbers()
    if key.key_size not in RSA_BITS:
        raise UnfitKey(f"its modulus has {key.key_size} bits, not {RSA_BITS.start} to {RSA_BITS.stop - 1}")
    if numbers.e != PUBLIC_EXPONENT:
        raise UnfitKey(f"its exponent is not {PUBLIC_EXPONENT}")
    if numbers.n % 2 == 0:  # the loader takes it, and encryption fails
        raise UnfitKey("its modulus is even")
    return key


def seal(public_key: bytes, plaintext: bytes, content_key: bytes, iv: bytes) -> bytes:
    """Return `plaintext` as KMS would send it to `public_key`; 32 bytes under RSA-2048 become 493.

    `content_key` (32 bytes) and `iv` (16 bytes) must be random, and used once.

    Raises:
        UnfitKey: see `recipient_key`.

    """
    try:
        wrapped = recipient_key(public_key).encrypt(content_key, _OAEP)
    except UnfitKey:
        raise
    except ValueError as error:
        raise UnfitKey("nothing can be encrypted to it") from error
    recipient = definite(
        SEQUENCE,
        _VERSION,
        definite(CONTEXT, sha256(public_key).digest()),
        _RSAES_OAEP,
        definite(OCTETS, wrapped),
    )
    return indefinite(
        SEQUENCE,
        _ENVELOPED_DATA,
        indefinite(
            CONSTRUCTED_CONTEXT,
            indefinite(SEQUENCE, _VERSION, definite(SET, recipient), _content(plaintext, content_key, iv)),
        ),
    )


def _content(plaintext: bytes, content_key: bytes, iv: bytes) -> bytes:
    """Return the EncryptedContentInfo."""
    pad = padding.PKCS7(algorithms.AES.block_size).padder()
    cipher = Cipher(algorithms.AES(content_key), modes.CBC(iv)).encryptor()
    sealed = cipher.update(pad.update(plaintext) + pad.finalize()) + cipher.finalize()
    segments = (definite(OCTETS, sealed[at : at + SEGMENT]) for at in range(0, len(sealed), SEGMENT))
    return indefinite(
        SEQUENCE,
        _DATA,
        definite(SEQUENCE, _AES_256_CBC, definite(OCTETS, iv)),
        indefinite(CONSTRUCTED_CONTEXT, *segments),
    )
