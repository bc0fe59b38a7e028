"""The document itself: COSE_Sign1 around a map of fields. Form alone; nothing here proves who wrote it.

Field rules: attestation_process.md of aws-nitro-enclaves-nsm-api. Where its validation list and its CDDL
differ, the CDDL is right: real documents have nonces and user data of 1024 bytes. Optional fields are null in
real documents, though the text says that none may be; absent ones are taken, too.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from hsmstore.attestation import cbor
from hsmstore.domain.attestation import AttestationRefused, Check, Family

PAYLOAD_MAX: Final = 16_384
DOCUMENT_MAX: Final = PAYLOAD_MAX + 128  # the payload, and the header and signature around it
SIGNATURE_SIZE: Final = 96
PARTS: Final = 4

_TAG_SIGN1: Final = 0xD2  # tag 18, which the specification allows and the Nitro Secure Module leaves out
_ALGORITHM: Final = 1
_ES384: Final = -35
_DIGEST: Final = "SHA384"
_PCR_SIZES: Final = frozenset({32, 48, 64})
_PCRS_MAX: Final = 32
_CERTIFICATE_MAX: Final = 1024
_CABUNDLE_MAX: Final = 8  # AWS's have four; the longest that its CA hierarchy could grow to is ours to choose
_OPTIONAL_MAX: Final = 1024
_OPTIONAL: Final = frozenset({"public_key", "user_data", "nonce"})
_MANDATORY: Final = frozenset({"module_id", "digest", "timestamp", "certificate", "cabundle"})

T = TypeVar("T")


class Sign1(NamedTuple):
    """A COSE_Sign1 as received: the signature is over `protected` and `payload` byte for byte."""

    protected: bytes
    payload: bytes
    signature: bytes


class Document(NamedTuple):
    """The fields of a payload. `cabundle` begins with the root and ends with the issuer of `certificate`."""

    family: Family
    module_id: str
    timestamp: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


def open_sign1(blob: bytes) -> Sign1:
    """Return the parts of a COSE_Sign1, tagged or not, whose algorithm is ES384.

    Raises:
        AttestationRefused: SIZE, ENCODING, ENVELOPE or ALGORITHM.

    """
    if not 0 < len(blob) <= DOCUMENT_MAX:
        raise AttestationRefused(Check.SIZE, f"it has {len(blob)} bytes; {DOCUMENT_MAX} are the most")
    parts = _decoded(blob[1:] if blob[0] == _TAG_SIGN1 else blob, "the document")
    if not isinstance(parts, list) or len(parts) != PARTS:
        raise AttestationRefused(Check.ENVELOPE, "it is not an array of four")
    protected, unprotected, payload, signature = parts
    _check_headers(protected, unprotected)
    if not isinstance(payload, bytes) or not 0 < len(payload) <= PAYLOAD_MAX:
        raise AttestationRefused(Check.ENVELOPE, f"the payload is not of 1 to {PAYLOAD_MAX} bytes")
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_SIZE:
        raise AttestationRefused(Check.ENVELOPE, f"the signature is not of {SIGNATURE_SIZE} bytes")
    return Sign1(protected, payload, signature)


def _check_headers(protected: object, unprotected: object) -> None:
    if not isinstance(protected, bytes):
        raise AttestationRefused(Check.ENVELOPE, "the protected header is not a byte string")
    if unprotected != {}:
        raise AttestationRefused(Check.ENVELOPE, "the unprotected header is not an empty map")
    if not protected or _decoded(protected, "the protected header") != {_ALGORITHM: _ES384}:
        raise AttestationRefused(Check.ALGORITHM, "the protected header is not that of ES384 alone")


def read_payload(payload: bytes) -> Document:
    """Return the fields of a document.

    Raises:
        AttestationRefused: ENCODING or FIELDS.

    """
    fields = _decoded(payload, "the payload")
    if not isinstance(fields, dict):
        raise AttestationRefused(Check.FIELDS, "the payload is not a map")
    family = _family(fields)
    if fields["digest"] != _DIGEST:
        raise _bad("digest", f"it is not {_DIGEST}")
    return Document(
        family=family,
        module_id=_field(fields, "module_id", str, bool, "it is not text, or empty"),
        timestamp=_field(fields, "timestamp", int, _positive, "it is not a number above zero"),
        pcrs=_field(fields, family.value, dict, _are_pcrs, "it is not a map of 1 to 32 PCRs"),
        certificate=_field(fields, "certificate", bytes, _is_certificate, _NO_CERTIFICATE),
        cabundle=tuple(_field(fields, "cabundle", list, _is_bundle, _NO_BUNDLE)),
        public_key=_optional(fields, "public_key", least=1),
        user_data=_optional(fields, "user_data"),
        nonce=_optional(fields, "nonce"),
    )


_NO_CERTIFICATE: Final = f"it is not of 1 to {_CERTIFICATE_MAX} bytes"
_NO_BUNDLE: Final = f"it is not an array of 1 to {_CABUNDLE_MAX} certificates"


def _family(fields: Mapping[Any, object]) -> Family:
    """Tell whose document it is, and see that it has its fields and no other."""
    families = [family for family in Family if family in fields]
    if len(families) != 1:
        raise AttestationRefused(
            Check.FIELDS, f"it has not one of {' and '.join(Family)}, but {len(families)}"
        )
    expected = _MANDATORY | {families[0].value}
    if missing := sorted(expected - fields.keys()):
        raise _bad(missing[0], "it is missing")
    if fields.keys() - expected - _OPTIONAL:
        raise AttestationRefused(Check.FIELDS, "it has a field that attestation documents have not")
    return families[0]


def _field(
    fields: Mapping[Any, object], name: str, kind: type[T], fits: Callable[[Any], bool], otherwise: str
) -> T:
    value = fields[name]
    if not isinstance(value, kind) or not fits(value):
        raise _bad(name, otherwise)
    return value


def _optional(fields: Mapping[Any, object], name: str, least: int = 0) -> bytes | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, bytes) or not least <= len(value) <= _OPTIONAL_MAX:
        raise _bad(name, f"it is neither null nor of {least} to {_OPTIONAL_MAX} bytes")
    return value


def _bad(name: str, what: str) -> AttestationRefused:
    return AttestationRefused(Check.FIELDS, f"{name}: {what}")


def _positive(number: int) -> bool:
    return number > 0


def _is_certificate(value: object) -> bool:
    return isinstance(value, bytes) and 0 < len(value) <= _CERTIFICATE_MAX


def _is_bundle(value: list[object]) -> bool:
    return 0 < len(value) <= _CABUNDLE_MAX and all(map(_is_certificate, value))


def _are_pcrs(value: dict[object, object]) -> bool:
    return 0 < len(value) <= _PCRS_MAX and all(
        isinstance(index, int)
        and 0 <= index < _PCRS_MAX
        and isinstance(pcr, bytes)
        and len(pcr) in _PCR_SIZES
        for index, pcr in value.items()
    )


def _decoded(data: bytes, what: str) -> object:
    try:
        return cbor.decode(data)
    except cbor.NotCbor as error:
        raise AttestationRefused(Check.ENCODING, f"{what} has {error}") from error
