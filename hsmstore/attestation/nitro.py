"""The Attestation port: the checks and the envelope, with what keeps them from starving the other calls."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from hsmstore.attestation import verifying
from hsmstore.attestation.chain import Chain, verify_chain
from hsmstore.attestation.envelope import CONTENT_KEY_SIZE, IV_SIZE, UnfitKey, seal
from hsmstore.domain.attestation import AttestationBusy, AttestationRefused, Attested, Check
from hsmstore.domain.ports import Entropy

CHAINS_MAX: Final = 256  # of about 5 KB each
REST_MAX: Final = 0.01  # seconds
PATIENCE_SHARE: Final = 0.25  # of the time
PATIENCE_SAVED_MAX: Final = 1.0  # seconds


class Turn(Protocol):
    """What is waited for."""

    def acquire(self) -> bool:
        """Wait until it is ours."""


class NitroAttestation:
    """The Attestation of documents under the given roots. Safe to share between threads.

    One document is verified at a time: for milliseconds a thread does nothing else, mostly without letting go
    of the interpreter. Who comes meanwhile waits its turn, and each turn is followed by a rest of the same
    length, in which the other calls go on. But who waits keeps a thread that others need, so waiting is
    rationed: a handful of clients waits, a flood is told to come again.
    """

    def __init__(self, roots: frozenset[bytes], entropy: Entropy, monotonic: Callable[[], float]) -> None:
        """Take the trusted roots (DER) and a clock that only grows, in seconds."""
        self._roots = roots
        self._entropy = entropy
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._rested = monotonic()
        self._crowded = False
        self._patience = Patience(monotonic)
        self._chains = ChainCache()

    def verify(self, document: bytes, now: float) -> Attested:
        """Return what `document` attests at `now`, in seconds since the epoch.

        Raises:
            AttestationRefused: with the first check that failed.
            AttestationBusy: too many wait already.

        """
        self._take_turn()
        began = self._monotonic()
        try:
            return verifying.verify(document, self._roots, now, self._chains.verify)
        finally:
            ended = self._monotonic()
            self._rested = ended + min(REST_MAX, ended - began)
            self._turn.release()

    def _take_turn(self) -> None:
        """Wait until nobody else verifies; where there is a crowd, half of the time nobody does."""
        if not self._turn.acquire(blocking=False):
            self._crowded = True
            self._patience.wait_for(self._turn)
        rest = self._rested - self._monotonic()
        if self._crowded and rest > 0:
            threading.Event().wait(rest)
        self._crowded = False

    def seal(self, public_key: bytes, plaintext: bytes) -> bytes:
        """Return `plaintext` so that only the private key of `public_key` opens it (CMS EnvelopedData).

        Raises:
            AttestationRefused: nothing can be encrypted to the key.

        """
        draw = self._entropy.random_bytes
        try:
            return seal(public_key, plaintext, draw(CONTENT_KEY_SIZE), draw(IV_SIZE))
        except UnfitKey as error:
            raise AttestationRefused(Check.PUBLIC_KEY, str(error)) from error


class Patience:
    """How long may be waited: a quarter of the time, of which some is saved up while nobody waits."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._saved = PATIENCE_SAVED_MAX
        self._since = monotonic()
        self._guard = threading.Lock()

    def wait_for(self, turn: Turn) -> None:
        """Wait until `turn` is ours.

        Raises:
            AttestationBusy: there is no patience left.

        """
        with self._guard:
            began = self._monotonic()
            self._saved = min(PATIENCE_SAVED_MAX, self._saved + (began - self._since) * PATIENCE_SHARE)
            self._since = began
            if self._saved <= 0:
                raise AttestationBusy
        turn.acquire()
        with self._guard:
            self._saved -= self._monotonic() - began


class ChainCache:
    """Chains that have been verified, by their bytes, while all their certificates are valid.

    The Nitro Secure Module uses a leaf for hours, and the chain is three quarters of the work. Only what has
    been verified is kept, so whoever has no trusted chain cannot fill it; the oldest goes first. Only the
    holder of the lock of `NitroAttestation` comes here.
    """

    def __init__(self) -> None:
        self._chains: OrderedDict[tuple[bytes, ...], Chain] = OrderedDict()

    def known(self) -> list[tuple[bytes, ...]]:
        """Return the chains that are kept, the oldest first, each from root to leaf."""
        return list(self._chains)

    def verify(
        self, certificate: bytes, cabundle: Sequence[bytes], roots: frozenset[bytes], now: float
    ) -> Chain:
        """Do as `verify_chain`; `roots` must be the same in every call."""
        key = (*cabundle, certificate)
        chain = self._chains.get(key)
        if chain is not None and chain.not_before <= now <= chain.not_after:
            return chain
        self._chains.pop(key, None)
        chain = verify_chain(certificate, cabundle, roots, now)
        self._chains[key] = chain
        if len(self._chains) > CHAINS_MAX:
            self._chains.popitem(last=False)
        return chain
