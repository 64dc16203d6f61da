"""What is remembered between two turns: the endpoint, Dify's conversation, and a run that waits for a person. Pure.

It has to fit into the 255 characters of `sessions.session_id`. One app, and nothing waits: the conversation id alone.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

_BETWEEN = "~"
NOTHING = _BETWEEN  #: stored where something is over: "" would leave it as it was
_MOST = 255
_PLAIN = re.compile(r"[\w.=+/-]*")
_ABOUT_A_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Session:
    endpoint: str = ""  #: label of the endpoint; "": the only one
    conversation_id: str = ""
    run_id: str = ""  #: of the run that waits
    form_token: str = ""  #: "": nothing waits
    until_s: int = 0  #: when the form ends, seconds since 1970

    @property
    def waits(self) -> bool:
        return bool(self.form_token and self.run_id and self.until_s > time.time())

    def rested(self) -> Session:
        """The same without the run."""
        return replace(self, run_id="", form_token="", until_s=0)


def read(session_id: str) -> Session:
    """Whatever was stored; what is none of ours, or of Dify's, is nothing."""
    parts = session_id.split(_BETWEEN)
    if len(parts) == 1:
        return Session(conversation_id=_uuid(session_id))
    endpoint, conversation_id, run_id, form_token, until = [*parts, "", "", "", ""][:5]
    if not (endpoint or conversation_id or run_id):
        return Session()
    until_s = int(until) if until.isascii() and until.isdigit() and len(until) < 14 else 0
    return Session(endpoint, _uuid(conversation_id), run_id, form_token, until_s)


def write(session: Session) -> str:
    """As it is stored; a form whose token is too long, or strange, cannot be remembered."""
    if session.form_token:
        parts = (session.endpoint, session.conversation_id, session.run_id, session.form_token, str(session.until_s))
        text = _BETWEEN.join(parts)
        if len(text) <= _MOST and all(_PLAIN.fullmatch(part) for part in parts):
            return text
    if session.endpoint:
        return f"{session.endpoint}{_BETWEEN}{session.conversation_id}"
    return session.conversation_id


def kept(session: Session, before: str) -> str:
    """As it is stored in place of what was stored `before`: what is over must not come back."""
    return write(session) or (NOTHING if before else "")


def expiry(told: object) -> int:
    """When a form ends: as Dify says, in seconds since 1970, else in about a day."""
    if isinstance(told, int | float) and 0 < told < 10**13:
        return int(told)
    return int(time.time()) + _ABOUT_A_DAY_S


def waiting(sessions: Mapping[str, str]) -> str:
    """The answerer whose run waits for what this person says next; "" if none does."""
    for answerer, session_id in sessions.items():
        if _BETWEEN in session_id and read(session_id).waits:
            return answerer
    return ""


def _uuid(text: str) -> str:
    """Dify answers 400 to an id that is none."""
    try:
        uuid.UUID(text)
    except ValueError:
        return ""
    return text
