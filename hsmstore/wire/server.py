"""The HTTP server: Granian's WSGI worker, in this process.

Granian forks a worker process by default. The HSM room must have no fork, and one process is smaller and
quicker to start; the worker runs as well in a thread, as Granian itself has it on interpreters without a GIL.
"""

import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces
from granian.server import MTServer
from granian.server.mt import WorkerThread

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.wire.app import Application

BACKLOG: Final = 1024
GRACE: Final = 5.0  # seconds, at the end, for what is under way
LOOK_UP: Final = 0.5  # seconds between two looks for a signal


class _Interrupt(threading.Event):
    """What Granian's main thread waits for.

    Python runs a signal's handler in the main thread only, and a wait without end may sleep through a signal
    that comes as it begins, or that the kernel gives to another thread.
    """

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, and look up now and then."""
        while not super().wait(LOOK_UP if timeout is None else timeout):
            if timeout is not None:
                return False
        return True


class Server(MTServer):
    """One worker in a thread. `run` returns after SIGTERM or SIGINT, when what was under way is answered."""

    def __init__(
        self,
        application: Application,
        host: str,
        port: int,
        threads: int,
        *,
        before_stop: Callable[[], object] | None = None,
    ) -> None:
        """Take the application, where to listen, and how many threads may run it at once.

        `before_stop` is called at the signal: it lets go what would keep a thread.
        """
        super().__init__(
            "hsmstore",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            blocking_threads=threads,
            backlog=BACKLOG,
            backpressure=BACKLOG,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
        )
        self._application = application
        self._before_stop = before_stop
        self.main_loop_interrupt = _Interrupt()

    def _check_gil(self) -> None:
        """Run with the GIL, too: the worker needs none of what Granian's check protects."""

    def _spawn_worker(self, *args: Any, **kwargs: Any) -> WorkerThread:
        """Let neither the worker nor Granian's watch on it keep the process alive."""
        worker = super()._spawn_worker(*args, **kwargs)
        worker.inner.daemon = True
        watch = threading.Thread(target=worker._watcher, daemon=True)  # noqa: SLF001  # offers no other way
        worker._watch = watch.start  # type: ignore[method-assign]  # noqa: SLF001  # likewise
        return worker

    def _stop_workers(self) -> None:
        """Answer what is under way, and wait no longer for a client that left its request half sent."""
        if self._before_stop is not None:
            self._before_stop()
        for worker in self.wrks:
            worker.terminate()  # type: ignore[no-untyped-call]  # Granian's
            worker.inner.join(GRACE)
        self.wrks.clear()

    def run(self) -> None:
        """Serve until a signal comes."""
        self.serve(target_loader=lambda: self._application, wrap_loader=False)


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
