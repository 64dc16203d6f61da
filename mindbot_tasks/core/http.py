"""Outgoing HTTP: pooled, never longer than its deadline, never bigger than its cap, never elsewhere than allowed.

Built on the transport adapter of `requests`. There is no `requests.Session` around it on purpose: no cookies, no
proxies from the environment, no .netrc, and redirects are answers like any other, so nothing can lead us elsewhere.
"""

from __future__ import annotations

import email.utils
import functools
import os
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn

import certifi
import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter

from mindbot_tasks.core import sse
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.core.sockets import SLICE_S, PatientTLSSocket, Watch, pool_classes, watch_next
from mindbot_tasks.core.ssrf import ANYWHERE, PUBLIC, Destinations

MAX_BODY_BYTES = 4_000_000
_MAX_RETRY_AFTER_S = 86_400.0
# What the libraries raise. Never chained to ours: their texts spell out the URL, with the secrets of its query.
_TROUBLE = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds; the deadline of the call holds beside them."""

    connect_s: float = 3.0
    first_byte_s: float = 20.0  #: from the request being sent to the first byte of the body
    gap_s: float = 15.0  #: between two chunks


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    provider: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises Unavailable (kind "protocol") if it is something else, such as a gateway's page."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as exc:
            raise Unavailable(
                "the answer is not JSON", kind="protocol", provider=self.provider, status=self.status
            ) from exc

    def json_or_none(self) -> Any:
        """The body as JSON, None if it is something else: for reading errors."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class Stream:
    """An answer whose body is still coming; leave its `with` block to give the connection back or to cut it."""

    def __init__(
        self, raw: urllib3.HTTPResponse, headers: Mapping[str, str], watch: Watch, provider: str, max_bytes: int
    ) -> None:
        self.status: int = raw.status
        self.headers = headers
        self.provider = provider
        self._raw = raw
        self._watch = watch
        self._left = max_bytes
        self._ended = False

    def chunks(self) -> Iterator[bytes]:
        """Pieces of the body as they come. Raises Unavailable, DeadlineExceeded or a Stopped."""
        while chunk := self._read():
            yield chunk

    def events(self) -> Iterator[sse.Event]:
        """The body as server-sent events. Raises as `chunks`, and Unavailable for a huge event."""
        try:
            yield from sse.events(self.chunks())
        except FarSideError as exc:
            exc.provider = exc.provider or self.provider
            raise

    def lines(self) -> Iterator[bytes]:
        """The body line by line. Raises as `chunks`, and Unavailable for a huge line."""
        try:
            yield from sse.lines(self.chunks())
        except FarSideError as exc:
            exc.provider = exc.provider or self.provider
            raise

    def whole(self) -> Response:
        """All of it."""
        return Response(self.status, self.headers, b"".join(self.chunks()), self.provider)

    def _read(self) -> bytes:
        if self._ended:
            return b""
        try:
            chunk = self._raw.read1(65536, decode_content=False)
        except FarSideError as exc:
            exc.provider = exc.provider or self.provider
            raise
        except _TROUBLE as exc:
            raise Unavailable(
                f"the answer broke off ({type(exc).__name__})", kind="connection", code="cut", provider=self.provider
            ) from None
        if not chunk:
            self._ended = True
            return b""
        self._watch.body_began = True
        self._left -= len(chunk)
        if self._left < 0:
            raise Unavailable("the answer is too big", kind="protocol", code="too_big", provider=self.provider)
        return chunk

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended and kind is None:
            self._finish()
        if not self._ended:
            self._raw.close()  # the connection is in mid-answer: nobody else can use it
        self._raw.release_conn()

    def _finish(self) -> None:
        """The reader is content; take the end of the body if it is there, so that the connection can be kept."""
        self._watch.gap_s = 0.02
        self._left = min(self._left, 65536)
        try:
            if self._watch.sock is not None:
                self._watch.sock.settimeout(0.02)
            while self._read():
                pass
        except (FarSideError, OSError):
            return


