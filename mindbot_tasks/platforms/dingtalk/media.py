"""Files: those that people sent are fetched by a temporary address, those that go out are uploaded first.

DingTalk docs, 2026-11-20. Uploading is of the legacy API, with a token of its own kind.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from urllib3.filepost import encode_multipart_formdata

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Unavailable
from mindbot_tasks.core.http import Http, refuse
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.platforms.base import Media
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER, read_answer

log = structlog.get_logger(__name__)

MAX_BYTES = 20_000_000
_VOICE_BYTES = 2_000_000
#: media type -> kind of upload, and the ending that its name must have
_UPLOADS: Mapping[str, tuple[str, str]] = {
    "image/png": ("image", "png"),
    "image/jpeg": ("image", "jpg"),
    "image/gif": ("image", "gif"),
    "image/bmp": ("image", "bmp"),
    "audio/amr": ("voice", "amr"),
    "audio/mpeg": ("voice", "mp3"),
    "audio/wav": ("voice", "wav"),
    "audio/x-wav": ("voice", "wav"),
    "video/mp4": ("video", "mp4"),
}
#: endings of names that the kind "file" takes
_FILE_ENDINGS = frozenset({"doc", "docx", "xls", "xlsx", "ppt", "pptx", "zip", "pdf", "rar"})
#: what stands for a video until somebody plays it: one dark dot
COVER = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class StoredFile(Protocol):
    """A file of the file store."""

    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...
    def chunks(self) -> Iterator[bytes]: ...


ReadFile = Callable[[int], StoredFile]


class TokenStore(Protocol):
    """See `client.TokenStore`."""

    def get(self, name: str, fetch: Callable[[], tuple[str, float]]) -> str: ...
    def drop(self, name: str, used: str) -> None: ...


class Calls(Protocol):
    """What is needed of the client."""

    def call(
        self, path: str, body: Mapping[str, Any], deadline: Deadline, *, method: str = ..., repeatable: bool = ...
    ) -> dict[str, Any]:
        """One call of the new API."""


def upload_kind(part_kind: str, name: str, media_type: str, size: int) -> tuple[str, str]:
    """How DingTalk takes such a file (image, voice, video, file) and the ending of its name; ("", ""): not at all."""
    if not 0 < size <= MAX_BYTES:
        return "", ""
    kind, ending = _UPLOADS.get(media_type, ("", ""))
    if kind == part_kind and (kind != "voice" or size <= _VOICE_BYTES):
        return kind, ending
    ending = name.rpartition(".")[2].lower()
    return ("file", ending) if ending in _FILE_ENDINGS else ("", "")


class Files:
    """The files of one robot."""

    def __init__(
        self, settings: DingTalkSettings, client: Calls, http: Http, anywhere: Http, tokens: TokenStore
    ) -> None:
        """`http` calls DingTalk, `anywhere` the addresses that it gives, which may be those of anybody."""
        self._settings = settings
        self._client = client
        self._http = http
        self._anywhere = anywhere
        self._tokens = tokens
        self._token_name = f"dingtalk-legacy:{settings.client_id}"
        self._oapi_base = settings.oapi_base.rstrip("/")

    @contextmanager
    def open(self, code: str, robot_code: str, deadline: Deadline) -> Iterator[Media]:
        """The bytes behind a download code. Raises Rejected, Throttled or Unavailable."""
        if not code:
            raise Rejected("the message has no download code", kind="not_found", provider=PROVIDER)
        body = {"downloadCode": code, "robotCode": robot_code}
        try:
            answer = self._client.call("/v1.0/robot/messageFiles/download", body, deadline, repeatable=True)
        except Rejected as exc:
            if exc.kind != "invalid_request":
                raise
            # whatever the code says: the body is right, so DingTalk does not know this download code any more
            words = "DingTalk no longer has the file"
            raise Rejected(words, kind="not_found", provider=PROVIDER, status=exc.status, code=exc.code) from exc
        url = answer.get("downloadUrl")
        if not isinstance(url, str) or not url:
            raise Unavailable("DingTalk's answer has no address", kind="protocol", provider=PROVIDER)
        # no token goes along: the address may be of another host
        with self._client_for(url).stream(
            "GET", url, deadline=deadline, provider=PROVIDER, max_bytes=MAX_BYTES
        ) as stream:
            if stream.status in (404, 410):
                raise Rejected("the file is gone", kind="not_found", provider=PROVIDER, status=stream.status)
            if stream.status != 200:
                refuse(stream)
            media_type = (stream.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
            yield Media(stream.chunks(), media_type=media_type)

    def upload(self, kind: str, ending: str, content: bytes, media_type: str, deadline: Deadline) -> str:
        """The media id of an uploaded file. Raises Rejected, Throttled or Unavailable, none of them ambiguous."""
        # the name that people see is told when the file is sent; this one only has to have the right ending
        body, content_type = encode_multipart_formdata({"media": (f"{kind}.{ending}", content, media_type)})
        for last_try in (False, True):
            token = self._tokens.get(self._token_name, lambda: self._fetch_token(deadline))
            try:
                response = self._http.request(
                    "POST",
                    f"{self._oapi_base}/media/upload",
                    params={"access_token": token, "type": kind},
                    deadline=deadline,
                    provider=PROVIDER,
                    headers={"Content-Type": content_type},
                    body=body,
                )
                answer = read_answer(response)
            except Rejected as exc:
                if exc.kind != "token" or last_try:
                    raise
                self._tokens.drop(self._token_name, token)
                continue
            except Unavailable as exc:
                # uploading twice does no harm
                raise Unavailable(str(exc), kind="connection", provider=PROVIDER, status=exc.status) from exc
            media_id = answer.get("media_id")
            if not isinstance(media_id, str) or not media_id:
                raise Unavailable("DingTalk's answer has no media id", kind="protocol", provider=PROVIDER)
            return media_id
        raise AssertionError("the second try returns or raises")

    def _client_for(self, url: str) -> Http:
        """The guarded client, unless the address is of a host that the configuration names."""
        own = {urlsplit(base)[:2] for base in (self._settings.api_base, self._settings.oapi_base)}
        try:
            return self._http if urlsplit(url)[:2] in own else self._anywhere
        except ValueError:
            return self._anywhere

    def _fetch_token(self, deadline: Deadline) -> tuple[str, float]:
        query = {
            "appkey": self._settings.client_id,
            "appsecret": self._settings.client_secret.get_secret_value(),
        }
        try:
            answer = read_answer(
                self._http.request(
                    "GET", f"{self._oapi_base}/gettoken", params=query, deadline=deadline, provider=PROVIDER
                )
            )
        except Unavailable as exc:
            raise Unavailable(str(exc), kind="connection", provider=PROVIDER, status=exc.status, code=exc.code) from exc
        except Rejected as exc:
            words = "DingTalk refuses client_id and client_secret"
            raise Rejected(words, kind="auth", provider=PROVIDER, status=exc.status, code=exc.code) from exc
        token, lifetime_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(lifetime_s, int | float):
            raise Unavailable("DingTalk's token answer has no token", kind="protocol", provider=PROVIDER)
        return token, float(lifetime_s)
