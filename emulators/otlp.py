"""A collector of traces: OTLP over HTTP as protobuf or JSON; what came is kept, listed, and drawn as a waterfall."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from emulators.answers import Answer, Call, refused
from emulators.faults import AnyRule
from emulators.front import Front, no_such_path
from emulators.waterfall import drawn

_MOST_SPANS = 50_000
_MAX_BODY_BYTES = 64 * 1024 * 1024
_PROTOBUF = "application/x-protobuf"


def create_app(
    *,
    log: Path | None = None,
    delay_ms: float = 0,
    tokens_per_second: float = 0,
    faults: Sequence[AnyRule] = (),
) -> web.Application:
    """POST /v1/traces as of the OTLP specification 1.9; needs the package `opentelemetry-proto`."""
    server = OtlpServer()
    front = server.front = Front(
        "otlp", unknown=no_such_path, reset=server.spans.clear, log=log, delay_ms=delay_ms,
        tokens_per_second=tokens_per_second, faults=faults, max_body_bytes=_MAX_BODY_BYTES,
    )  # fmt: skip
    front.add("POST", "/v1/traces", server.take)
    front.control("GET", "/spans", lambda wanted: server.found(**wanted))
    front.add("GET", "/traces/{trace_id}.svg", server.picture)
    return front.finish()


class OtlpServer:
    """The latest spans, each as a flat object."""

    front: Front

    def __init__(self) -> None:
        self.spans: deque[dict[str, Any]] = deque(maxlen=_MOST_SPANS)

    def take(self, call: Call) -> Answer:
        """One batch of spans."""
        from google.protobuf.json_format import Parse, ParseError
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
            ExportTraceServiceResponse,
        )

        request = ExportTraceServiceRequest()
        kind = call.headers.get("Content-Type", "").partition(";")[0].strip()
        try:
            if kind == _PROTOBUF:
                request.ParseFromString(call.body)
            elif kind == "application/json":
                Parse(call.body, request)
            else:
                return refused({"message": "unsupported media type"}, 415)
        except (DecodeError, ParseError, UnicodeDecodeError):
            return refused({"message": "the body cannot be read"}, 400)
        count = 0
        for batch in request.resource_spans:
            resource = _values(batch.resource.attributes)
            for scope in batch.scope_spans:
                for span in scope.spans:
                    self.spans.append({**_span(span), "resource": resource})
                    count += 1
        body = ExportTraceServiceResponse().SerializeToString() if kind == _PROTOBUF else b"{}"
        return Answer(body=body, content_type=kind, facts={"spans": count}, delay_s=self.front.pace.delay_ms / 1000)

    def found(self, trace_id: str = "", **attributes: Any) -> list[dict[str, Any]]:
        """The spans of one trace, or of all; with these attributes only; in the order in which they began."""
        found = [
            span
            for span in self.spans
            if trace_id in ("", span["trace_id"])
            and all(span["attributes"].get(name) == value for name, value in attributes.items())
        ]
        return sorted(found, key=lambda span: (span["began_ns"], -span["ended_ns"]))

    def picture(self, call: Call) -> Answer:
        """A trace as people look at it."""
        spans = self.found(call.params["trace_id"])
        if not spans:
            return refused({"message": "there is no such trace"}, 404)
        return Answer(body=drawn(spans).encode(), content_type="image/svg+xml")


def _span(span: Any) -> dict[str, Any]:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "began_ns": span.start_time_unix_nano,
        "ended_ns": span.end_time_unix_nano,
        "attributes": _values(span.attributes),
        "links": [{"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links],
        "error": span.status.message if span.status.code == 2 else None,
    }


def _values(attributes: Any) -> dict[str, Any]:
    found = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        found[one.key] = getattr(one.value, kind) if kind in _PLAIN else str(one.value)
    return found


_PLAIN = ("string_value", "bool_value", "int_value", "double_value")
