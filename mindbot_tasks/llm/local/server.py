"""OpenAI's chat completions in front of models that run here; plain threads, and one answer at a time for each model.

A caller who goes away stops the model at its next token: that is how a deadline and a cancel get here.
"""

from __future__ import annotations

import contextlib
import hmac
import itertools
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import orjson
import structlog

from mindbot_tasks.llm.local.transformer import Count, TooLong, Transformer

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 8_000_000
MAX_WAITING = 8  #: callers behind the one who is answered; more are told to come again
_RETRY_AFTER_S = 5
_LOOK_S = 0.2
_DEFAULT_MAX_TOKENS = 1024


class Model(Protocol):
    """What the server needs of a model."""

    def stream(
        self,
        messages: list[dict[str, str]],
        *,
        max_tokens: int,
        temperature: float | None,
        stopped: Callable[[], bool],
        count: Count,
    ) -> Generator[str, None, None]: ...


@dataclass(slots=True)
class Served:
    """A model by its name: loaded when it is first needed, and then for good."""

    load: Callable[[], Model]
    turn: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0
    model: Model | None = None
    broken: str = ""

    def loaded(self) -> Model:
        """Call it in turn only. Raises Broken."""
        if self.broken:
            raise Broken(self.broken)
        if self.model is None:
            started = time.monotonic()
            try:
                self.model = self.load()
            except Exception as exc:  # whatever torch or a model's own code raises
                self.broken = type(exc).__name__
                log.exception("local_model_unusable")
                raise Broken(self.broken) from exc
            log.info("local_model_loaded", took_s=round(time.monotonic() - started, 1))
        return self.model


class Broken(Exception):
    """The model cannot be loaded."""


