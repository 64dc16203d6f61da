"""Spans by OpenTelemetry's SDK, exported in batches by a thread of their own. Loaded only where traces are on.

A collector that is slow or dead delays nobody: the queue is bounded, what does not fit is dropped, and of a failure
there is one line in the log, and one when it is over.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace as api
from opentelemetry.sdk.environment_variables import OTEL_BSP_SCHEDULE_DELAY
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from mindbot_tasks.core.settings.telemetry import TelemetrySettings

log = structlog.get_logger(__name__)

KINDS: Final = {
    "internal": api.SpanKind.INTERNAL,
    "server": api.SpanKind.SERVER,
    "client": api.SpanKind.CLIENT,
    "producer": api.SpanKind.PRODUCER,
    "consumer": api.SpanKind.CONSUMER,
}
EXPORT_EVERY_S: Final = 1.0
_SAMPLED: Final = api.TraceFlags(api.TraceFlags.SAMPLED)
#: they would say at each batch what we say once
_CHATTY: Final = ("opentelemetry.exporter", "opentelemetry.sdk")


class _Ids(IdGenerator):
    """Random ids, but for a span whose ids are known beforehand."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.wanted = threading.local()

    def generate_trace_id(self) -> int:
        return getattr(self.wanted, "trace_id", 0) or self._random.generate_trace_id()

    def generate_span_id(self) -> int:
        return getattr(self.wanted, "span_id", 0) or self._random.generate_span_id()


class Reported(SpanExporter):
    """Passes batches on, and says once when that stops working, and once when it works again."""

    def __init__(self, inner: SpanExporter, where: str) -> None:
        self._inner = inner
        self._where = where
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info("traces_exported_again", collector=self._where, lost=self._lost)
            self._lost = 0
        else:
            if not self._lost:
                log.warning("traces_not_exported", collector=self._where)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def over_http(settings: TelemetrySettings) -> SpanProcessor:
    """OTLP over HTTP; certificates, compression, batches and further headers by OpenTelemetry's own variables.

    Raises ImportError where the extra `telemetry` is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    inner = OTLPSpanExporter(settings.address, headers=headers or None, timeout=settings.timeout)
    # what a worker has not exported when it is killed is lost: so more often than every five seconds, which is usual
    delay_ms = None if os.environ.get(OTEL_BSP_SCHEDULE_DELAY) else EXPORT_EVERY_S * 1000
    return BatchSpanProcessor(Reported(inner, settings.address), schedule_delay_millis=delay_ms)


class Recorder:
    """What makes spans in this process; made after a fork, for its thread does not outlive one."""

    def __init__(self, settings: TelemetrySettings, role: str, processor: SpanProcessor) -> None:
        version = importlib.metadata.version("mindbot")
        self._ids = _Ids()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # who is not sampled makes no span at all
            resource=_resource(settings, role, version),
            id_generator=self._ids,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=512),
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("mindbot", version)

    def begin(
        self,
        name: str,
        kind: str,
        attributes: Mapping[str, Any],
        *,
        trace_id: int = 0,
        span_id: int = 0,
        parent_id: int = 0,
        link: tuple[int, int] | None = None,
        began_ns: int | None = None,
    ) -> api.Span:
        """A span below `parent_id`; without a trace below the current one; without a parent the root of that trace."""
        context = None
        if trace_id:
            context = contexts.Context()
            if parent_id:
                context = api.set_span_in_context(_known(trace_id, parent_id), context)
        links = [api.Link(api.SpanContext(*link, is_remote=True, trace_flags=_SAMPLED))] if link is not None else None
        wanted = self._ids.wanted
        wanted.trace_id, wanted.span_id = trace_id, span_id
        try:
            return self._tracer.start_span(
                name, context, KINDS[kind], attributes=attributes, links=links, start_time=began_ns
            )
        finally:
            wanted.trace_id = wanted.span_id = 0

    @staticmethod
    def recording() -> bool:
        """Whether there is a span here below which another one can hang."""
        return api.get_current_span().is_recording()

    @staticmethod
    def enter(span: api.Span) -> object:
        """From now on new spans of this thread hang below this one; returns what `leave` wants."""
        return contexts.attach(api.set_span_in_context(span))

    @staticmethod
    def leave(token: Any) -> None:
        contexts.detach(token)

    @staticmethod
    def fail(span: api.Span, what: str) -> None:
        """What went wrong, by its kind: words of exceptions may quote what people wrote."""
        span.set_attribute("error.type", what)
        span.set_status(api.StatusCode.ERROR, what)

    def stop(self, within_s: float) -> bool:
        """Export what is left; False when there was no time for that."""
        ending = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        ending.start()
        ending.join(within_s)
        return not ending.is_alive()


def _known(trace_id: int, span_id: int) -> api.Span:
    return api.NonRecordingSpan(api.SpanContext(trace_id, span_id, is_remote=True, trace_flags=_SAMPLED))


def _resource(settings: TelemetrySettings, role: str, version: str) -> Resource:
    """Who this process is; OTEL_RESOURCE_ATTRIBUTES is read by the SDK."""
    host = socket.gethostname()
    return Resource.create(
        {
            "service.namespace": "mindbot",
            "service.version": version,
            "service.instance.id": f"{host}:{os.getpid()}",
            "host.name": host,
            "process.pid": os.getpid(),
            "mindbot.role": role,
            **settings.resource_attributes,
            "service.name": settings.service_name.replace("{role}", role),
        }
    )
