"""Connections to modules that may hang: each has a thread of its own, and each call a deadline.

A call that misses its deadline cannot be stopped, only left. Until it comes back every other call on the
connection is refused at once; when it does come back, the connection works again. A connection that is
closed while a call hangs is abandoned with its thread and its module copy: the thread finalizes the
module if the call ever returns.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any, Final, TypeVar

from hsmstore.domain.ports import ConnectionClosed, HsmTimedOut
from hsmstore.domain.tokenkeys import Sealed, TokenKey
from hsmstore.hsm.session import Session

Result = TypeVar("Result")


class Worker:
    """One thread that makes one cluster's calls in turn. A daemon: a hung HSM must not keep the process."""

    def __init__(self, deadline: float) -> None:
        """Start the thread; `deadline` is in seconds, for each call."""
        self._deadline = deadline
        self._pid = os.getpid()
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._hanging: Future[Any] | None = None
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="hsmstore-pkcs11", daemon=True).start()

    def call(self, function: Callable[[], Result]) -> Result:
        """Return what `function` returns in the thread, or raise what it raises.

        Raises:
            HsmTimedOut: it did not return in time, or a call before it has not returned yet.
            ConnectionClosed: `end` came first, or this is a forked child, which has no such thread.

        """
        future: Future[Result] = Future()
        self._submit(future, function)
        try:
            result = future.result(self._deadline)
        except TimeoutError:
            if not future.cancel():  # it has begun; one that waited its turn for so long never will
                self._hanging = future
            raise HsmTimedOut(f"no answer from the PKCS#11 module in {self._deadline} s") from None
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
        if os.getpid() != self._pid:
            raise ConnectionClosed
        with self._lock:
            if self._ended:
                raise ConnectionClosed
            if self._hanging is not None and not self._hanging.done():
                raise HsmTimedOut("an earlier call to the PKCS#11 module has not returned yet")
            self._calls.put((future, function))

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
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

    def __init__(self, session: Session, worker: Worker, kmsuser_lock: IO[bytes]) -> None:
        """Take over the three of them."""
        self._session = session
        self.mechanisms: Final = session.mechanisms
        self._worker = worker
        self._kmsuser_lock = kmsuser_lock

    def draw(self, length: int) -> bytes:
        """Return `length` bytes as `Session.draw` does.

        Raises:
            HsmTimedOut: no answer before the deadline.
            ConnectionClosed, HsmUnavailable: as `Session.draw`.

        """
        return self._worker.call(lambda: self._session.draw(length))

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
        with suppress(HsmTimedOut, ConnectionClosed):
            self._worker.call(self._session.close)
        self._worker.end(self._session.close)
        self._kmsuser_lock.close()


def call_once(function: Callable[[], Result], deadline: float) -> Result:
    """Return what `function` returns, in a thread that lives for this one call.

    Raises:
        HsmTimedOut: it did not return within `deadline` seconds; it may do so later, unseen.

    """
    worker = Worker(deadline)
    try:
        return worker.call(function)
    finally:
        worker.end(lambda: None)


def open_with_deadline(
    open_session: Callable[[], Session], deadline: float, kmsuser_lock: IO[bytes]
) -> DeadlineSession:
    """Return the connection that `open_session` opens in a thread of its own.

    Raises:
        HsmTimedOut: it did not return within `deadline` seconds. If it ever does, its session is closed.

    """
    worker = Worker(deadline)
    opened: list[Session] = []
    try:
        worker.call(lambda: opened.append(open_session()))
        return DeadlineSession(opened[0], worker, kmsuser_lock)
    except BaseException:
        worker.end(lambda: _close(opened))
        raise


def _close(sessions: list[Session]) -> None:
    for session in sessions:
        session.close()
