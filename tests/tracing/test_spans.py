"""Spans of a server in this process, over a real token, as an exporter in memory gets them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.profile import Profile
from hsmstore.service import clusters, connect, keystores
from hsmstore.service.shapes import KeyStoreRequest
from hsmstore.service.world import Call, World
from hsmstore.settings.fields import Settings
from hsmstore.tracing.spans import OtelSpans
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.http import Request, Response
from hsmstore.wire.tracing import TracedApplication
from tests.server import PASSWORD

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


class Traced(NamedTuple):
    """A traced application with a connected key store, and what it has exported."""

    application: TracedApplication
    exported: InMemorySpanExporter
    store: str

    def call(self, operation: str, trace: str | None = None, **members: Any) -> Response:
        """Make a call, waiting for its work if there is any; forget the spans before it."""
        self.exported.clear()
        headers = {
            b"host": b"127.0.0.1",
            b"content-type": b"application/x-amz-json-1.1",
            b"x-amz-target": f"TrentService.{operation}".encode(),
        }
        if trace is not None:
            headers[b"traceparent"] = trace.encode()
        answer = self.application.begin(Request(b"POST", b"/", headers, json.dumps(members).encode()))
        done = answer if isinstance(answer, Response) else answer.run()
        assert done is not None
        return done

    def spans(self) -> dict[str, ReadableSpan]:
        """Return the spans since the last call began, by name."""
        return {span.name: span for span in self.exported.get_finished_spans()}


def connected(world: World) -> str:
    """Make a key store, and connect it; return its id."""
    call = Call(world.home, "test")
    cluster = clusters.create_cluster(clusters.CreateClusterRequest(kmsuser_password=PASSWORD), call, world)
    request = keystores.CreateCustomKeyStoreRequest(
        custom_key_store_name="traced",
        cloud_hsm_cluster_id=cluster.cloud_hsm_cluster_id,
        trust_anchor_certificate=cluster.trust_anchor_certificate,
        key_store_password=PASSWORD,
    )
    store = keystores.create_custom_key_store(request, call, world).custom_key_store_id
    connect.connect_custom_key_store(KeyStoreRequest(custom_key_store_id=store), call, world)
    return store


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """Trace a world to memory."""
    exported, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    spans = OtelSpans(provider)
    settings = Settings(data_dir=tmp_path_factory.mktemp("traced"), profile=Profile.INSTANT)
    with open_world(settings, spans=spans) as world:
        application = TracedApplication(KmsApplication(world, lambda _environ, _start: []), spans)
        yield Traced(application, exported, connected(world))
    spans.close()


def test_a_draw(traced: Traced) -> None:
    """A draw is a span of the caller's trace, and C_GenerateRandom is a span of the draw."""
    members = {"NumberOfBytes": 16, "CustomKeyStoreId": traced.store}
    answer = traced.call("GenerateRandom", f"00-{TRACE_ID}-{CALLER}-01", **members)
    assert answer.status == 200
    spans = traced.spans()
    assert spans.keys() == {"KMS/GenerateRandom", "C_GenerateRandom"}
    call, drawn = spans["KMS/GenerateRandom"], spans["C_GenerateRandom"]
    assert call.context is not None
    assert call.parent is not None
    assert drawn.parent is not None
    assert format(call.context.trace_id, "032x") == TRACE_ID
    assert format(call.parent.span_id, "016x") == CALLER
    assert drawn.parent.span_id == call.context.span_id
    assert (call.kind, drawn.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    attributes = dict(call.attributes or {})
    assert str(attributes.pop("aws.request_id")) in answer.headers.decode()
    assert attributes == {
        "rpc.system": "aws-api",
        "rpc.service": "KMS",
        "rpc.method": "GenerateRandom",
        "http.response.status_code": 200,
    }


def test_work_in_a_thread(traced: Traced) -> None:
    """What is done after the loop has let go is in the same span: connecting logs in."""
    store = {"CustomKeyStoreId": traced.store}
    assert traced.call("DisconnectCustomKeyStore", **store).status == 200
    assert traced.call("ConnectCustomKeyStore", **store).status == 200
    spans = traced.spans()
    call = spans["KMS/ConnectCustomKeyStore"]
    assert call.parent is None
    for name in ("C_Initialize", "C_Login"):
        assert spans[name].context.trace_id == call.context.trace_id


def test_a_key(traced: Traced) -> None:
    """Cryptography with a key is traced down to the token."""
    made = traced.call("CreateKey", Origin="AWS_CLOUDHSM", CustomKeyStoreId=traced.store)
    assert "C_GenerateKey" in traced.spans()
    key_id = json.loads(made.body)["KeyMetadata"]["KeyId"]
    traced.call("Encrypt", KeyId=key_id, Plaintext="YQ==")
    assert traced.spans().keys() == {"KMS/Encrypt", "C_Encrypt"}


def test_a_refusal(traced: Traced) -> None:
    """A refused call is an error, of the type that the client was told."""
    assert traced.call("GenerateRandom", NumberOfBytes=0).status == 400
    (span,) = traced.exported.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "ValidationException"


@pytest.mark.parametrize("trace", ["", "nonsense", f"00-{'0' * 32}-{CALLER}-01", "\u00ff"])
def test_a_bad_parent(traced: Traced, trace: str) -> None:
    """A traceparent that is none begins a trace of the call's own."""
    assert traced.call("GenerateRandom", trace, NumberOfBytes=1).status == 200
    assert traced.spans()["KMS/GenerateRandom"].parent is None


def test_no_span_where_nothing_is_traced(tmp_path: Path) -> None:
    """Without spans a session is the plain one: nothing stands between a draw and its token."""
    with open_world(Settings(data_dir=tmp_path, profile=Profile.INSTANT)) as world:
        store = connected(world)
        connection = world.gate.find((world.home, store))
    assert type(connection).__name__ == "Session"
