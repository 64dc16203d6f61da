"""Documents from the web, through the guard against addresses that are not public."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.download import open_url
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.ssrf import Destinations

WEB = "web"
_PUBLIC = Destinations(schemes=frozenset({"http", "https"}))


def fetch(settings: Settings, url: str, deadline: Deadline) -> tuple[bytes, str, str]:
    """(bytes, name, media type). Raises Rejected, Throttled or Unavailable."""
    with open_url(get_http(_allowed(settings, url)), url, deadline, provider=WEB) as media:
        content = b"".join(media.chunks)
        name = media.name or unquote(urlsplit(url).path.rpartition("/")[2])
        return content, name if "." in name else "", media.media_type


def _allowed(settings: Settings, url: str) -> Destinations:
    """Everybody on the internet; of the others only those whom the configuration names, and no way out from there."""
    named = settings.chromadb.allowed_hosts if settings.chromadb is not None else []
    if named:
        within = Destinations.only(named, public_only=False, schemes=_PUBLIC.schemes)
        try:
            within.check_url(url)
        except Rejected:
            return _PUBLIC
        return within
    return _PUBLIC
