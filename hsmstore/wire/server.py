"""The HTTP server: one event loop for the sockets, a few threads for calls that wait.

A call that waits for nothing, a draw from a live connection above all, is served in the loop's own thread: no
hand-over, no contest for the interpreter's lock. Everything else is handed to the threads.
"""

import asyncio
import logging
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from email.utils import formatdate
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.wire.http import Application, Connection, Response, Work
from hsmstore.wire.rounds import Rounds
from hsmstore.wire.threads import Threads

if TYPE_CHECKING:
    from ssl import SSLContext

log = logging.getLogger(__name__)

BACKLOG: Final = 1024
GRACE: Final = 6.0  # seconds, at the end, for what is under way: a call to an HSM that is silent takes 5
HANDSHAKE_PATIENCE: Final = 10.0  # seconds for a handshake of TLS
FAREWELL: Final = 2.0  # seconds for a client of TLS to say that it has heard the end
RESERVED_THREADS: Final = 2
SPARE_FILES: Final = 256  # file descriptors for everything but clients
MOST: Final = 12_000
TELLING: Final = 60  # seconds in which is logged but once that there are too many clients
SWITCH_INTERVAL: Final = 0.0005
"""Seconds that another thread may keep the interpreter while the loop wants it. Python's 5 ms would be added
to each system call of the loop for as long as some thread computes."""


class Server:
    """Serves an application until SIGTERM or SIGINT."""

    def __init__(
        self,
        application: Application,
        host: str,
        port: int,
        threads: int,
        *,
        real_time: Callable[[], float],
        tls: "SSLContext | None" = None,
        when_listening: Callable[[], object] = lambda: None,
        before_stop: Callable[[], object] = lambda: None,
        at_hangup: Callable[[], object] = lambda: None,
    ) -> None:
        """Take the application, where to listen, and how many threads may wait for it.

        With `tls` it speaks HTTPS. `real_time` gives seconds since the epoch, for the Date header.
        `when_listening` and `at_hangup` (SIGHUP) are called in a thread of their own; `before_stop` is called
        when it is to end, and lets go what would keep a thread.
        """
        self.application = application
        self.connections: dict[Connection, None] = {}
        self.now = 0
        self.date = b""
        self.port = port
        """Where it listens; a port 0 becomes the one that the system has chosen."""
        self._address = (host, port)
        self._threads = Threads(threads, "call")
        self._reserved = Threads(RESERVED_THREADS, "reserved-call")
        self._real_time = real_time
        self._tls = tls
        self.most = MOST
        """How many clients may be connected; fewer, where the system has not so many files."""
        self._told = -TELLING
        self._when_listening = when_listening
        self._before_stop = before_stop
        self._at_hangup = at_hangup
        self.arrived: Callable[[Connection], None]
        """Serve a connection, and answer it, in the next round."""
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def run(self) -> None:
        """Serve. Returns when what was under way at the signal is answered, or GRACE has passed."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        _allow_many_files()
        asyncio.run(self._serve(self._obey_signals))

    def run_as_guest(self) -> None:
        """Serve until `stop`, in a process and mostly in a thread that belong to another program."""
        asyncio.run(self._serve())

    def stop(self) -> None:
        """Have it end, from another thread; it must be listening."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def submit(self, work: Work, done: Callable[[Response | None], None]) -> bool:
        """Do `work` in a thread and call `done` in the loop's; return False where the queue is full."""
        threads = self._reserved if work.reserved else self._threads
        return threads.submit(lambda: self._do(work, done))

    def has_room(self) -> bool:
        """Tell whether one more may be connected; those that have been silent longest make way for it.

        Who waits for an answer stays. A hundredth is sent away at once: looking for them takes a while.
        """
        if len(self.connections) < self.most:
            return True
        if self.now >= self._told + TELLING:
            self._told = self.now
            log.warning("%d clients are connected: for each more the most silent make way", self.most)
        silent = [(since, each) for each in self.connections if (since := each.silent_since()) is not None]
        silent.sort(key=itemgetter(0))  # of those that are equal the oldest comes first
        for _, connection in silent[: max(1, self.most // 100)]:
            connection.make_way()
        return bool(silent)

    def waiting(self) -> dict[str, int]:
        """Return how many calls are in the threads or wait for one, by the kind of threads."""
        return {"calls": self._threads.owed, "reserved": self._reserved.owed}

    def connected(self) -> int:
        """Return how many clients are connected."""
        return len(self.connections)

    def _do(self, work: Work, done: Callable[[Response | None], None]) -> None:
        response = None
        try:
            response = Context().run(work.run)  # what it notes of itself is gone with it
        except Exception:  # a defect of the application; it must cost no thread, and leave no client waiting
            log.exception("a request was not answered")
        try:
            self._loop.call_soon_threadsafe(done, response)
        except RuntimeError:  # the loop has ended: GRACE was not enough
            log.warning("an answer came after the server had stopped")

    def _obey_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, lambda: _in_a_thread(self._at_hangup, "hangup"))

    async def _serve(self, prepare: Callable[[], None] = lambda: None) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.arrived = Rounds(loop.call_soon).arrived
        prepare()
        self.most = min(self.most, _files_for_clients())
        self._tick()
        host, port = self._address
        listener = await loop.create_server(
            lambda: Connection(self),
            host,
            port,
            backlog=BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_PATIENCE if self._tls else None,
            ssl_shutdown_timeout=FAREWELL if self._tls else None,
        )
        self.port = listener.sockets[0].getsockname()[1]
        _in_a_thread(self._when_listening, "announcer")
        await self._stop.wait()
        listener.close()
        await self._drain()

    def _tick(self) -> None:
        """Once a second: tell the time, and look for clients that have gone to sleep."""
        self.now += 1
        self.date = b"Date: %b\r\n" % formatdate(self._real_time(), usegmt=True).encode()
        for connection in list(self.connections):
            connection.look()
        self._loop.call_later(1.0, self._tick)

    async def _drain(self) -> None:
        """Answer what is under way, and wait no longer for a client that left its request half sent."""
        self._before_stop()
        for connection in list(self.connections):
            connection.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty(), GRACE)
        self._threads.end()
        self._reserved.end()

    async def _empty(self) -> None:
        """Wait until no connection is left."""
        while self.connections:
            left = next(iter(self.connections))
            await left.lost.wait()


def require_free(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on, before anything is started.

    Raises:
        EnvironmentUnfit: the port is in use, or not ours to use.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentUnfit(
                f"cannot listen on {host}:{port}: {error.strerror}",
                "stop what listens there, or choose another with --port",
            ) from error


def _in_a_thread(call: Callable[[], object], name: str) -> None:
    threading.Thread(target=call, name=name, daemon=True).start()


def _files_for_clients() -> int:
    """Return for how many clients there are file descriptors; asyncio accepts BACKLOG of them in one go."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65536 if soft == resource.RLIM_INFINITY else max(soft // 2, soft - SPARE_FILES - BACKLOG)


def _allow_many_files() -> None:
    """Take as many file descriptors as the system grants without asking: each client needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
