"""What is counted and timed of KMS calls: from the request that is complete to the answer that is ready.

It stands in front of the application and looks at what comes back: an outcome is what the client is told.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec

from hsmstore.domain.tally import BOUNDS, DROPPED, SUCCESS, Tally
from hsmstore.wire.app import MANAGEMENT_PREFIX, UNKNOWN
from hsmstore.wire.http import Application, Request, Response, Work
from hsmstore.wire.operations import OPERATIONS

PROMPT: Final = tuple(operation.name for operation in OPERATIONS.values() if operation.promptly is not None)
"""The operations that may be served at once."""

_OK: Final = int(HTTPStatus.OK)  # Python 3.11 takes a quarter of a microsecond to look a member up
_NAMES: Final = {target.encode(): operation.name for target, operation in OPERATIONS.items()}
_CODE: Final = re.compile(r"(?:.*#)?([A-Za-z]{1,64})")  # another emulator may answer anything


class _Refusal(msgspec.Struct):
    code: str = msgspec.field(name="__type", default="")


_refusal: Final = msgspec.json.Decoder(_Refusal).decode


class MeteredApplication:
    """An application whose KMS calls are counted."""

    def __init__(self, application: Application, tally: Tally, stopwatch: Callable[[], float]) -> None:
        """Take the application, where to count, and seconds that only grow."""
        self._application = application
        self._begin = application.begin
        self._tally = tally
        self._prompt = {target: tally.prompt[name] for target, name in _NAMES.items() if name in tally.prompt}
        self._stopwatch = stopwatch

    def begin(self, request: Request) -> Response | Work:
        """Do what the application does; a draw is counted here, the rest where it ends."""
        begin, stopwatch = self._begin, self._stopwatch
        began = stopwatch()
        answer = begin(request)
        if type(answer) is Response and answer.status == _OK:
            latency = self._prompt.get(request.headers.get(b"x-amz-target", b""))
            if latency is not None:  # the hot path: Latency.add, without the call
                seconds = stopwatch() - began
                latency.buckets[bisect_left(BOUNDS, seconds)] += 1
                latency.seconds += seconds
                return answer
        if request.target.startswith(MANAGEMENT_PREFIX):
            return answer
        if isinstance(answer, Work):
            return Work(partial(self._run, answer.run, request, began), answer.reserved)
        self._count(answer, request, began)
        return answer

    def overloaded(self, request: Request) -> Response:
        """Refuse a request for which there is no room."""
        began = self._stopwatch()
        answer = self._application.overloaded(request)
        if not request.target.startswith(MANAGEMENT_PREFIX):
            self._count(answer, request, began)
        return answer

    def _run(self, run: Callable[[], Response | None], request: Request, began: float) -> Response | None:
        answer = run()
        self._count(answer, request, began)
        return answer

    def _count(self, answer: Response | None, request: Request, began: float) -> None:
        self._tally.ended(operation_of(request), outcome_of(answer), self._stopwatch() - began)


def operation_of(request: Request) -> str:
    """Return the name of the operation that a request asks for; of no operation of this KMS, UNKNOWN."""
    return _NAMES.get(request.headers.get(b"x-amz-target", b""), UNKNOWN)


def outcome_of(answer: Response | None) -> str:
    """Return how a call ended: the code that its client is told; without one, `HTTP` and the status."""
    if answer is None:
        return DROPPED
    if answer.status < HTTPStatus.BAD_REQUEST:
        return SUCCESS
    try:
        found = _CODE.fullmatch(_refusal(answer.body).code)
    except msgspec.MsgspecError:
        found = None
    return f"HTTP{int(answer.status)}" if found is None else found[1]
