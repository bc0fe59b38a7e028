"""Documents whose certificates prove nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hsmstore.attestation.cbor import encode
from hsmstore.attestation.minting import Draft
from hsmstore.attestation.pki import Authority, Template, new_root, root_template, usage
from hsmstore.domain.attestation import Check

Broken = tuple[Check, Callable[[Draft], None]]

REGION, ZONE, INSTANCE, LEAF = range(4)
_YEAR: Final = timedelta(days=365)


def _bundle(check: Check, change: Callable[[list[bytes]], list[bytes]]) -> Broken:
    return check, lambda draft: setattr(draft, "bundle", change)


def _template(place: int, check: Check = Check.CHAIN, **members: Any) -> Broken:
    def apply(draft: Draft) -> None:
        for name, value in members.items():
            setattr(draft.templates[place], name, value)

    return check, apply


def _shifted(place: int, by: timedelta) -> Broken:
    def apply(draft: Draft) -> None:
        draft.templates[place].start += by
        draft.templates[place].end += by

    return Check.VALIDITY, apply


def _more(place: int, extension: x509.ExtensionType) -> Broken:
    return Check.CHAIN, lambda draft: draft.templates[place].more.append((extension, True))


def _rooted_in(make: Callable[[Authority], Authority]) -> Broken:
    """Issue everything below a root that nobody trusts."""
    return Check.ROOT, lambda draft: setattr(draft, "below", make)


def _namesake(root: Authority) -> Authority:
    template = root_template()
    template.name = root.certificate.subject
    return template.issue()


def _leaf_as_issuer(draft: Draft) -> None:
    """Let a good leaf issue one more, as whoever owns an enclave could."""
    leaf = draft.templates[LEAF]
    draft.templates.append(
        Template(
            name=leaf.name,
            start=leaf.start,
            end=leaf.end,
            constraints=leaf.constraints,
            usage=leaf.usage,
            usage_critical=False,
        )
    )


def _loosened(draft: Draft) -> None:
    """Let the instance's certificate issue another authority, which its pathLen forbids."""
    instance = draft.templates[INSTANCE]
    draft.templates.insert(
        LEAF,
        Template(
            name=instance.name,
            start=instance.start,
            end=instance.end,
            constraints=instance.constraints,
            usage=instance.usage,
        ),
    )


def _with_bits_for_a_name(parts: list[object]) -> bytes:
    """Make the root's country, a PrintableString, a BIT STRING; the library reads it late, if at all."""
    return encode(parts).replace(b"\x55\x04\x06\x13\x02US", b"\x55\x04\x06\x03\x02US", 1)


_NO_CA: Final = x509.BasicConstraints(ca=False, path_length=None)
_NO_CA_BUT_PATH_LENGTH: Final = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("2.5.29.19"), bytes.fromhex("3003020100")
)
_A_CA: Final = x509.BasicConstraints(ca=True, path_length=0)
_UNKNOWN: Final = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
_GARBAGE: Final = b"0\x03\x02\x01\x01"

KINDS: Final[dict[str, Broken]] = {
    "certificate garbage": (
        Check.CERTIFICATES,
        lambda draft: draft.fields.update(certificate=_GARBAGE),
    ),
    "certificate with a name of bits": (
        Check.CERTIFICATES,
        lambda draft: setattr(draft, "finish", _with_bits_for_a_name),
    ),
    "cabundle garbage": _bundle(Check.CERTIFICATES, lambda ders: [*ders[:-1], _GARBAGE]),
    "certificate with a trailing byte": _bundle(
        Check.CERTIFICATES, lambda ders: [*ders[:-1], ders[-1] + b"\0"]
    ),
    "leaf on P-256": _template(LEAF, Check.CERTIFICATES, curve=ec.SECP256R1()),
    "CA on P-256": _template(ZONE, Check.CERTIFICATES, curve=ec.SECP256R1()),
    "leaf signed with SHA-256": _template(LEAF, Check.CERTIFICATES, digest=hashes.SHA256()),
    "CA signed with SHA-256": _template(REGION, Check.CERTIFICATES, digest=hashes.SHA256()),
    "other root": _rooted_in(lambda _: new_root()),
    "root of the same name": _rooted_in(_namesake),
    "cabundle reversed": _bundle(Check.ROOT, lambda ders: ders[::-1]),
    "cabundle without its root": _bundle(Check.ROOT, lambda ders: ders[1:]),
    "foreign root in front": _bundle(Check.ROOT, lambda ders: [new_root().der, *ders[1:]]),
    "foreign root beside it": _bundle(Check.ROOT, lambda ders: [new_root().der, *ders]),
    **{
        f"{name} {when}": _shifted(place, by)
        for place, name in enumerate(("Region", "zone", "instance", "leaf"))
        for when, by in (("expired", -_YEAR), ("not valid yet", _YEAR))
    },
    "cabundle out of order": _bundle(Check.CHAIN, lambda ders: [ders[0], ders[2], ders[1], ders[3]]),
    "cabundle with one twice": _bundle(Check.CHAIN, lambda ders: [*ders, ders[-1]]),
    "cabundle with a foreign one": _bundle(Check.CHAIN, lambda ders: [*ders, new_root().der]),
    "link missing": _bundle(Check.CHAIN, lambda ders: [*ders[:2], ders[3]]),
    "last link missing": _bundle(Check.CHAIN, lambda ders: ders[:3]),
    "root alone": _bundle(Check.CHAIN, lambda ders: ders[:1]),
    "pathLen broken": (Check.CHAIN, _loosened),
    "leaf as issuer": (Check.CHAIN, _leaf_as_issuer),
    "CA:FALSE issuer": _template(INSTANCE, constraints=_NO_CA),
    "CA without constraints": _template(INSTANCE, constraints=None),
    "CA with loose constraints": _template(INSTANCE, constraints_critical=False),
    "CA without keyCertSign": _template(ZONE, usage=usage("digital_signature")),
    "CA without key usage": _template(ZONE, usage=None),
    "CA with loose key usage": _template(ZONE, usage_critical=False),
    "leaf is a CA": _template(LEAF, constraints=_A_CA, usage=usage("digital_signature", "key_cert_sign")),
    "leaf with a pathLen": _template(LEAF, Check.CERTIFICATES, constraints=_NO_CA_BUT_PATH_LENGTH),
    "leaf without constraints": _template(LEAF, constraints=None),
    "leaf with loose constraints": _template(LEAF, constraints_critical=False),
    "leaf without key usage": _template(LEAF, usage=None),
    "leaf without digitalSignature": _template(LEAF, usage=usage("content_commitment")),
    "leaf with an unknown critical extension": _more(LEAF, _UNKNOWN),
    "CA with an unknown critical extension": _more(REGION, _UNKNOWN),
}
"""By name: the check that fails, and how to spoil a good draft."""
