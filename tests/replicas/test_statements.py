"""What a replica asks of its database: nothing for a draw, and little when nobody asks."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

import pytest
from sqlalchemy import Engine, event

from hsmstore.bootstrap.threads import keeping
from hsmstore.service.settling import settle
from hsmstore.storage.notices import open_notices
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Request, Work
from tests.replicas.worlds import Estate

pytestmark = pytest.mark.postgresql

DRAWS = 1000


@contextmanager
def counted(name: str) -> Iterator[Counter[int]]:
    """Count what SQLAlchemy calls `name` on any connection, by the thread that caused it."""
    counts: Counter[int] = Counter()

    def count(*_: object) -> None:
        counts[threading.get_ident()] += 1

    event.listen(Engine, name, count)
    try:
        yield counts
    finally:
        event.remove(Engine, name, count)


def draw(application: KmsApplication, request: Request) -> None:
    """Draw as the server does, what may wait included, and all of it in this thread."""
    begun = application.begin(copy(request))
    answer = begun.run() if isinstance(begun, Work) else begun
    assert answer is not None
    assert answer.status == 200, answer


def test_a_draw_asks_nothing(estate: Estate) -> None:
    """The first draw of a replica asks the registry, a thousand more send no statement to it.

    Meanwhile the replica ticks, renews and listens, in threads of its own.
    """
    connecting, replica = estate.replica(), estate.replica()
    body = {"NumberOfBytes": 32, "CustomKeyStoreId": estate.connected_store(connecting)}
    headers = {
        b"content-type": b"application/x-amz-json-1.1",
        b"x-amz-target": b"TrentService.GenerateRandom",
    }
    request = Request(b"POST", b"/", {b"host": b"127.0.0.1", **headers}, json.dumps(body).encode())
    application, here = KmsApplication(replica.world, lambda _environ, _start: []), threading.get_ident()
    with keeping(replica.world, open_notices(estate.url)), counted("before_cursor_execute") as statements:
        draw(application, request)
        first = statements[here]
        for _ in range(DRAWS):
            draw(application, request)
    assert first > 0, "the statements of this thread are counted"
    assert statements[here] == first


def test_a_tick_is_one_transaction(estate: Estate) -> None:
    """Where nothing is due a replica looks in one transaction, for key stores and keys together."""
    replica = estate.replica()
    with counted("begin") as transactions:
        assert settle(replica.world)
    assert transactions.total() == 1
