"""Connections to modules that may hang: each has a thread of its own, and each call a deadline.

A call that misses its deadline is ended by cutting the line that it waits on, where that is known; the
connection is then dead, and the next one begins anew. So a draw, which must be cheap, need not be handed to
the thread: it is made where it is asked for, and the thread, idle otherwise, sees to its deadline. From an
HSM that is near, as its draws have shown, even who must not wait may draw.

Where the line is not known the call can only be left. Until it comes back every other call on the connection
is refused at once; when it does come back, the connection works again. A connection that is closed while a
call hangs is abandoned with its thread and its module copy: the thread finalizes the module if the call ever
returns.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import IO, Any, Final, TypeVar

from hsmstore.domain.ports import ConnectionClosed, HsmTimedOut, HsmUnavailable
from hsmstore.domain.tokenkeys import Sealed, TokenKey
from hsmstore.hsm.forks import CURRENT
from hsmstore.hsm.line import Line
from hsmstore.hsm.session import Session

Result = TypeVar("Result")

Drawn = TypeVar("Drawn", bytes, bytes | None)

LOOKS: Final = 4  # at least, at a draw under way, within its deadline
PROMPTNESS: Final = 0.25  # seconds that a draw may hold up everybody, and between two looks
NEAR: Final = 0.002  # seconds; an HSM whose draws take less is as good as one in this process
FAR: Final = 0.02  # seconds; one whose draw takes longer is not, or not for now


class Worker:
    """One thread that makes one cluster's calls in turn. A daemon: a hung HSM must not keep the process."""

    def __init__(self, deadline: float, line: Line) -> None:
        """Start the thread; `deadline` is in seconds, for each call, of which one too late cuts `line`."""
        self.deadline: Final = deadline
        self.line: Final = line
        self.watch: Callable[[], object] = lambda: None  # called now and then while nothing is to be done
        self._process = CURRENT.number
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._hanging: Future[Any] | None = None
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="hsmstore-pkcs11", daemon=True).start()

    def call(self, function: Callable[[], Result]) -> Result:
        """Return what `function` returns in the thread and in the caller's context, or raise what it raises.

        Raises:
            HsmTimedOut: it did not return in time, or a call before it has not returned yet.
            ConnectionClosed: `end` came first, or this is a forked child, which has no such thread.

        """
        future: Future[Result] = Future()
        self._submit(future, partial(copy_context().run, function))
        try:
            result = future.result(self.deadline)
        except TimeoutError:
            if not future.cancel():  # it has begun; one that waited its turn for so long never will
                self._hanging = future
            self.line.cut()
            raise HsmTimedOut(f"no answer from the PKCS#11 module in {self.deadline} s") from None
        if self._ended:  # it was left behind, and came back after all
            raise ConnectionClosed
        return result

    def end(self, function: Callable[[], object]) -> None:
        """Run `function` when the call under way has returned, then end the thread. Does not wait."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._calls.put((Future(), function))
                self._calls.put(None)

    def _submit(self, future: Future[Result], function: Callable[[], Result]) -> None:
        if CURRENT.number != self._process:
            raise ConnectionClosed
        with self._lock:
            if self._ended:
                raise ConnectionClosed
            if self._hanging is not None and not self._hanging.done():
                raise HsmTimedOut("an earlier call to the PKCS#11 module has not returned yet")
            self._calls.put((future, function))

    def _work(self) -> None:
        while True:
            try:
                item = self._calls.get(timeout=min(PROMPTNESS, self.deadline / LOOKS))
            except Empty:
                self.watch()
                continue
            if item is None:
                return
            future, function = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  # it is the caller's
                future.set_exception(error)
            del item, future, function  # or the last result would live until the next call


class DeadlineSession:
    """The HsmConnection of a module that may hang: a Session behind a Worker."""

    def __init__(
        self, session: Session, worker: Worker, kmsuser_lock: IO[bytes], monotonic: Callable[[], float]
    ) -> None:
        """Take over session, worker and lock."""
        self._session = session
        self.mechanisms: Final = session.mechanisms
        self._worker = worker
        self._line = worker.line
        self._kmsuser_lock = kmsuser_lock
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._since: float | None = None  # when the draw under way began
        self._patience = worker.deadline
        self._is_near = False
        self._abandoned = False
        worker.watch = self._watch

    def draw(self, length: int) -> bytes:
        """Return `length` bytes as `Session.draw` does.

        Raises:
            HsmTimedOut: no answer before the deadline.
            ConnectionClosed, HsmUnavailable: as `Session.draw`; HsmUnavailable also once the line is cut.

        """
        if not self._line.is_known:
            return self._worker.call(lambda: self._session.draw(length))
        if self._line.is_cut:
            raise HsmUnavailable("the connection was cut when an earlier call had not returned in time")
        if not self._turn.acquire(timeout=self._worker.deadline):
            raise HsmTimedOut("an earlier call to the PKCS#11 module has not returned yet")
        return self._draw(self._session.draw, length, self._worker.deadline)

    def draw_promptly(self, length: int) -> bytes | None:
        """Return what `draw` returns, or None where the HSM is not near, or another call is under way.

        One that was near and hangs holds the caller up once, for no more than PROMPTNESS and a look: then the
        line is cut, and whoever draws next waits for the HSM in a thread.

        Raises:
            HsmTimedOut: it was cut so.
            ConnectionClosed, HsmUnavailable: as `draw`.

        """
        if not self._is_near or self._line.is_cut:
            return None
        if not self._turn.acquire(timeout=NEAR):
            self._is_near = False  # or each one in turn would wait so long
            return None
        return self._draw(self._session.draw_promptly, length, min(PROMPTNESS, self._worker.deadline))

    def _draw(self, call: Callable[[int], Drawn], length: int, patience: float) -> Drawn:
        """Make `call`, cut off after `patience`, in the turn that is held, and give the turn back."""
        try:
            self._patience = patience
            self._since = began = self._monotonic()
            octets = call(length)
            self._judge(self._monotonic() - began)
        except HsmUnavailable as error:
            if self._line.is_cut:
                raise HsmTimedOut(f"no answer in {patience} s: {error.reason}") from error
            raise
        finally:
            self._since = None
            self._turn.release()
        if self._abandoned:  # it was left behind, and came back after all
            raise ConnectionClosed
        return octets

    def _judge(self, seconds: float) -> None:
        """Take a draw's time for the HSM's. Threads in each other's way make it longer, and never shorter."""
        if seconds < NEAR:
            self._is_near = True
        elif seconds > FAR:
            self._is_near = False

    def _watch(self) -> None:
        since = self._since
        if since is not None and self._monotonic() - since >= self._patience:
            self._line.cut()

    def set_password(self, old: str, new: str) -> None:
        """Change kmsuser's password as `Session.set_password` does.

        Raises:
            HsmTimedOut: no answer before the deadline; either password may be in force.
            ConnectionClosed, HsmUnavailable: as `Session.set_password`.

        """
        self._worker.call(lambda: self._session.set_password(old, new))

    # The keys, as Session has them, each call with a deadline: HsmTimedOut comes to what those raise.

    def generate_key(self, label: str, key_id: bytes) -> None:
        """Make a key as `Session.generate_key` does; one that missed the deadline may be made yet."""
        self._worker.call(lambda: self._session.generate_key(label, key_id))

    def encrypt(self, key_id: bytes, plaintext: bytes, aad: bytes) -> Sealed:
        """Encrypt as `Session.encrypt` does."""
        return self._worker.call(lambda: self._session.encrypt(key_id, plaintext, aad))

    def decrypt(self, key_id: bytes, sealed: Sealed, aad: bytes) -> bytes:
        """Decrypt as `Session.decrypt` does."""
        return self._worker.call(lambda: self._session.decrypt(key_id, sealed, aad))

    def destroy_key(self, key_id: bytes) -> None:
        """Destroy keys as `Session.destroy_key` does; those that missed the deadline may go yet."""
        self._worker.call(lambda: self._session.destroy_key(key_id))

    def has_key(self, key_id: bytes) -> bool:
        """Look for a key as `Session.has_key` does."""
        return self._worker.call(lambda: self._session.has_key(key_id))

    def keys(self) -> list[TokenKey]:
        """List the keys as `Session.keys` does."""
        return self._worker.call(self._session.keys)

    def close(self) -> None:
        """Finalize, or leave a hung call behind, of which nobody will see the bytes. Idempotent."""
        try:
            self._worker.call(self._session.close)
        except HsmTimedOut:
            self._abandoned = True
        except ConnectionClosed:
            pass
        self._worker.end(self._session.close)
        self._kmsuser_lock.close()


def call_once(function: Callable[[], Result], deadline: float, line: Line) -> Result:
    """Return what `function` returns, in a thread that lives for this one call.

    Raises:
        HsmTimedOut: it did not return within `deadline` seconds; it may do so later, unseen.

    """
    worker = Worker(deadline, line)
    try:
        return worker.call(function)
    finally:
        worker.end(lambda: None)


def open_with_deadline(
    open_session: Callable[[], Session],
    worker: Worker,
    kmsuser_lock: IO[bytes],
    monotonic: Callable[[], float],
) -> DeadlineSession:
    """Return the connection that `open_session` opens in the worker's thread.

    Raises:
        HsmTimedOut: it did not return in time. If it ever does, its session is closed.

    """
    opened: list[Session] = []
    try:
        worker.call(lambda: opened.append(open_session()))
        return DeadlineSession(opened[0], worker, kmsuser_lock, monotonic)
    except BaseException:
        worker.end(lambda: _close(opened))
        raise


def _close(sessions: list[Session]) -> None:
    for session in sessions:
        session.close()
