"""Sending one piece as an app, such that a repeat of it shows nothing twice and an equal answer still shows.

WeCom drops what equals a message of the last while, when asked to. Every send asks for that; a piece whose content was
sent before, for another piece, gets a mark that nobody sees. Decision record 0006.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled
from mindbot_tasks.core.settings import WeComSettings
from mindbot_tasks.model.message import Outgoing, Part
from mindbot_tasks.platforms.parts import MEDIA
from mindbot_tasks.platforms.wecom.payload import PLATFORM
from mindbot_tasks.platforms.wecom.pieces import body_of, marked, with_task_id
from mindbot_tasks.platforms.weixin import Client
from mindbot_tasks.platforms.weixin.uploading import upload_kind
from mindbot_tasks.stores.files import Stored
from mindbot_tasks.stores.limiter import Rate

log = structlog.get_logger(__name__)

#: WeCom drops without a word what goes beyond 30 a minute and 1000 an hour for one member. Thirteen at once and then
#: one each 3.7 s are at most 29 in any minute and 986 in any hour.
MEMBER_RATE = Rate(interval_us=3_700_000, burst=13)
#: for how long WeCom looks for an equal message; longer than any piece is tried
CHECK_S = 3600
_REMEMBERED_S = 2 * CHECK_S
_MEDIA_ID_S = 2 * 86_400  # they live for three days

#: the fields of an answer that list whom it did not reach
_NOT_REACHED = {
    "invaliduser": "WeCom does not know this member, or the app may not see them",
    "unlicenseduser": "this member has no licence for the app",
}

ReadFile = Callable[[int], Stored]
"""A file of the file store by its id. Raises Rejected when it is gone."""


class Admit(Protocol):
    """`stores.equal_sends.admit`, or a stand-in."""

    def __call__(
        self, bucket: str, rate: Rate, content: str, key: str, *, remembered_s: float
    ) -> tuple[float, str]: ...


class Uploads(Protocol):
    """`stores.uploads`, or a stand-in."""

    def find(self, name: str) -> str: ...

    def remember(self, name: str, upload_id: str, *, keep_s: int) -> None: ...


class Sender:
    """The outgoing side of one app."""

    def __init__(
        self,
        settings: WeComSettings,
        client: Client,
        *,
        admit: Admit,
        uploads: Uploads,
        read_file: ReadFile | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._admit = admit
        self._uploads = uploads
        self._read_file = read_file

    @property
    def has_files(self) -> bool:
        return self._read_file is not None

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """See `WeCom.send`."""
        user_id = str(outgoing.address.get("user_id") or outgoing.sender_id)
        agent_id = self._agent_id(outgoing)
        kind, content = self._content(outgoing, deadline)
        place = f"wecom:{self._settings.corpid}:{agent_id}:{user_id.lower()}"
        wait_s, first = self._admit(
            place, MEMBER_RATE, _fingerprint(place, kind, content), outgoing.key, remembered_s=_REMEMBERED_S
        )
        if wait_s > 0:
            raise Throttled(
                "our own limit for messages to one member",
                kind="rate_limit",
                provider=PLATFORM,
                code="our_limit",
                retry_after_s=wait_s,
            )
        if first != outgoing.key:
            content = marked(kind, content, outgoing.key)
        answer = self._client.post(
            "message/send",
            {
                "touser": user_id,
                "msgtype": kind,
                "agentid": agent_id,
                kind: content,
                "enable_duplicate_check": 1,
                "duplicate_check_interval": CHECK_S,
            },
            deadline,
        )
        _check_reached(answer, user_id)
        sent_id = answer.get("msgid")
        return sent_id[:255] if isinstance(sent_id, str) else ""

    def _agent_id(self, outgoing: Outgoing) -> int:
        agent_id = self._settings.agent_id
        if agent_id is None:
            agent_id = outgoing.address.get("agent_id")  # type: ignore[assignment]
        if not isinstance(agent_id, int):
            raise Rejected("agent_id is not configured, and the message named none", kind="auth", provider=PLATFORM)
        return agent_id

    def _content(self, outgoing: Outgoing, deadline: Deadline) -> tuple[str, dict[str, Any]]:
        """msgtype and its object."""
        if outgoing.part.kind in MEDIA:
            return self._media(outgoing, deadline)
        kind, content = body_of(outgoing.part)
        return kind, with_task_id(content, outgoing.key) if kind == "template_card" else content

    def _media(self, outgoing: Outgoing, deadline: Deadline) -> tuple[str, dict[str, Any]]:
        """The piece as an uploaded file; with another media_id WeCom could not see that two tries are one."""
        upload_name = f"wecom:{self._settings.corpid}:{self._settings.api_base}:{outgoing.key}"
        kind, _, media_id = self._uploads.find(upload_name).partition(":")
        if not media_id:
            kind, media_id = self._upload(outgoing.part, deadline)
            if not media_id:
                return "text", {"content": _in_place_of(outgoing.part)}
            self._uploads.remember(upload_name, f"{kind}:{media_id}", keep_s=_MEDIA_ID_S)
        return kind, {"media_id": media_id}

    def _upload(self, part: Part, deadline: Deadline) -> tuple[str, str]:
        """The kind of file that WeCom takes it for and its media_id; "" if it does not take it at all."""
        file_id = part.data.get("file")
        if self._read_file is None or not isinstance(file_id, int):
            return "", ""
        try:
            stored = self._read_file(file_id)
            kind = upload_kind(part.kind, stored.size, stored.media_type)
            if kind is None:
                log.warning("wecom_file_left_out", kind=part.kind, media_type=stored.media_type, size=stored.size)
                return "", ""
            name = str(part.data.get("name") or stored.name)
            return kind, self._client.upload(kind, stored.read(), name, stored.media_type, deadline)
        except Rejected as exc:
            if exc.kind == "auth":
                raise
            log.warning("wecom_file_refused", kind=exc.kind, code=exc.code)
            return "", ""


def _check_reached(answer: Mapping[str, Any], user_id: str) -> None:
    """errcode 0 says nothing about people. Raises Rejected."""
    for field, words in _NOT_REACHED.items():
        listed = answer.get(field)
        # ids come back in small letters
        if isinstance(listed, str) and user_id.lower() in listed.lower().split("|"):
            raise Rejected(words, kind="not_found", provider=PLATFORM, code=field)


def _fingerprint(place: str, kind: str, content: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{place}\n{kind}\n".encode() + orjson.dumps(content)).hexdigest()[:32]


def _in_place_of(part: Part) -> str:
    """What is said when a file cannot be sent."""
    return f"[{str(part.data.get('name') or part.kind)[:200]}]"