class _Adapter(HTTPAdapter):
    """The transport adapter over our sockets."""

    def __init__(self, destinations: Destinations, pool_size: int) -> None:
        self._destinations = destinations
        super().__init__(pool_connections=64, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=_tls_context(), **options)
        self.poolmanager.pool_classes_by_scheme = pool_classes(self._destinations)

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        return self.poolmanager.connection_from_url(request.url)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Verification is always on, and part of the TLS context."""

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.path_url)

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = resp.status
        response.raw = resp  # with the headers, which need no second dict that is blind to case
        return response


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Trusts what the system trusts (so a private authority can be added there) and the usual authorities."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.sslsocket_class = PatientTLSSocket
    return context


class Http:
    """A client for one set of destinations; shared by all threads of a process."""

    def __init__(
        self, destinations: Destinations = ANYWHERE, *, patience: Patience | None = None, pool_size: int = 256
    ) -> None:
        self._destinations = destinations
        self._patience = patience or Patience()
        self._adapter = _Adapter(destinations, pool_size)

    def stream(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        provider: str = "",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        patience: Patience | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> Stream:
        """Send, and return when the answer's headers are there; use it in a `with` block.

        Raises Rejected (destination not allowed, unusable URL), Unavailable, DeadlineExceeded or a Stopped; any status
        is an answer. An Unavailable whose code is "connect" or "tls" was never sent.
        """
        deadline.check()
        patience = patience or self._patience
        try:
            self._destinations.check_url(url)
            request = _prepared(method, url, headers, params, json, body)
        except FarSideError as exc:
            exc.provider = exc.provider or provider
            raise
        except (requests.RequestException, ValueError, TypeError) as exc:
            raise Rejected(
                f"the request cannot be built ({type(exc).__name__})", kind="invalid_request", provider=provider
            ) from None
        watch = Watch(deadline, connect_s=patience.connect_s, first_byte_s=patience.first_byte_s, gap_s=patience.gap_s)
        watch_next(watch)
        try:
            # `timeout` is only the length of a slice here; the watch does the rest
            response = self._adapter.send(request, stream=True, timeout=SLICE_S)
        except FarSideError as exc:
            exc.provider = exc.provider or provider
            raise
        except requests.exceptions.SSLError:
            raise Unavailable("no secure connection", kind="connection", code="tls", provider=provider) from None
        except _TROUBLE as exc:
            raise Unavailable(
                f"{'the connection broke' if watch.sent else 'no connection'} ({type(exc).__name__})",
                kind="connection",
                code="cut" if watch.sent else "connect",
                provider=provider,
            ) from None
        except ValueError:
            raise Rejected("the request cannot be sent", kind="invalid_request", provider=provider) from None
        finally:
            watch_next(None)
        return Stream(response.raw, response.raw.headers, watch, provider, max_bytes)

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Send, and read the whole answer. Arguments and errors as `stream`."""
        with self.stream(method, url, **options) as stream:
            return stream.whole()


def _prepared(
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    params: Mapping[str, str] | None,
    json: Any,
    body: bytes | None,
) -> requests.PreparedRequest:
    request = requests.PreparedRequest()
    request.prepare_method(method)
    request.url = _spelled(url) if params is None else _with_params(url, params)
    # identity: a cap on bytes means nothing when a few of them can unfold to millions
    all_headers = {"User-Agent": "MindBot", "Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})}
    if json is not None:
        body = orjson.dumps(json)
        all_headers.setdefault("Content-Type", "application/json")
    request.prepare_headers(all_headers)
    request.body = body
    if body is not None:
        request.headers["Content-Length"] = str(len(body))
    return request


def _with_params(url: str, params: Mapping[str, str] | None) -> str:
    request = requests.PreparedRequest()
    request.prepare_url(url, params)
    return str(request.url)


@functools.lru_cache(maxsize=512)
def _spelled(url: str) -> str:
    """The URL as it is asked for; most calls go to a few of them, again and again."""
    return _with_params(url, None)


_clients: dict[Destinations, Http] = {}
_clients_lock = threading.Lock()


def get_http(destinations: Destinations = ANYWHERE) -> Http:
    """This process's client; `PUBLIC` or `Destinations.only(...)` for URLs that others have influence on."""
    client = _clients.get(destinations)
    if client is None:
        with _clients_lock:
            client = _clients.setdefault(destinations, Http(destinations))
    return client


def _forget_after_fork() -> None:
    """Two processes must not talk on one connection."""
    global _clients_lock
    _clients.clear()
    _clients_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What the far side asks for, in seconds: `Retry-After` as a number or an HTTP date; None if it does not say."""
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    if wait_s != wait_s:  # "nan" is a float too
        return None
    return min(max(wait_s, 0.0), _MAX_RETRY_AFTER_S)


_KINDS = {
    400: "invalid_request",
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    413: "invalid_request",
}


def refuse(response: Response | Stream, *, code: str | None = None, kind: str | None = None) -> NoReturn:
    """Raise what a status means when the vendor's own code says nothing better."""
    status = response.status
    wait_s = retry_after_s(response.headers)
    raised: type[FarSideError] = Rejected
    kind = kind or _KINDS.get(status)
    if status == 429:
        raised, kind = Throttled, kind or "rate_limit"
    elif status >= 500 or status in (408, 425):
        raised, kind = Unavailable, kind or "server"
    elif 300 <= status < 400:
        kind = kind or "protocol"
    raise raised(
        f"the server answered {status}",
        kind=kind or "invalid_request",
        provider=response.provider,
        status=status,
        code=code,
        retry_after_s=wait_s,
    )


__all__ = [
    "ANYWHERE",
    "MAX_BODY_BYTES",
    "PUBLIC",
    "Destinations",
    "Http",
    "Patience",
    "Response",
    "Stream",
    "get_http",
    "refuse",
    "retry_after_s",
]
