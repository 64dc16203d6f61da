"""Calls of qyapi.weixin.qq.com with the access token that all workers share; files up and down."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Http, Patience, Stream
from mindbot_tasks.platforms.base import Media
from mindbot_tasks.platforms.weixin.errors import TOKEN, read_answer

log = structlog.get_logger(__name__)

#: a burst of these for all workers together; wrong secrets that are tried on and on lock our address out for an hour
TOKEN_FETCHES = "30/m"  # noqa: S105 - a rate
MAX_MEDIA_BYTES = 25_000_000
_WORDS = ("application/json", "text/plain", "text/html")
_PATIENCE = Patience(connect_s=3.0)
_FILENAME = re.compile(r"filename\s*=\s*(?:\"([^\"]*)\"|([^;\s]+))", re.IGNORECASE)
_FILENAME_STAR = re.compile(r"filename\*\s*=\s*utf-8''([^;\s]+)", re.IGNORECASE)

FetchToken = Callable[[], tuple[str, float]]
T = TypeVar("T")
Take = Callable[[str, str], float]  #: name and rate -> seconds to wait, 0 for "go"


class TokenStore(Protocol):
    """Where access tokens are shared; `stores.tokens`, or a stand-in."""

    def get(self, name: str, fetch: FetchToken) -> str:
        """The token of this name; `fetch` answers a new one and its lifetime in seconds."""

    def drop(self, name: str, used: str) -> None:
        """Forget the token, if it is still this one."""


class Client:
    """One (corpid, secret).

    Calls raise Rejected, Throttled or Unavailable. An Unavailable whose code is "connect" or "tls" was never sent; any
    other may have had its effect, so callers need a way to repeat without harm.
    """

    def __init__(
        self,
        provider: str,
        *,
        corpid: str,
        secret: str,
        api_base: str,
        http: Http,
        tokens: TokenStore,
        take: Take | None = None,
    ) -> None:
        self.provider = provider
        self._corpid = corpid
        self._secret = secret
        self._api_base = api_base.rstrip("/")
        self._http = http
        self._tokens = tokens
        self._take = take
        mark = hashlib.sha256(f"{self._api_base}\n{corpid}\n{secret}".encode()).hexdigest()[:16]
        #: the same for every platform that uses the same app
        self._token_name = f"weixin:{corpid[:64]}:{mark}"

    @property
    def token_name(self) -> str:
        """Under which name the access token is kept."""
        return self._token_name

    def get(self, path: str, deadline: Deadline, **params: str) -> dict[str, Any]:
        """GET /cgi-bin/<path>; the answer as an object."""

        def once(token: str) -> dict[str, Any]:
            query = {"access_token": token, **params}
            with self._request("GET", path, query, deadline) as stream:
                return read_answer(stream.whole())

        return self._with_token(once, deadline)

    def post(
        self, path: str, body: Mapping[str, Any], deadline: Deadline, *, fine: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """POST /cgi-bin/<path>; the answer as an object. Codes in `fine` are no errors: look at `errcode`."""

        def once(token: str) -> dict[str, Any]:
            with self._request("POST", path, {"access_token": token}, deadline, json=body) as stream:
                return read_answer(stream.whole(), fine=fine)

        return self._with_token(once, deadline)

    def upload(self, kind: str, content: bytes, name: str, media_type: str, deadline: Deadline) -> str:
        """Upload a file ("image", "voice", "video" or "file"); returns its media_id, which lives for three days."""
        boundary = secrets.token_hex(16)
        # the name goes out as plain UTF-8: the far side does not know the encoded forms
        plain_name = re.sub(r'[\x00-\x1f"\\/]+', "_", name).strip()[:200] or "file"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="media"; filename="{plain_name}"; '
            f"filelength={len(content)}\r\nContent-Type: {_plain_type(media_type)}\r\n\r\n"
        )
        body = head.encode("utf-8", "replace") + content + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

        def once(token: str) -> dict[str, Any]:
            query = {"access_token": token, "type": kind}
            with self._request("POST", "media/upload", query, deadline, headers=headers, body=body) as stream:
                return read_answer(stream.whole())

        media_id = self._with_token(once, deadline).get("media_id")
        if not isinstance(media_id, str) or not media_id:
            raise Unavailable("the upload's answer has no media_id", kind="protocol", provider=self.provider)
        return media_id

    @contextmanager
    def download(self, media_id: str, deadline: Deadline) -> Iterator[Media]:
        """The bytes behind a media_id; read them inside the `with`."""

        def once(token: str) -> Stream:
            query = {"access_token": token, "media_id": media_id}
            stream = self._request("GET", "media/get", query, deadline, max_bytes=MAX_MEDIA_BYTES)
            media_type = stream.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if stream.status == 200 and (stream.headers.get("Content-Disposition") or media_type not in _WORDS):
                return stream
            with stream:  # errors come as JSON where bytes were expected
                read_answer(stream.whole())
            raise Unavailable("the file came without bytes", kind="protocol", provider=self.provider)

        with self._with_token(once, deadline) as stream:
            headers = stream.headers
            name = file_name(headers.get("Content-Disposition", ""))
            yield Media(stream.chunks(), name, headers.get("Content-Type", "").partition(";")[0].strip())

    def _with_token(self, once: Callable[[str], T], deadline: Deadline) -> T:
        """Call with the shared token; a stale one is replaced, once."""
        for last_try in (False, True):
            token = self._tokens.get(self._token_name, lambda: self._fetch_token(deadline))
            try:
                return once(token)
            except Rejected as exc:
                if exc.kind != TOKEN:
                    raise
                self._tokens.drop(self._token_name, token)
                if last_try:
                    raise self._auth("WeCom does not take the access token it has just given", exc) from exc
                log.info("weixin_token_dropped", provider=self.provider, code=exc.code)
        raise AssertionError("the second try returns or raises")

    def _fetch_token(self, deadline: Deadline) -> tuple[str, float]:
        """A new token and its lifetime in seconds."""
        wait_s = self._take(f"{self._token_name}:fetch", TOKEN_FETCHES) if self._take is not None else 0.0
        if wait_s > 0:
            raise Throttled(
                "our own limit for access tokens",
                kind="rate_limit",
                provider=self.provider,
                code="our_limit",
                retry_after_s=wait_s,
            )
        query = {"corpid": self._corpid, "corpsecret": self._secret}
        try:
            with self._request("GET", "gettoken", query, deadline) as stream:
                answer = read_answer(stream.whole())
        except Rejected as exc:
            log.error("weixin_credentials_refused", provider=self.provider, code=exc.code)
            raise self._auth("WeCom refuses corpid and secret", exc) from exc
        except Unavailable as exc:
            # fetching a token twice does no harm; whoever wanted to send has not sent anything
            raise Unavailable(
                str(exc), kind="connection", provider=self.provider, status=exc.status, code="connect"
            ) from exc
        token, lifetime_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(lifetime_s, int | float):
            raise Unavailable("the token's answer has no token", kind="protocol", provider=self.provider)
        return token, float(lifetime_s)

    def _request(self, method: str, path: str, query: Mapping[str, str], deadline: Deadline, **options: Any) -> Stream:
        url = f"{self._api_base}/cgi-bin/{path}"
        return self._http.stream(
            method, url, deadline=deadline, provider=self.provider, params=query, patience=_PATIENCE, **options
        )

    def _auth(self, words: str, exc: FarSideError) -> Rejected:
        return Rejected(words, kind="auth", provider=self.provider, status=exc.status, code=exc.code)


def file_name(disposition: str) -> str:
    """The file's name in a Content-Disposition header, "" if there is none. Raw UTF-8 is understood."""
    if match := _FILENAME_STAR.search(disposition):
        name = unquote(match[1])
    elif match := _FILENAME.search(disposition):
        name = match[1] or match[2] or ""
        with contextlib.suppress(UnicodeError):
            name = name.encode("latin-1").decode("utf-8")  # header values are read as latin-1
    else:
        return ""
    return re.split(r"[/\\]", name)[-1][:200]


def _plain_type(media_type: str) -> str:
    return media_type if re.fullmatch(r"[\w.+-]{1,60}/[\w.+-]{1,60}", media_type) else "application/octet-stream"
