"""The threads for calls that wait."""

import threading

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
