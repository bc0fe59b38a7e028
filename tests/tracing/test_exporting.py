"""A traced server as a user starts it, and a collector that takes OTLP."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.server import Server, running

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP, and keeps it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[ExportTraceServiceRequest] = []

    def spans(self) -> dict[str, str]:
        """Return the trace of each span by its name."""
        resources = [resource for one in self.taken for resource in one.resource_spans]
        scopes = [scope for resource in resources for scope in resource.scope_spans]
        return {span.name: span.trace_id.hex() for scope in scopes for span in scope.spans}

    def services(self) -> set[str]:
        """Return what the services call themselves."""
        attributes = [a for one in self.taken for r in one.resource_spans for a in r.resource.attributes]
        return {a.value.string_value for a in attributes if a.key == "service.name"}


class Handler(BaseHTTPRequestHandler):
    """One request of an exporter."""

    server: Collector

    def do_POST(self) -> None:  # http.server's name
        """Take it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Run a collector."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def draw_traced(server: Server) -> None:
    """Draw from a key store as part of a trace."""
    store = server.new_store("traced")
    server.kms().connect_custom_key_store(CustomKeyStoreId=store)
    headers = {
        "X-Amz-Target": "TrentService.GenerateRandom",
        "Content-Type": "application/x-amz-json-1.1",
        "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
    }
    body = f'{{"NumberOfBytes":8,"CustomKeyStoreId":"{store}"}}'.encode()
    assert server.request("POST", "/", body, headers).status == 200


def test_a_collector(collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans go to where the OTEL_ variables say; what is left is sent when the server ends."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "kms of mine")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    with running(tmp_path / "data", "--profile", "instant", "--traces") as server:
        draw_traced(server)
    spans = collector.spans()
    assert spans["KMS/GenerateRandom"] == spans["C_GenerateRandom"] == TRACE_ID
    assert spans["KMS/ConnectCustomKeyStore"] == spans["C_Login"] != TRACE_ID
    assert collector.services() == {"kms of mine"}


def test_no_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that is not there costs no call, and keeps no server from its end."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # seconds
    with running(tmp_path / "data", "--profile", "instant", "--traces") as server:
        draw_traced(server)
        assert server.stop() == 0