class Refused(Exception):
    """An answer with an error of OpenAI's form."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class LocalServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], models: Mapping[str, Served], api_key: str = "") -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.models = models
        self.api_key = api_key
        self.stopping = threading.Event()
        self.numbers = itertools.count(1)
        super().__init__(address, _Handler)

    def load_first(self) -> None:
        """So that the first question need not wait for it."""
        first = next(iter(self.models.values()))
        with first.turn, contextlib.suppress(Broken):
            first.loaded()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.warning("local_model_call_failed", error=type(sys.exc_info()[1]).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        try:
            if self.path == "/health":
                self._health()
                return
            self._let_in()
            if self.path != "/v1/models":
                raise Refused(404, "not_found", "no such path")
            data = [{"id": name, "object": "model", "owned_by": "local"} for name in self.server.models]
            self._send(200, {"object": "list", "data": data})
        except Refused as exc:
            self._refuse(exc)

    def do_POST(self) -> None:
        try:
            body = self._body()
            self._let_in()
            if self.path != "/v1/chat/completions":
                raise Refused(404, "not_found", "no such path")
            self._chat(body)
        except Refused as exc:
            self._refuse(exc)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # nobody is there any more

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each call is what the caller writes."""

    def _health(self) -> None:
        first = next(iter(self.server.models.values()))
        if first.broken:
            self._send(500, {"status": "broken", "error": first.broken})
        elif first.model is None:
            self._send(503, {"status": "loading"})
        else:
            self._send(200, {"status": "ok"})

    def _let_in(self) -> None:
        wanted, given = self.server.api_key, self.headers.get("Authorization", "")
        if wanted and not hmac.compare_digest(given.encode(), f"Bearer {wanted}".encode()):
            raise Refused(401, "invalid_api_key", "wrong api key")

    def _body(self) -> dict[str, Any]:
        self.close_connection = True  # unless the body is read to its end
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            raise Refused(400, "invalid_request", "Content-Length is no number") from None
        if not 0 <= length <= MAX_BODY_BYTES:
            raise Refused(413, "request_too_large", "the body is too large")
        raw = self.rfile.read(length)
        self.close_connection = len(raw) < length
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise Refused(400, "invalid_request", "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "invalid_request", "the body is no object")
        return body

    def _chat(self, body: dict[str, Any]) -> None:
        name = str(body.get("model") or "")
        served = self.server.models.get(name)
        if served is None:
            raise Refused(404, "model_not_found", "no such model")
        messages = _messages(body.get("messages"))
        options = _options(body)
        with self._turn(served):
            try:
                model = served.loaded()
            except Broken as exc:
                raise Refused(500, "server_error", f"the model cannot be loaded ({exc})") from None
            count = Count()
            pieces = model.stream(messages, stopped=self._is_unwanted, count=count, **options)
            with contextlib.closing(pieces):
                self._answer(name, body, pieces, count)

    @contextlib.contextmanager
    def _turn(self, served: Served) -> Iterator[None]:
        if served.waiting > MAX_WAITING:
            raise Refused(429, "rate_limit_exceeded", "too many are waiting", retry_after_s=_RETRY_AFTER_S)
        served.waiting += 1
        try:
            while not served.turn.acquire(timeout=_LOOK_S):
                if self._is_unwanted():
                    raise ConnectionAbortedError
        finally:
            served.waiting -= 1
        try:
            yield
        finally:
            served.turn.release()

    def _answer(self, name: str, body: dict[str, Any], pieces: Iterator[str], count: Count) -> None:
        head = {"id": f"local-{next(self.server.numbers)}", "created": int(time.time()), "model": name}
        try:
            first = next(pieces, "")
        except TooLong as exc:
            raise Refused(400, "context_length_exceeded", str(exc)) from None
        except Exception as exc:  # whatever torch or a model's own code raises
            log.exception("local_model_failed")
            raise Refused(500, "server_error", type(exc).__name__) from exc
        if body.get("stream") is not True:
            text = first + "".join(pieces)
            if not count.finish:
                raise Refused(503, "server_error", "stopped")
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": count.finish,
            }
            self._send(200, {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(count)})
            return
        self._stream(head, itertools.chain([first], pieces), count)

    def _stream(self, head: dict[str, Any], pieces: Iterator[str], count: Count) -> None:
        head["object"] = "chat.completion.chunk"
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for piece in pieces:
                self._event({**head, "choices": [_choice({"content": piece}, None)]})
        except ConnectionError:
            raise
        except Exception as exc:  # it is too late for another status
            log.exception("local_model_failed")
            self._event({"error": {"code": "server_error", "message": type(exc).__name__}})
            return
        if count.finish:
            self._event({**head, "choices": [_choice({}, count.finish)]})
            self._event({**head, "choices": [], "usage": _usage(count)})
            self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + orjson.dumps(data) + b"\n\n")
        self.wfile.flush()

    def _is_unwanted(self) -> bool:
        """Whether the caller has gone, or this process is going."""
        if self.server.stopping.is_set():
            return True
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _refuse(self, exc: Refused) -> None:
        error = {"message": str(exc), "type": "invalid_request_error", "code": exc.code}
        headers = {} if exc.retry_after_s is None else {"Retry-After": str(exc.retry_after_s)}
        with contextlib.suppress(ConnectionError):
            self._send(exc.status, {"error": error}, headers)

    def _send(self, status: int, data: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = orjson.dumps(data)
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Type": "application/json"}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _messages(given: Any) -> list[dict[str, str]]:
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise Refused(400, "invalid_request", "messages: a list of at least one message is needed")
    return [{"role": str(each.get("role") or "user"), "content": _text(each.get("content"))} for each in given]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _options(body: dict[str, Any]) -> dict[str, Any]:
    max_tokens, temperature = body.get("max_tokens"), body.get("temperature")
    if max_tokens is None:
        max_tokens = _DEFAULT_MAX_TOKENS
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise Refused(400, "invalid_request", "max_tokens: a whole number from 1 is needed")
    if temperature is not None and (isinstance(temperature, bool) or not isinstance(temperature, int | float)):
        raise Refused(400, "invalid_request", "temperature: a number is needed")
    return {"max_tokens": max_tokens, "temperature": temperature}


def _usage(count: Count) -> dict[str, int]:
    total = count.input_tokens + count.output_tokens
    return {"prompt_tokens": count.input_tokens, "completion_tokens": count.output_tokens, "total_tokens": total}


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


__all__ = ["Broken", "LocalServer", "Model", "Served", "Transformer"]
