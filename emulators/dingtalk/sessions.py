"""Session webhooks: addresses that answer one conversation for a while.

A session carries its conversation and its end in itself, so a sender in another process can hand out sessions that
this emulator knows, also after a restart. A test may register one of its own choice.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any

import orjson

# Not a secret: it only keeps apart what a sender made and what somebody made up.
_SEAL = b"mindbot emulators"
DEFAULT_LIFETIME_S = 5400.0


@dataclass(slots=True, frozen=True)
class Session:
    conversation: str
    msg_id: str  #: the callback that carried it
    issued_at_ms: int
    expires_at_ms: int


def issue(conversation: str, msg_id: str, *, now_ms: int, lifetime_s: float = DEFAULT_LIFETIME_S) -> str:
    """The text behind `session=`: hexadecimal, as DingTalk's."""
    payload = orjson.dumps([conversation, msg_id, now_ms, now_ms + int(lifetime_s * 1000)])
    return _seal(payload) + payload.hex()


def read(text: str) -> Session | None:
    """What `issue` put into a session; None: it did not make this one."""
    seal, hexed = text[:16], text[16:]
    try:
        payload = bytes.fromhex(hexed)
        if not hmac.compare_digest(_seal(payload).encode(), seal.encode()):
            return None
        return Session(*orjson.loads(payload))
    except (ValueError, TypeError):
        return None


class Sessions:
    """Which sessions are good now."""

    def __init__(self) -> None:
        self._registered: dict[str, Session] = {}
        self._ended: set[str] = set()
        self._ended_before_ms = 0

    def reset(self) -> None:
        self._registered.clear()
        self._ended.clear()
        self._ended_before_ms = 0

    def find(self, text: str) -> Session | None:
        """The session, good or not; None: nobody knows it."""
        return self._registered.get(text) or read(text)

    def good(self, text: str, session: Session) -> bool:
        return (
            text not in self._ended
            and session.issued_at_ms >= self._ended_before_ms
            and _now_ms() < session.expires_at_ms
        )

    def register(self, values: dict[str, Any]) -> dict[str, object]:
        """Control: {"session", "conversation"?, "msg_id"?, "lifetime_s"?}."""
        text = values.get("session")
        if not isinstance(text, str) or not text:
            raise ValueError("session must be a text")
        now_ms, lifetime_s = _now_ms(), float(values.get("lifetime_s", DEFAULT_LIFETIME_S))
        self._registered[text] = Session(
            str(values.get("conversation", text)), str(values.get("msg_id", "")), now_ms,
            now_ms + int(lifetime_s * 1000),
        )  # fmt: skip
        self._ended.discard(text)
        return {"session": text}

    def end(self, values: dict[str, Any]) -> None:
        """Control: {"session": one} or {} for all that were handed out up to now."""
        if "session" in values:
            self._ended.add(str(values["session"]))
        else:
            self._ended_before_ms = _now_ms() + 1


def _seal(payload: bytes) -> str:
    return hashlib.blake2s(payload, key=_SEAL, digest_size=8).hexdigest()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
