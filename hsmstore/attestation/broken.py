"""Documents that must be refused, one for each way of being wrong, each wrong in that way alone.

    >>> broken("flipped signature", root, spki, at=now)

`KINDS` names them all with the check that each fails. They are made from a good draft by one change.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hsmstore.attestation import brokenchain, brokenkeys
from hsmstore.attestation.cbor import Encoded, encode, head
from hsmstore.attestation.minting import Claims, Draft, Module, signature
from hsmstore.attestation.pki import Authority
from hsmstore.domain.attestation import Check

Change = Callable[[Draft], None]


class Kind(NamedTuple):
    """The check that such a document fails, and how to spoil a good draft."""

    check: Check
    change: Change


def broken(kind: str, root: Authority, public_key: bytes, at: float) -> bytes:
    """Return a document below `root`, good at `at` but for being broken as `kind` says.

    Raises:
        KeyError: there is no such kind.

    """
    change = KINDS[kind].change
    draft = Module(root, at).draft(Claims(public_key=public_key, pcrs={0: b"\1" * 48}), at)
    change(draft)
    return draft.document(root)


# COSE.


def _parts(change: Callable[[list[Any]], list[Any]]) -> Change:
    def apply(draft: Draft) -> None:
        draft.finish = lambda parts: encode(change(parts))

    return apply


def _whole(blob: bytes) -> Change:
    def apply(draft: Draft) -> None:
        draft.finish = lambda _: blob

    return apply


def _part(place: int, value: object) -> Change:
    return _parts(lambda parts: [*parts[:place], value, *parts[place + 1 :]])


def _around(before: bytes, after: bytes = b"") -> Change:
    def apply(draft: Draft) -> None:
        draft.finish = lambda parts: before + encode(parts) + after

    return apply


def _headers(protected: object, unprotected: object = None) -> Change:
    def apply(draft: Draft) -> None:
        draft.protected = protected
        draft.unprotected = unprotected or {}

    return apply


def _signed_by(sign: Callable[[ec.EllipticCurvePrivateKey, bytes], bytes]) -> Change:
    def apply(draft: Draft) -> None:
        draft.sign = sign

    return apply


def _flipped(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    good = signature(key, message)
    return bytes([good[0] ^ 1]) + good[1:]


def _as_der(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA384()))


def _by_another(_: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return signature(ec.generate_private_key(ec.SECP384R1()), message)


_ES384: Final = {1: -35}
_OUTER: Final = head(4, 4)

_COSE: Final = {
    "empty": (Check.SIZE, _whole(b"")),
    "three parts": (Check.ENVELOPE, _parts(lambda parts: parts[:3])),
    "five parts": (Check.ENVELOPE, _parts(lambda parts: [*parts, b""])),
    "a map": (Check.ENVELOPE, _whole(encode({}))),
    "nil payload": (Check.ENVELOPE, _part(2, None)),
    "empty payload": (Check.ENVELOPE, _part(2, b"")),
    "oversize": (Check.SIZE, _part(2, bytes(17_000))),
    "oversize payload": (Check.ENVELOPE, _part(2, bytes(16_385))),
    "payload as a map": (Check.ENVELOPE, _part(2, {})),
    "tag 17": (Check.ENCODING, _around(b"\xd1")),
    "tag 61": (Check.ENCODING, _around(b"\xd8\x3d")),
    "tag 98": (Check.ENCODING, _around(b"\xd8\x62")),
    "tag 18 twice": (Check.ENCODING, _around(b"\xd2\xd2")),
    "tag 18, long": (Check.ENCODING, _around(b"\xd8\x12")),
    "ES256": (Check.ALGORITHM, _headers(encode({1: -7}))),
    "ES512": (Check.ALGORITHM, _headers(encode({1: -36}))),
    "algorithm -1": (Check.ALGORITHM, _headers(encode({1: -1}))),
    "algorithm as text": (Check.ALGORITHM, _headers(encode({1: "ES384"}))),
    "algorithm unprotected": (Check.ENVELOPE, _headers(b"", _ES384)),
    "algorithm in both headers": (Check.ENVELOPE, _headers(encode(_ES384), _ES384)),
    "unprotected null": (Check.ENVELOPE, _part(1, None)),
    "empty protected": (Check.ALGORITHM, _headers(b"")),
    "protected empty map": (Check.ALGORITHM, _headers(encode({}))),
    "protected not in bytes": (Check.ENVELOPE, _headers(_ES384)),
    "extra header": (Check.ALGORITHM, _headers(encode({1: -35, 4: b"1"}))),
    "crit header": (Check.ALGORITHM, _headers(encode({1: -35, 2: [1]}))),
    "algorithm twice": (Check.ENCODING, _headers(bytes.fromhex("a2013822013822"))),
    "algorithm not shortest": (Check.ENCODING, _headers(bytes.fromhex("a101390022"))),
    "DER signature": (Check.ENVELOPE, _signed_by(_as_der)),
    "short signature": (Check.ENVELOPE, _signed_by(lambda key, message: signature(key, message)[:-1])),
    "zero signature": (Check.SIGNATURE, _part(3, bytes(96))),
    "flipped signature": (Check.SIGNATURE, _signed_by(_flipped)),
    "signature of another key": (Check.SIGNATURE, _signed_by(_by_another)),
    "nothing signed": (Check.SIGNATURE, _signed_by(lambda key, _: signature(key, b""))),
}


# CBOR.


def _payload(change: Callable[[bytes], bytes]) -> Change:
    def apply(draft: Draft) -> None:
        draft.encode_fields = lambda fields: change(encode(fields))

    return apply


def _set(name: str, value: object) -> Change:
    def apply(draft: Draft) -> None:
        draft.fields[name] = value

    return apply


def _pcrs(change: Callable[[dict[Any, Any]], object]) -> Change:
    def apply(draft: Draft) -> None:
        draft.fields["pcrs"] = change(dict(draft.fields["pcrs"]))  # type: ignore[call-overload]  # a map of PCRs

    return apply


def _raw(name: str, hexadecimal: str) -> Change:
    return _set(name, Encoded(bytes.fromhex(hexadecimal)))


def _raw_pcr(key: str, value: bytes = bytes(48)) -> Change:
    """Encode one PCR under a key that `encode` would not write."""
    return _pcrs(lambda _: Encoded(head(5, 1) + bytes.fromhex(key) + encode(value)))


def _twice(draft: Draft) -> None:
    def doubled(fields: object) -> bytes:
        good = encode(fields)
        return bytes([good[0] + 1]) + good[1:] + encode("digest") + encode("SHA384")

    draft.encode_fields = doubled


_CBOR: Final = {
    "trailing byte": (Check.ENCODING, _around(b"", b"\0")),
    "trailing in protected": (Check.ENCODING, _headers(encode(_ES384) + b"\0")),
    "trailing in payload": (Check.ENCODING, _payload(lambda payload: payload + b"\0")),
    "cut off": (Check.ENCODING, _payload(lambda payload: payload[:-1])),
    "indefinite array": (
        Check.ENCODING,
        lambda draft: setattr(
            draft, "finish", lambda parts: b"\x9f" + encode(parts).removeprefix(_OUTER) + b"\xff"
        ),
    ),
    "indefinite payload": (
        Check.ENCODING,
        _parts(lambda parts: [*parts[:2], Encoded(b"\x5f" + encode(parts[2]) + b"\xff"), parts[3]]),
    ),
    "indefinite map": (Check.ENCODING, _payload(lambda payload: b"\xbf" + payload[1:] + b"\xff")),
    "field twice": (Check.ENCODING, _twice),
    "PCR twice": (
        Check.ENCODING,
        _pcrs(lambda _: Encoded(head(5, 2) + 2 * (encode(0) + encode(bytes(48))))),
    ),
    "number not shortest": (Check.ENCODING, _raw("timestamp", "1b0000000065b154a1")),
    "length not shortest": (Check.ENCODING, _raw("nonce", "580101")),
    "PCR index not shortest": (Check.ENCODING, _raw_pcr("1800")),
    "tag inside": (Check.ENCODING, _raw("timestamp", "c11a65b154a1")),
    "float": (Check.ENCODING, _raw("timestamp", "fb4278d3cadd7d6000")),
    "half float": (Check.ENCODING, _raw("timestamp", "f93c00")),
    "true": (Check.ENCODING, _raw("timestamp", "f5")),
    "true as PCR index": (Check.ENCODING, _raw_pcr("f5")),
    "undefined": (Check.ENCODING, _raw("nonce", "f7")),
    "simple value": (Check.ENCODING, _raw("nonce", "f8ff")),
    "bignum": (Check.ENCODING, _raw("timestamp", "c24101")),
    "reserved length": (Check.ENCODING, _raw("nonce", "5c01")),
    "too deep": (Check.ENCODING, _set("nonce", [[[[]]]])),
    "a count beyond the end": (Check.ENCODING, _raw("cabundle", "9b00000000ffffffff")),
    "a length beyond the end": (Check.ENCODING, _raw("nonce", "5b00000000ffffffff")),
    "65 items": (Check.ENCODING, _set("cabundle", [b"1"] * 65)),
    "bad UTF-8": (Check.ENCODING, _raw("module_id", "62c328")),
    "bytes as key": (Check.ENCODING, _raw_pcr("4100")),
}


# Fields.


def _without(name: str) -> Change:
    def apply(draft: Draft) -> None:
        del draft.fields[name]

    return apply


_NEEDED: Final = ("module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle")
_FIELDS: Final = {
    **{f"{name} missing": (Check.FIELDS, _without(name)) for name in _NEEDED},
    **{f"{name} null": (Check.FIELDS, _set(name, None)) for name in _NEEDED},
    "not a map": (Check.FIELDS, _payload(lambda _: encode([]))),
    "unknown field": (Check.FIELDS, _set("extra", 1)),
    "both families": (Check.FIELDS, _set("nitrotpm_pcrs", {0: bytes(48)})),
    "digest SHA256": (Check.FIELDS, _set("digest", "SHA256")),
    "digest in bytes": (Check.FIELDS, _set("digest", b"SHA384")),
    "module_id empty": (Check.FIELDS, _set("module_id", "")),
    "module_id in bytes": (Check.FIELDS, _set("module_id", b"i-0")),
    "timestamp zero": (Check.FIELDS, _set("timestamp", 0)),
    "timestamp negative": (Check.FIELDS, _set("timestamp", -1)),
    "timestamp text": (Check.FIELDS, _set("timestamp", "1700000000000")),
    "no PCRs": (Check.FIELDS, _set("pcrs", {})),
    "33 PCRs": (Check.FIELDS, _set("pcrs", dict.fromkeys(range(33), bytes(48)))),
    "PCR 32": (Check.FIELDS, _pcrs(lambda pcrs: {**pcrs, 32: bytes(48)})),
    "PCR -1": (Check.FIELDS, _pcrs(lambda pcrs: {**pcrs, -1: bytes(48)})),
    "PCR index text": (Check.FIELDS, _pcrs(lambda pcrs: {**pcrs, "5": bytes(48)})),
    "PCR of 47 bytes": (Check.FIELDS, _pcrs(lambda pcrs: {**pcrs, 0: bytes(47)})),
    "PCR text": (Check.FIELDS, _pcrs(lambda pcrs: {**pcrs, 0: "0" * 96})),
    "PCRs an array": (Check.FIELDS, _pcrs(lambda pcrs: list(pcrs.values()))),
    "certificate empty": (Check.FIELDS, _set("certificate", Encoded(encode(b"")))),
    "certificate of 1025 bytes": (Check.FIELDS, _set("certificate", bytes(1025))),
    "cabundle empty": (Check.FIELDS, _set("cabundle", Encoded(encode([])))),
    "cabundle of 9": (
        Check.FIELDS,
        lambda draft: setattr(draft, "bundle", lambda ders: ders + 5 * ders[-1:]),
    ),
    "cabundle with an empty one": (
        Check.FIELDS,
        lambda draft: setattr(draft, "bundle", lambda ders: [*ders, b""]),
    ),
    "cabundle with a long one": (
        Check.FIELDS,
        lambda draft: setattr(draft, "bundle", lambda ders: [*ders, bytes(1025)]),
    ),
    "nonce of 1025 bytes": (Check.FIELDS, _set("nonce", bytes(1025))),
    "nonce text": (Check.FIELDS, _set("nonce", "1")),
    "user_data of 1025 bytes": (Check.FIELDS, _set("user_data", bytes(1025))),
    "public_key of 1025 bytes": (Check.FIELDS, _set("public_key", bytes(1025))),
    "public_key empty": (Check.FIELDS, _set("public_key", b"")),
}

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        name: Kind(*kind)
        for kinds in (_COSE, _CBOR, _FIELDS, brokenchain.KINDS, brokenkeys.KINDS)
        for name, kind in kinds.items()
    }
)
"""By name, in the order of the checks."""
