"""Getting a file from a URL: through the guard of the given client, and without our tokens anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.http import Http, Stream, refuse
from mindbot_tasks.core.settings import get_settings


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes on their way; read them inside the `with`."""

    chunks: Iterator[bytes]
    name: str = ""
    media_type: str = ""  #: as the far side claims


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_NAME = re.compile(r"""filename\*=(?:UTF-8|utf-8)''(?P<coded>[^;\s]+)|filename="?(?P<plain>[^";]+)""")


@contextmanager
def open_url(
    http: Http, url: str, deadline: Deadline, *, provider: str, headers: Mapping[str, str] | None = None
) -> Iterator[Media]:
    """The bytes behind a URL; `headers` go to that host only, not to where it may send us.

    Raises Rejected, Throttled or Unavailable. Nothing bigger than the settings allow is read.
    """
    with _open(http, url, deadline, provider, headers or {}) as stream:
        if stream.status in (404, 410):
            raise Rejected("the file is gone", kind="not_found", provider=provider, status=stream.status)
        if stream.status != 200:
            refuse(stream)
        media_type = (stream.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        yield Media(stream.chunks(), _name_of(stream.headers.get("Content-Disposition") or "", url), media_type)


def _open(http: Http, url: str, deadline: Deadline, provider: str, headers: Mapping[str, str]) -> Stream:
    # one byte more, so that the file store is the one to say that it is too big
    most = get_settings().files.max_mb * 1_000_000 + 1
    for _ in range(_MOST_REDIRECTS + 1):
        stream = http.stream("GET", url, deadline=deadline, provider=provider, headers=headers, max_bytes=most + 65_536)
        onward = stream.headers.get("Location") if stream.status in _REDIRECTS else None
        if not onward:
            return stream
        with stream:
            following = urljoin(url, onward)
        if urlsplit(following)[:2] != urlsplit(url)[:2]:
            headers = {}
        url = following
    raise Rejected("the file is sent from place to place", kind="protocol", provider=provider)


def _name_of(disposition: str, url: str) -> str:
    found = _NAME.search(disposition)
    if found:
        return unquote(found["coded"]) if found["coded"] else found["plain"].strip()
    return unquote(urlsplit(url).path.rpartition("/")[2])
