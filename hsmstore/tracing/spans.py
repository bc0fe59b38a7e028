"""Spans of OpenTelemetry. What the OTEL_ variables say is the SDK's own to read.

Names and attributes are those of the semantic conventions for RPC, as AWS's own SDKs use them.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from hsmstore import __version__

SERVICE: Final = "KMS"
_UNNAMED: Final = "unknown_service"  # what the SDK calls a service that no variable names


class _Headers(Getter[Mapping[bytes, bytes]]):
    """Header names and values as the wire has them."""

    def get(self, carrier: Mapping[bytes, bytes], key: str) -> list[str] | None:
        """Return the header's value."""
        value = carrier.get(key.lower().encode("latin-1", "replace"))
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Mapping[bytes, bytes]) -> list[str]:
        """Return the headers' names."""
        return [name.decode("latin-1") for name in carrier]


_HEADERS: Final = _Headers()


class OtelCallSpan:
    """The CallSpan of a Span."""

    def __init__(self, span: Span) -> None:
        """Take a span that has begun."""
        self._span = span

    def current(self) -> AbstractContextManager[object]:
        """Let what is traced meanwhile in this thread be part of the call."""
        return trace.use_span(self._span)

    def end(self, status: int | None, outcome: str, request_id: str, *, failed: bool) -> None:
        """End it; a refusal is an error."""
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if request_id:
            self._span.set_attribute("aws.request_id", request_id)
        if failed:
            self._span.set_attribute("error.type", outcome)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class OtelSpans:
    """The Spans of a tracer provider; `close` is for one that is its own."""

    def __init__(self, provider: TracerProvider) -> None:
        """Take the provider."""
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("hsmstore", __version__)

    def serving(self, operation: str, headers: Mapping[bytes, bytes]) -> OtelCallSpan:
        """Begin the span of a call, part of the trace that its headers name if they name one."""
        span = self._tracer.start_span(
            f"{SERVICE}/{operation}",
            context=propagate.extract(headers, getter=_HEADERS),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "aws-api", "rpc.service": SERVICE, "rpc.method": operation},
        )
        return OtelCallSpan(span)

    def calling(self, name: str) -> AbstractContextManager[object]:
        """Be in the span of the PKCS#11 call of this name."""
        attributes = {"pkcs11.function": name}
        return self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    def close(self) -> None:
        """Send what has not been sent yet."""
        self._provider.shutdown()


def exporting() -> OtelSpans:
    """Return spans that are sent by OTLP over HTTP, to where the OTEL_ variables say and as they say.

    Where somebody else has set up the SDK, as `opentelemetry-instrument` does, its spans go the same way.
    """
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return OtelSpans(present)
    told = Resource.create()
    ours = {SERVICE_VERSION: __version__}
    if str(told.attributes[SERVICE_NAME]).startswith(_UNNAMED):
        ours[SERVICE_NAME] = "hsmstore"
    provider = TracerProvider(resource=told.merge(Resource(ours)))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelSpans(provider)
