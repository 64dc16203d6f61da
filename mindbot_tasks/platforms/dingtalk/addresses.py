"""Where an answer on DingTalk goes: the session webhook of the message, if its host can be trusted, and ids.

The callback's signature does not cover its body, so a session webhook is a URL from a stranger until its origin is
found on the list: DingTalk's own host, and the host configured as `oapi_base`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mindbot_tasks.model.message import JSON

VENDOR_ORIGIN = "https://oapi.dingtalk.com"
_PLAIN_URL = re.compile(r"[!-~]{1,2000}")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """What a sender needs; stored with the message as a plain dict."""

    session_webhook: str  #: "" if there was none, or none to be trusted
    session_expires_at_ms: int
    robot_code: str
    staff_id: str  #: userId of the asker; "" for people outside the organisation
    conversation_id: str  #: of a group: its openConversationId
    is_group: bool
    nick: str = ""  #: what the asker is called, which they can choose

    def to_dict(self) -> dict[str, JSON]:
        return {
            "session_webhook": self.session_webhook,
            "session_expires_at_ms": self.session_expires_at_ms,
            "robot_code": self.robot_code,
            "staff_id": self.staff_id,
            "conversation_id": self.conversation_id,
            "conversation_type": "2" if self.is_group else "1",
            "nick": self.nick,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, JSON]) -> Address:
        """The opposite of `to_dict`; what is missing is empty."""
        expires_at_ms = stored.get("session_expires_at_ms")
        return cls(
            session_webhook=str(stored.get("session_webhook") or ""),
            session_expires_at_ms=expires_at_ms if isinstance(expires_at_ms, int) else 0,
            robot_code=str(stored.get("robot_code") or ""),
            staff_id=str(stored.get("staff_id") or ""),
            conversation_id=str(stored.get("conversation_id") or ""),
            is_group=stored.get("conversation_type") == "2",
            nick=str(stored.get("nick") or ""),
        )


def trusted_webhook(url: str, oapi_base: str) -> str:
    """The same URL, put together anew behind an origin of the list; "" if its origin is not on it."""
    if not _PLAIN_URL.fullmatch(url) or "\\" in url:
        return ""
    try:
        parts = urlsplit(url)
        origin = _origin(parts)
    except ValueError:
        return ""
    if "@" in parts.netloc or not origin:
        return ""
    for allowed in (_allowed(VENDOR_ORIGIN), _allowed(oapi_base)):
        if origin == allowed[0]:
            query = f"?{parts.query}" if parts.query else ""
            return f"{allowed[1]}{parts.path}{query}"
    return ""


@functools.cache
def _allowed(base: str) -> tuple[tuple[str, str, int] | None, str]:
    """Of an address of ours: its origin to compare, and as it is written. Raises ValueError."""
    parts = urlsplit(base)
    return _origin(parts), f"{parts.scheme}://{parts.netloc}"


def _origin(parts: SplitResult) -> tuple[str, str, int] | None:
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
