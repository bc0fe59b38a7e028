"""The threads for calls that wait."""

import threading
from http.client import RemoteDisconnected
from urllib.request import urlopen

import pytest

from hsmstore.testing.endpoint import THREADS, served
from hsmstore.wire.http import Request, Response, Work
from hsmstore.wire.threads import QUEUE_MAX, Threads


def test_queue_is_bounded() -> None:
    """What there is no room for is not taken, and room comes back with every call that ends."""
    threads, gate, made = Threads(2, "test"), threading.Event(), threading.Semaphore(0)

    def call() -> None:
        gate.wait()
        made.release()

    assert [threads.submit(call) for _ in range(QUEUE_MAX)] == [True] * QUEUE_MAX
    assert not threads.submit(call)
    gate.set()
    for _ in range(QUEUE_MAX):
        assert made.acquire(timeout=60)
    while not threads.submit(made.release):  # the last call's room comes back just after its end
        pass
    assert made.acquire(timeout=60)
    threads.end()


def test_calls_before_the_end_are_made() -> None:
    """`end` does not cut off what was taken before."""
    threads, made = Threads(1, "test"), threading.Semaphore(0)
    for _ in range(10):
        threads.submit(made.release)
    threads.end()
    for _ in range(10):
        assert made.acquire(timeout=60)


class Defective:
    """Has only work for the threads, and raises in it at `/defect`."""

    def begin(self, request: Request) -> Work:
        """Leave it to a thread."""

        def run() -> Response:
            if request.target == b"/defect":
                raise ZeroDivisionError
            return Response(200, b"", b"done")

        return Work(run)

    def overloaded(self, _: Request) -> Response:
        """Refuse."""
        return Response(503, b"", b"")


def test_a_defect_costs_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Where work raises, its client need not wait for an answer, and the thread takes the next."""
    with served(Defective(), lambda: 0.0, lambda: None) as url:
        for _ in range(THREADS):
            with pytest.raises(RemoteDisconnected):
                urlopen(f"{url}/defect", timeout=10)  # noqa: S310  # our own
        with urlopen(url, timeout=10) as answer:  # noqa: S310  # our own
            assert answer.read() == b"done"
    assert [record.exc_info is not None for record in caplog.records] == [True] * THREADS
