"""Requests that are kept: those of small bodies, which programs send again and again, and no others."""

import json
from pathlib import Path
from typing import Any

import pytest

from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.profile import Profile
from hsmstore.settings.fields import Settings
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Request, Response
from hsmstore.wire.operations import KEPT_SIZE, OPERATIONS

TARGET = "TrentService.GenerateRandom"
HEADERS = {
    b"host": b"localhost",
    b"content-type": b"application/x-amz-json-1.1",
    b"x-amz-target": TARGET.encode(),
}


@pytest.mark.simulator_only(reason="How a server spares itself work is its own affair.")
def test_what_is_kept(tmp_path: Path) -> None:
    """A large body leaves nothing behind, however often it comes; a refused one is refused again."""
    kept: Any = OPERATIONS[TARGET].decode_again
    with open_world(Settings(data_dir=tmp_path, profile=Profile.INSTANT)) as world:
        application = KmsApplication(world, lambda _environ, _start: [])

        def status(body: bytes) -> int:
            answer = application.begin(Request(b"POST", b"/", HEADERS, body))
            assert isinstance(answer, Response)
            return int(answer.status)

        def sized(size: int) -> bytes:
            body = json.dumps({"NumberOfBytes": 1 + size % 1000}).encode()
            return body + b" " * (size - len(body))

        before = kept.cache_info().currsize
        assert [status(sized(KEPT_SIZE + 1)) for _ in range(3)] == [200, 200, 200]
        assert [status(b'{"NumberOfBytes": 0}') for _ in range(2)] == [400, 400]
        assert kept.cache_info().currsize == before
        hits = kept.cache_info().hits
        assert [status(sized(KEPT_SIZE)) for _ in range(3)] == [200, 200, 200]
        assert (kept.cache_info().currsize - before, kept.cache_info().hits - hits) == (1, 2)
