"""One process of `bench.carriers`: a server that gives one answer, carried by what the first argument names.

`python -m bench.carried CARRIER FILE PORT`; the file is that of `bench.constant`. Granian and uvicorn are not
among hsmstore's dependencies: they are imported where they are asked for.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from bench import constant
from hsmstore.wire.http import Response

Headers = list[tuple[str, str]]


def asyncio_carried(port: int, response: Response) -> None:
    """Serve as hsmstore does."""
    constant.serve(response, port, threads=4)


def uvloop_carried(port: int, response: Response) -> None:
    """Serve as hsmstore does, in the loop of libuv."""
    import uvloop  # type: ignore[import-not-found]  # noqa: PLC0415  # no dependency

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio_carried(port, response)


def uvicorn_carried(port: int, response: Response) -> None:
    """Serve an ASGI application with uvicorn, which takes uvloop and httptools where they are."""
    import uvicorn  # type: ignore[import-not-found]  # noqa: PLC0415  # no dependency

    pairs = [(name.encode(), value.encode()) for name, value in headers_of(response)]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        await send({"type": "http.response.body", "body": response.body})

    uvicorn.run(
        application, host="127.0.0.1", port=port, log_level="critical", access_log=False, lifespan="off"
    )


def granian_carried(interface: str, threads: int) -> Callable[[int, Response], None]:
    """Return what serves with Granian: one worker, so many threads that run Python."""

    def serve(port: int, _: Response) -> None:
        from granian import Granian  # type: ignore[import-not-found]  # noqa: PLC0415  # no dependency

        Granian(
            f"bench.carried:{interface}",
            address="127.0.0.1",
            port=port,
            interface=interface,
            workers=1,
            blocking_threads=threads if interface == "wsgi" else None,
            log_enabled=False,
        ).serve()

    return serve


CARRIERS: Final = {
    "asyncio": asyncio_carried,
    "uvloop": uvloop_carried,
    "uvicorn": uvicorn_carried,
    "granian-wsgi-1": granian_carried("wsgi", 1),
    "granian-wsgi-4": granian_carried("wsgi", 4),
    "granian-rsgi": granian_carried("rsgi", 1),
}


@cache
def answer() -> Response:
    """Return what the file says; Granian's worker is told by the same arguments."""
    return constant.read(Path(sys.argv[2]))


@cache
def headers_of(response: Response) -> Headers:
    """Return the header lines as pairs."""
    lines = response.headers.decode().splitlines()
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def wsgi(environ: dict[str, Any], start_response: Callable[[str, Headers], object]) -> Iterable[bytes]:
    """Answer, as WSGI wants it."""
    environ["wsgi.input"].read()
    start_response("200 OK", headers_of(answer()))
    return [answer().body]


async def rsgi(_: Any, protocol: Any) -> None:
    """Answer, as RSGI wants it."""
    await protocol()
    protocol.response_bytes(200, headers_of(answer()), answer().body)


def main() -> None:
    """Serve until a signal comes."""
    carrier, _, port = sys.argv[1:]
    CARRIERS[carrier](int(port), answer())


if __name__ == "__main__":
    main()
