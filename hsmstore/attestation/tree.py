"""A document as a tree for people: whatever can be read of it, whether or not it is valid."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hsmstore.attestation import cbor
from hsmstore.attestation.chain import common_name
from hsmstore.attestation.document import open_sign1
from hsmstore.domain.attestation import AttestationRefused, Check, Family

PCRS: Final[Mapping[int, str]] = {
    0: "image",
    1: "kernel and bootstrap",
    2: "application",
    3: "IAM role of the parent instance",
    4: "id of the parent instance",
    8: "signing certificate of the image",
}
"""What AWS measures into a PCR of an enclave."""

_MODES: Final = range(3)
_SHOWN_MAX: Final = 32
_MILLISECONDS: Final = 1000


class Node(NamedTuple):
    """A line of the tree, and what hangs below it."""

    label: str
    value: str = ""
    children: tuple["Node", ...] = ()


def tree(blob: bytes) -> list[Node]:
    """Return the parts of a document.

    Raises:
        AttestationRefused: it is no COSE_Sign1, or its payload no CBOR map.

    """
    signed = open_sign1(blob)
    try:
        fields = cbor.decode(signed.payload)
    except cbor.NotCbor as error:
        raise AttestationRefused(Check.ENCODING, f"the payload has {error}") from error
    if not isinstance(fields, dict):
        raise AttestationRefused(Check.FIELDS, "the payload is not a map")
    return [
        Node("COSE_Sign1", f"{len(blob)} bytes, ES384"),
        *(_field(str(name), value) for name, value in fields.items()),
        Node("signature", f"{len(signed.signature)} bytes, not verified here"),
    ]


def lines(nodes: list[Node] | tuple[Node, ...], indent: str = "") -> Iterator[str]:
    """Yield the tree's lines."""
    for node in nodes:
        yield f"{indent}{node.label}{': ' if node.value else ''}{node.value}"
        yield from lines(node.children, indent + "  ")


def _field(name: str, value: object) -> Node:
    if name in tuple(Family) and isinstance(value, dict):
        return Node(name, _mode(name, value), tuple(_pcrs(name, value)))
    if name == "certificate":
        return _certificate(name, value)
    if name == "cabundle" and isinstance(value, list):
        children = (_certificate(str(place), der) for place, der in enumerate(value))
        return Node(name, f"{len(value)} certificates", tuple(children))
    return Node(name, _shown(name, value))


def _shown(name: str, value: object) -> str:
    if value is None:
        return "null"
    if name == "timestamp" and isinstance(value, int):
        return _moment(value)
    return _public_key(value) if name == "public_key" else _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        shown = value[:_SHOWN_MAX].hex() + ("…" if len(value) > _SHOWN_MAX else "")
        return f"{len(value)} bytes {shown}".rstrip()
    return str(value)


def _moment(milliseconds: int) -> str:
    try:
        shown = datetime.fromtimestamp(milliseconds / _MILLISECONDS, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return f"{milliseconds}, which is no time"
    return f"{milliseconds} ({shown})"


def _mode(name: str, pcrs: Mapping[Any, object]) -> str:
    measured = [pcrs.get(index) for index in _MODES]
    if name == Family.ENCLAVE and all(isinstance(pcr, bytes) and not any(pcr) for pcr in measured):
        return f"{len(pcrs)}, of an enclave in debug mode: PCR0 to PCR2 are zero"
    return str(len(pcrs))


def _pcrs(name: str, pcrs: Mapping[Any, object]) -> Iterator[Node]:
    for index, value in pcrs.items():
        meaning = PCRS.get(index) if name == Family.ENCLAVE else None
        shown = value.hex() if isinstance(value, bytes) and any(value) else _zeros(value)
        yield Node(f"PCR{index}" + (f" ({meaning})" if meaning else ""), shown)


def _zeros(value: object) -> str:
    return f"{len(value)} zero bytes" if isinstance(value, bytes) else _plain(value)


def _public_key(value: object) -> str:
    if not isinstance(value, bytes):
        return _plain(value)
    try:
        key = serialization.load_der_public_key(value)
    except Exception:  # noqa: BLE001 - whatever it is, it is no key that could be shown
        return f"{_plain(value)}, no SubjectPublicKeyInfo"
    kind = f"RSA-{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__
    return f"{kind}, SHA-256 {sha256(value).hexdigest()}"


def _certificate(label: str, value: object) -> Node:
    if not isinstance(value, bytes):
        return Node(label, _plain(value))
    try:
        certificate = x509.load_der_x509_certificate(value)
        return Node(
            label,
            f"{len(value)} bytes",
            (
                Node("subject", common_name(certificate) or certificate.subject.rfc4514_string()),
                Node("valid", f"{certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}"),
                Node("SHA-256", sha256(value).hexdigest()),
            ),
        )
    except Exception:  # noqa: BLE001 - likewise
        return Node(label, f"{_plain(value)}, no certificate")
