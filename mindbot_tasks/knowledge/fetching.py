"""Documents from the web, through the guard against addresses that are not public."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.download import open_url
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.ssrf import Destinations

WEB = "web"
_PUBLIC = Destinations(schemes=frozenset({"http", "https"}))


def fetch(settings: Settings, url: str, deadline: Deadline) -> tuple[bytes, str, str]:
    """(bytes, name, media type). Raises Rejected, Throttled or Unavailable."""
    with open_url(get_http(_PUBLIC), url, deadline, provider=WEB) as media:
        content = b"".join(media.chunks)
        name = media.name or unquote(urlsplit(url).path.rpartition("/")[2])
        return content, name if "." in name else "", media.media_type
