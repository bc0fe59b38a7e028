"""What stands between the checks and the server: the cache of chains, and whose turn it is."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hsmstore.attestation import chain, nitro, verifying
from hsmstore.attestation.chain import Chain
from hsmstore.attestation.minting import Claims, Module
from hsmstore.attestation.nitro import (
    PATIENCE_SAVED_MAX,
    PATIENCE_SHARE,
    ChainCache,
    NitroAttestation,
    Patience,
)
from hsmstore.attestation.pki import Authority
from hsmstore.attestation.untrusting import NoAttestation
from hsmstore.domain.attestation import AttestationBusy, AttestationRefused, Check, NothingTrusted
from hsmstore.system.clock import monotonic
from hsmstore.system.entropy import SystemEntropy
from tests.attestation.cms import read_envelope
from tests.attestation.conftest import NOW, Mint, Recipient


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.time


@pytest.fixture
def watch() -> Watch:
    """Return a clock."""
    return Watch()


@pytest.fixture
def attestation(root: Authority, watch: Watch) -> NitroAttestation:
    """Return the port's adapter."""
    return NitroAttestation(frozenset([root.der]), SystemEntropy(), watch)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the leaves whose chains are verified from now on, in order."""
    leaves: list[bytes] = []

    def counted(certificate: bytes, cabundle: Sequence[bytes], roots: frozenset[bytes], now: float) -> Chain:
        leaves.append(certificate)
        return chain.verify_chain(certificate, cabundle, roots, now)

    monkeypatch.setattr(nitro, "verify_chain", counted)
    return leaves


def test_verify_and_seal(attestation: NitroAttestation, mint: Mint, recipient: Recipient) -> None:
    """What is sealed for a verified document, its key opens."""
    attested = attestation.verify(mint(Claims(public_key=recipient.spki)), NOW)
    assert read_envelope(attestation.seal(attested.public_key, b"secret")).opened(recipient.key) == b"secret"
    with pytest.raises(AttestationRefused) as refused:
        attestation.seal(b"no key", b"secret")
    assert refused.value.check is Check.PUBLIC_KEY


def test_a_chain_is_verified_once(
    attestation: NitroAttestation, verified: list[bytes], module: Module, recipient: Recipient
) -> None:
    """Documents under one chain cost one verification of it, for as long as all of it is valid."""
    for second in range(5):
        claims = Claims(public_key=recipient.spki, nonce=bytes([second]))
        attestation.verify(module.attest(claims, NOW + second), NOW + second)
    assert len(verified) == 1
    for moment in (NOW - 4, NOW + 3 * 3600 + 1):
        with pytest.raises(AttestationRefused) as refused:
            attestation.verify(module.attest(Claims(public_key=recipient.spki), NOW), moment)
        assert refused.value.check is Check.VALIDITY
    assert len(verified) == 3


def test_a_cached_chain_vouches_for_no_other_signature(
    attestation: NitroAttestation, root: Authority, module: Module, recipient: Recipient
) -> None:
    """A known chain under a document that its leaf did not sign does not help."""
    good = module.attest(Claims(public_key=recipient.spki), NOW)
    attestation.verify(good, NOW)
    other = Module(root, NOW).attest(Claims(public_key=recipient.spki), NOW)
    with pytest.raises(AttestationRefused) as refused:
        attestation.verify(good[:-96] + other[-96:], NOW)
    assert refused.value.check is Check.SIGNATURE


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch, root: Authority) -> None:
    """The oldest chain goes first, and nothing that was refused is kept."""
    monkeypatch.setattr(nitro, "CHAINS_MAX", 2)
    cache, roots = ChainCache(), frozenset([root.der])
    chains = [Module(root, NOW).draft(Claims(), NOW).chain(root) for _ in range(3)]
    for links in chains:
        *bundle, leaf = [authority.der for authority in links]
        cache.verify(leaf, bundle, roots, NOW)
        with pytest.raises(AttestationRefused):
            cache.verify(leaf, bundle[::-1], roots, NOW)
    assert [key[-1] for key in cache.known()] == [links[-1].der for links in chains[1:]]


def test_patience(watch: Watch) -> None:
    """Waits use up what was saved; as time passes, a quarter of it may be waited for again."""
    patience, turn = Patience(watch), _SlowTurn(watch, 1.0)
    for _ in range(int(PATIENCE_SAVED_MAX / (1 - PATIENCE_SHARE)) + 1):
        patience.wait_for(turn)
    with pytest.raises(AttestationBusy):
        patience.wait_for(turn)
    watch.time += 4
    patience.wait_for(turn)
    with pytest.raises(AttestationBusy):
        patience.wait_for(turn)


class _SlowTurn(threading.Semaphore):
    """A turn for which one waits so many seconds."""

    def __init__(self, watch: Watch, seconds: float) -> None:
        super().__init__(1_000)
        self._watch, self._seconds = watch, seconds

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:  # noqa: FBT001, FBT002 - threading's
        self._watch.time += self._seconds
        return super().acquire(blocking, timeout)


def test_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, root: Authority, mint: Mint, recipient: Recipient
) -> None:
    """However many come at once, one document is verified at a time, and everybody has an answer."""
    verify, inside, most = verifying.verify, [0], [0]

    def counted(*arguments: Any) -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            return verify(*arguments)
        finally:
            inside[0] -= 1

    monkeypatch.setattr(verifying, "verify", counted)
    attestation = NitroAttestation(frozenset([root.der]), SystemEntropy(), monotonic)
    document = mint(Claims(public_key=recipient.spki))

    def answered(_: int) -> bool:
        try:
            return attestation.verify(document, NOW).public_key == recipient.spki
        except AttestationBusy:
            return True

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(answered, range(300)))
    assert most == [1]


def test_no_root_no_document() -> None:
    """Without a root every document is refused, and nothing is sealed."""
    with pytest.raises(NothingTrusted):
        NoAttestation().verify(b"x", NOW)
    with pytest.raises(NothingTrusted):
        NoAttestation().seal(b"x", b"y")
