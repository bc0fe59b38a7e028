"""A simulator of this process over HTTP, for clients that no Python can wire."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hsmstore.wire.http import Application
from hsmstore.wire.server import Server

HOST: Final = "127.0.0.1"
THREADS: Final = 4
STARTED_WITHIN: Final = 60.0  # seconds


@contextmanager
def served(
    application: Application, real_time: Callable[[], float], before_stop: Callable[[], object]
) -> Iterator[str]:
    """Serve on a free port of loopback, from threads that end with the context; give the URL.

    `real_time` gives seconds since the epoch; `before_stop` lets go what would keep a thread.

    Raises:
        OSError: there is no port to listen on.

    """
    listening = threading.Event()
    failures: list[OSError] = []
    server = Server(
        application, HOST, 0, THREADS,
        real_time=real_time, when_listening=listening.set, before_stop=before_stop,
    )  # fmt: skip

    def run() -> None:
        try:
            server.run_as_guest()
        except OSError as error:
            failures.append(error)
            listening.set()

    thread = threading.Thread(target=run, name="hsmstore-endpoint", daemon=True)
    thread.start()
    if not listening.wait(STARTED_WITHIN) or failures:
        raise failures[0] if failures else TimeoutError("the endpoint of hsmstore did not start")
    try:
        yield f"http://{HOST}:{server.port}"
    finally:
        server.stop()
        thread.join()
