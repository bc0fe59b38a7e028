"""A root, a key to encrypt to, and the recordings."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsmstore.attestation.minting import Claims, Module
from hsmstore.attestation.pki import Authority, new_root

NOW: Final = 1_800_000_000.25
RECORDED: Final = Path(__file__).parent / "recorded"


class Recipient(NamedTuple):
    """An enclave's key pair; `spki` is what stands in its documents."""

    key: rsa.RSAPrivateKey
    spki: bytes


def new_recipient(bits: int = 2048) -> Recipient:
    """Make a key pair."""
    key = rsa.generate_private_key(65537, bits)
    return Recipient(key, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture(scope="session")
def root() -> Authority:
    """Return a test root."""
    return new_root()


@pytest.fixture(scope="session")
def recipient() -> Recipient:
    """Return a key pair of RSA-2048."""
    return new_recipient()


@pytest.fixture(scope="session")
def module(root: Authority) -> Module:
    """Return a Nitro Secure Module that was booted at NOW."""
    return Module(root, NOW)


Mint = Callable[[Claims], bytes]


@pytest.fixture(scope="session")
def mint(module: Module) -> Mint:
    """Return what makes a document at NOW."""
    return lambda claims: module.attest(claims, NOW)
