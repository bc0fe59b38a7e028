"""A span for each KMS call, from the request that is complete to the answer that is ready."""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from hsmstore.domain.tally import SUCCESS
from hsmstore.domain.tracing import CallSpan, Spans
from hsmstore.wire.app import MANAGEMENT_PREFIX
from hsmstore.wire.http import Application, Request, Response, Work
from hsmstore.wire.metering import operation_of, outcome_of

_REQUEST_ID: Final = re.compile(rb"^x-amzn-requestid: ([0-9a-f-]+)\r$", re.IGNORECASE | re.MULTILINE)


class TracedApplication:
    """An application whose KMS calls are traced."""

    def __init__(self, application: Application, spans: Spans) -> None:
        """Take the application, and where its spans go."""
        self._application = application
        self._spans = spans

    def begin(self, request: Request) -> Response | Work:
        """Do what the application does, in a span that ends with the answer."""
        if request.target.startswith(MANAGEMENT_PREFIX):
            return self._application.begin(request)
        span = self._spans.serving(operation_of(request), request.headers)
        with span.current():
            answer = self._application.begin(request)
        if isinstance(answer, Work):
            return Work(partial(_run, answer.run, span), answer.reserved)
        _end(span, answer)
        return answer

    def overloaded(self, request: Request) -> Response:
        """Refuse a request for which there is no room. Its work's span never ends; another tells of it."""
        answer = self._application.overloaded(request)
        if not request.target.startswith(MANAGEMENT_PREFIX):
            _end(self._spans.serving(operation_of(request), request.headers), answer)
        return answer


def _run(run: Callable[[], Response | None], span: CallSpan) -> Response | None:
    with span.current():
        answer = run()
    _end(span, answer)
    return answer


def _end(span: CallSpan, answer: Response | None) -> None:
    outcome = outcome_of(answer)
    found = None if answer is None else _REQUEST_ID.search(answer.headers)
    span.end(
        None if answer is None else int(answer.status),
        outcome,
        "" if found is None else found[1].decode(),
        failed=outcome != SUCCESS,
    )
