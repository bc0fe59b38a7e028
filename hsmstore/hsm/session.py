"""A session of kmsuser, logged in on one token of one module."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, NamedTuple, NoReturn, TypeVar, TypeVarTuple

import pkcs11
from pkcs11 import Mechanism

from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.domain.lease import Lease
from hsmstore.domain.limits import RANDOM_BYTES_MAX
from hsmstore.domain.mechanisms import lacking_for_keys
from hsmstore.domain.ports import ConnectFailed, ConnectionClosed, HsmUnavailable
from hsmstore.domain.tokenkeys import Sealed, TokenKey
from hsmstore.hsm.ckr import error_code, name_of, words
from hsmstore.hsm.directory import ClusterDirectory
from hsmstore.hsm.forks import CURRENT
from hsmstore.hsm.keys import KeyObjects
from hsmstore.hsm.module import Module

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

LOOK_INTERVAL: Final = 0.0005  # seconds; a look at a file costs as much as a draw
PROBE_INTERVAL: Final = 1.0  # seconds; a C_GetTokenInfo costs ten times what a draw does
SELF_TEST_LENGTH: Final = 32  # bytes


class Looks:
    """The looks at tokens that the sessions of a process share.

    A session looks where none has looked for LOOK_INTERVAL, so that where draws are few each takes a look.
    Where draws come fast from many, each of which would take one, it looks when it has waited for its turn.
    """

    def __init__(self) -> None:
        """Begin with no session."""
        self.sessions: set[Session] = set()
        self._free_at = 0.0

    def is_free(self, now: float) -> bool:
        """Tell whether nobody has just looked."""
        return now >= self._free_at

    def took(self, now: float) -> float:
        """Take a look into account; return when the next of the same session can be put off no further."""
        self._free_at = now + LOOK_INTERVAL
        return now + len(self.sessions) * LOOK_INTERVAL


class Term(NamedTuple):
    """How long a session may be drawn from: no longer than the lease, by a clock whose seconds only grow.

    `failed` is told the name of each CKR that a call ends in. `looks` knows all sessions that are open: each
    adds itself, and is gone from there when it is closed.
    """

    lease: Lease
    monotonic: Callable[[], float]
    failed: Callable[[str], None]
    looks: Looks


class Session:
    """The HsmConnection of a module that answers at once.

    It works in the generation of its module and in the process that it was opened in, and in no other:
    handles start again at 1 after C_Finalize, so that a stale one would act on another cluster's token.
    """

    def __init__(
        self,
        session: pkcs11.Session,
        module: Module,
        directory: ClusterDirectory | None,
        term: Term,
        held: ExitStack,
    ) -> None:
        """Wrap `session` and take over what `held` holds: its module and its lock, given back by `close`.

        `directory` is None for a token that hsmstore did not make, whose files it does not know.
        """
        self._session = session
        self._generate_random = session.generate_random
        self._slot = session.token.slot
        with module.lock:
            self.mechanisms: Final = mechanisms_of(self._slot)
        self._module = module
        self._lock = module.lock
        self._generation = module.generation
        self._process = CURRENT.number
        self._directory = directory
        self._keys = KeyObjects(session, directory, lacking_for_keys(self.mechanisms))
        token_object = None if directory is None else directory.token_object()
        self._token_object = None if token_object is None else str(token_object)
        self._lease, self._monotonic, self._failed, self._looks = term
        self._probe_due = self._monotonic() + PROBE_INTERVAL
        self._look_due = self._look_latest = 0.0
        self._looks.sessions.add(self)
        held.callback(self._looks.sessions.discard, self)
        self._held = held.pop_all()  # last: where anything above fails, the caller still has it

    def draw(self, length: int) -> bytes:
        """Return `length` (1 to 1024) bytes of one C_GenerateRandom.

        Raises:
            ConnectionClosed: `close` came first, the lease has lapsed, or this is a forked child.
            HsmUnavailable: the token is gone or its module failed.

        """
        self._require_process()
        with self._lock:
            return self._drawn(length)

    def _drawn(self, length: int) -> bytes:
        """Do what `draw` does, and what `_performed` would, in one go. The lock must be held."""
        if not 1 <= length <= RANDOM_BYTES_MAX:  # SoftHSM2 answers 4 GiB with zeros
            raise ValueError(f"{length} bytes were asked for; 1 to {RANDOM_BYTES_MAX} can be drawn at once")
        if self._module.generation != self._generation:
            raise ConnectionClosed
        generate_random, monotonic = self._generate_random, self._monotonic
        try:
            octets = generate_random(8 * length)
            if (now := monotonic()) >= self._look_due:
                self._look(now)
        except Exception as error:  # noqa: BLE001  # all of them are told on
            self._fail("C_GenerateRandom", error)
        if len(octets) != length:
            raise HsmUnavailable(f"C_GenerateRandom gave {len(octets)} of {length} bytes")
        return octets

    def generate_key(self, label: str, key_id: bytes) -> None:
        """Make an AES-256 key that never leaves the token, as `KeyObjects.generate` does.

        Raises:
            KeysUnsupported: the module lacks a mechanism.
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        self._perform("C_GenerateKey", self._keys.generate, label, key_id)

    def encrypt(self, key_id: bytes, plaintext: bytes, aad: bytes) -> Sealed:
        """Encrypt with AES-GCM and an IV of the token's.

        Raises:
            KeyMaterialGone: no key of this id.
            KeysUnsupported: the module lacks a mechanism.
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        return self._perform("C_Encrypt", self._keys.encrypt, key_id, plaintext, aad)

    def decrypt(self, key_id: bytes, sealed: Sealed, aad: bytes) -> bytes:
        """Return what `encrypt` has encrypted.

        Raises:
            KeyMaterialGone: no key of this id.
            CiphertextRefused: the tag does not fit.
            KeysUnsupported: the module lacks a mechanism.
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        return self._perform("C_Decrypt", self._keys.decrypt, key_id, sealed, aad)

    def destroy_key(self, key_id: bytes) -> None:
        """Destroy every key of this id. Idempotent.

        Raises:
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        self._perform("C_DestroyObject", self._keys.destroy, key_id)

    def has_key(self, key_id: bytes) -> bool:
        """Tell whether the token has a usable key of this id.

        Raises:
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        return self._perform("C_FindObjects", self._keys.has, key_id)

    def keys(self) -> list[TokenKey]:
        """Return every secret key on the token.

        Raises:
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        return self._perform("C_FindObjects", self._keys.all)

    def draw_promptly(self, length: int) -> bytes | None:
        """Return `length` bytes as `draw` does, or None where another call has the module.

        Raises:
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        if CURRENT.number != self._process:
            raise ConnectionClosed
        if not self._lock.acquire(False):  # by name it takes half as long again
            return None
        try:
            return self._drawn(length)
        finally:
            self._lock.release()

    def set_password(self, old: str, new: str) -> None:
        """Change kmsuser's password with C_SetPIN, and the copy of token.object with it.

        Raises:
            ConnectionClosed: `close` came first, or this is a forked child.
            HsmUnavailable: the module refused, or the copy could not be written. In the second case the new
                password is in force.

        """
        self._require_process()
        with self._lock:
            if self._module.generation != self._generation:
                raise ConnectionClosed
            try:
                if self._directory is None:
                    self._session.set_pin(old, new)
                    return
                with self._directory.locked_token():
                    self._session.set_pin(old, new)
                    self._directory.back_up()
            except pkcs11.PKCS11Error as error:
                self._failed(name_of(error))
                raise HsmUnavailable(f"C_SetPIN: {words(error)}") from error
            except OSError as error:
                raise HsmUnavailable(f"token.object or its copy: {error}") from error

    def close(self) -> None:
        """Wait for the call under way, then finalize. No byte is drawn after it returns. Idempotent."""
        if CURRENT.number == self._process:
            with self._lock:
                self._held.close()

    def _perform(self, name: str, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Return what `function`, which makes the call of this name, returns: the one way to the token.

        C_GenerateRandom alone proves nothing: it goes on succeeding after its token is gone. So the looks
        come after the call, and what was drawn or decrypted in vain is dropped.

        Raises:
            ConnectionClosed: `close` came first, the lease has lapsed, or this is a forked child.
            HsmUnavailable: the token is gone or its module failed.

        """
        self._require_process()
        with self._lock:
            return self._performed(name, function, *arguments)

    def _require_process(self) -> None:
        """Refuse in a forked child, before the lock, which another thread may have held at the fork."""
        if CURRENT.number != self._process:
            raise ConnectionClosed

    def _performed(
        self, name: str, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        """Do what `_perform` does. The lock must be held."""
        if self._module.generation != self._generation:
            raise ConnectionClosed
        try:
            result = function(*arguments)
            if (now := self._monotonic()) >= self._look_due:
                self._look(now)
        except Exception as error:  # noqa: BLE001  # all of them are told on
            self._fail(name, error)
        return result

    def _fail(self, name: str, error: Exception) -> NoReturn:
        """Say why a call failed: because there is no token any more, or else by its own `error`."""
        self._look_due = self._look_latest = 0.0
        try:
            self._look(self._monotonic())
            raise error
        except pkcs11.PKCS11Error as why:
            self._failed(name_of(why))
            raise HsmUnavailable(f"{name}: {words(why)}") from why
        except FileNotFoundError as why:
            raise HsmUnavailable(f"the token is gone: {why}") from why
        except OSError as why:
            raise HsmUnavailable(f"{name}: the token's files: {why}") from why
        finally:
            del error  # its traceback leads back here, and to what the call was given

    def _look(self, now: float) -> None:
        """Look at what a call need not look at each time: the lease, the token, and seldom its kmsuser.

        A lease's end is only ever put off, so the end as it was at the last look is never too late.

        Raises:
            ConnectionClosed: the lease has lapsed.
            OSError: the token is gone.
            pkcs11.PKCS11Error: likewise, or its kmsuser is.

        """
        lease_end = self._lease.ends
        if now >= lease_end:
            raise ConnectionClosed
        if now < self._look_latest and not self._looks.is_free(now):
            return
        token_object = self._token_object
        if token_object is not None and not os.access(token_object, os.F_OK):  # costs two thirds of a stat
            os.stat(token_object)  # noqa: PTH116  # raises why
        if now >= self._probe_due:
            _require_kmsuser(self._slot.get_token())
            self._probe_due = now + PROBE_INTERVAL
        self._look_latest = self._looks.took(now)
        self._look_due = min(now + LOOK_INTERVAL, lease_end)


def _require_kmsuser(token: pkcs11.Token) -> None:
    """Notice a token that somebody has initialised anew: a session outlives that, kmsuser does not."""
    if not token.flags & pkcs11.TokenFlag.USER_PIN_INITIALIZED:
        raise pkcs11.UserPinNotInitialized


def mechanisms_of(slot: pkcs11.Slot) -> frozenset[str]:
    """Ask what the token offers (C_GetMechanismList). A networked module leaves out what it cannot pass on.

    The module's lock must be held. A mechanism that python-pkcs11 has no name for is not among them.

    Raises:
        pkcs11.PKCS11Error: it does not answer.

    """
    offered: set[Mechanism | int] = set(slot.get_mechanisms())  # the stub forgets those without a name
    return frozenset(f"CKM_{mechanism.name}" for mechanism in offered if isinstance(mechanism, Mechanism))


def self_test(session: pkcs11.Session) -> None:
    """Draw twice and compare: a generator that repeats itself or gives zeros is broken.

    Raises:
        ConnectFailed: it is.
        pkcs11.PKCS11Error: it does not answer.

    """
    one, other = (session.generate_random(8 * SELF_TEST_LENGTH) for _ in range(2))
    if {len(one), len(other)} != {SELF_TEST_LENGTH} or one == other or not (any(one) and any(other)):
        raise ConnectFailed(ConnectionErrorCode.INTERNAL_ERROR, "self-test: C_GenerateRandom is not random")


def log_in(token: pkcs11.Token, password: str) -> pkcs11.Session:
    """Open a read-write session of kmsuser. The module's lock must be held.

    A refused login leaves its session open (python-pkcs11 does not close it); C_Finalize does.

    Raises:
        ConnectFailed: the password does not fit, or the module refused for another reason.

    """
    try:
        return token.open(rw=True, user_pin=password)
    except pkcs11.PKCS11Error as error:
        raise ConnectFailed(error_code(error, at_login=True), f"C_Login: {words(error)}") from error
