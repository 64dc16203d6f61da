"""WeCom Customer Service (微信客服): a bell in, pages fetched, answers out under our own ids, people who take over."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import re
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

import structlog

from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import WITH_PERSON, PayloadInvalid, Rejected
from mindbot_tasks.core.metrics import SENDS
from mindbot_tasks.core.settings import WeComCsSettings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Message, Outgoing, Part
from mindbot_tasks.model.news import Bell, News, Occurrence
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound, Media, Pulled
from mindbot_tasks.platforms.parts import MEDIA
from mindbot_tasks.platforms.wecomcs import rendering
from mindbot_tasks.platforms.wecomcs.client import KfClient, ServiceState
from mindbot_tasks.platforms.wecomcs.payload import NAME, read_items
from mindbot_tasks.platforms.weixin import Envelope
from mindbot_tasks.platforms.weixin.envelope import encrypted_in
from mindbot_tasks.platforms.weixin.uploading import upload_kind
from mindbot_tasks.platforms.weixin.xml import read_fields
from mindbot_tasks.stores.files import Stored

log = structlog.get_logger(__name__)

ReadFile = Callable[[int], Stored]
"""A file of the file store by its id. Raises Rejected when it is gone."""

BELL = "kf_msg_or_event"
#: a welcome is possible for 20 s; some more for clocks that differ
WELCOME_MS = 30_000
#: an answer that took this long is late: a person may have the conversation by now
LATE_MS = 60_000
#: how long a session is believed to be the bot's
TAKEN_S = 3600.0
#: the session has ended, or does not let us send: a person may have it
_NOT_OURS = frozenset({"95013", "95018"})


class WeComCs:
    """The customer service accounts of one app."""

    name: ClassVar[str] = NAME

    def __init__(
        self,
        bot: str,
        settings: WeComCsSettings,
        client: KfClient,
        *,
        language: Lang = "zh",
        read_file: ReadFile | None = None,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.bot = bot
        with_files = read_file is not None
        self.capabilities = Capabilities(idempotent_send=True, images=with_files, files=with_files)
        self._read_file = read_file
        self.max_age_s = float(settings.max_age_s)
        self._settings = settings
        self._client = client
        self._language: Lang = language
        self._clock_ms = clock_ms
        self._envelope = Envelope(
            token=settings.token.get_secret_value(),
            encoding_aes_key=settings.encoding_aes_key.get_secret_value(),
            receiver_id=settings.corpid,
            tolerance_s=settings.timestamp_tolerance_s,
        )
        self._taken: OrderedDict[tuple[str, str], float] = OrderedDict()

    # in: a bell

    def verify(self, inbound: Inbound) -> None:
        """Return if WeCom signed this call; else raise SignatureInvalid."""
        self._envelope.verify(inbound.query, _sealed(inbound), now_ms=inbound.received_at_ms)

    def parse(self, inbound: Inbound) -> list[Message]:
        """None: messages have to be fetched. Raises PayloadInvalid."""
        _sealed(inbound)
        return []

    def news(self, inbound: Inbound) -> News:
        """The bell in a verified call. Raises PayloadInvalid."""
        if inbound.method == "GET":
            return News()
        opened = self._envelope.open(_sealed(inbound))
        fields = read_fields(opened)
        event, feed, token = (_text(fields, name) for name in ("Event", "OpenKfId", "Token"))
        if event == BELL:
            if not feed or len(feed) > 255:
                raise PayloadInvalid("the bell does not say which account it is for")
            return News(bells=(Bell(feed, token),))
        if not event:
            return News()
        data: dict[str, JSON] = {name: value[:500] for name, value in fields.items() if isinstance(value, str)}
        mark = hashlib.sha256(opened).hexdigest()[:40]
        return News(occurrences=(Occurrence(f"{event[:80]}-{mark}", event[:80], data=data),))

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """The opened echo for a verification of the URL; nothing for everything else."""
        return Acknowledgement(self._envelope.open(_sealed(inbound)) if inbound.method == "GET" else b"")

    # in: pages

    def feeds(self) -> Sequence[str]:
        """Accounts that are known from the configuration."""
        return self._settings.open_kfids

    def pull(self, feed: str, cursor: str, token: str, deadline: Deadline) -> Pulled:
        """The page after `cursor`. Raises Rejected, Throttled or Unavailable."""
        items, next_cursor, more = self._client.sync(feed, cursor, token, deadline)
        return Pulled(read_items(items, bot=self.bot, feed=feed), next_cursor, more)

    def react(self, occurrence: Occurrence, deadline: Deadline) -> None:
        """Greet who enters; tell the operator what could not be delivered. Raises Rejected, Throttled, Unavailable."""
        if occurrence.kind == "enter_session":
            self._welcome(occurrence, deadline)
        elif occurrence.kind == "msg_send_fail":
            SENDS.labels(self.name, "failed_later").inc()
            log.error(
                "wecomcs_send_failed",
                msgid=occurrence.data.get("fail_msgid"),
                fail_type=occurrence.data.get("fail_type"),
                bot=self.bot,
            )

    def open_media(self, part: Part, address: Mapping[str, JSON], deadline: Deadline) -> AbstractContextManager[Media]:
        """The bytes behind a part; kept by WeCom for three days."""
        media_id = part.data.get("media_id")
        if not isinstance(media_id, str) or not media_id:
            raise Rejected("this part has no file", kind="not_found", provider=self.name)
        return self._client.client.download(media_id, deadline)

    # out

    def render(self, answer: Answer) -> list[Part]:
        """Few plain texts, each within the limit, and a transfer after them. Pure."""
        return rendering.render(answer, self.capabilities, max_parts=self._settings.max_parts, lang=self._language)

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """Deliver one text or file; return its id. Sending it again shows nothing more.

        Raises Rejected (WITH_PERSON when a person has the conversation), Throttled or Unavailable.
        """
        whom = _whom(outgoing)
        if outgoing.number == 0:
            self._look_at_session(whom, outgoing, deadline)
        try:
            return self._show(whom, outgoing, self._content(outgoing.part, deadline), deadline)
        except Rejected as exc:
            if exc.code in _NOT_OURS and self._client.state(*whom, deadline).with_person:
                raise _person_has_it() from exc
            raise

    def asks_for_person(self, text: str) -> bool:
        """Whether the whole message is one of the configured words, whatever its punctuation. Pure."""
        said = _bare(text)
        return bool(said) and any(fnmatch.fnmatchcase(said, _bare(words)) for words in self._settings.human_words)

    def has_person(self, conversation_id: str, deadline: Deadline) -> bool:
        """Whether an agent has the session, or had it last. Raises Rejected, Throttled or Unavailable."""
        open_kfid, _, external_userid = conversation_id.partition(":")
        return self._client.state(open_kfid, external_userid, deadline) not in (ServiceState.NEW, ServiceState.BOT)

    def hand_over(self, outgoing: Outgoing, deadline: Deadline) -> bool:
        """To one of the configured agents who is on duty, else into the pool. False: nobody is there."""
        whom = _whom(outgoing)
        self._taken.pop(whom, None)
        if self._client.state(*whom, deadline).with_person:
            return True
        for servicer in self._settings.servicer_userids:
            if self._pass_on(whom, ServiceState.AGENT, servicer, deadline):
                return True
        if self._pass_on(whom, ServiceState.WAITING, "", deadline):
            return True
        if self._client.state(*whom, deadline).with_person:
            return True
        language: Lang = "en" if outgoing.part.data.get("language") == "en" else "zh"
        self._show(whom, outgoing, _words(say("person.nobody_there", language)), deadline)
        return False

    def name_of(self, user_id: str, deadline: Deadline) -> str:
        """The customer's nickname, while they were active in the last 48 hours."""
        return self._client.nickname(user_id, deadline)

    def examine(self, deadline: Deadline) -> str:
        """Ask for the accounts. Raises Rejected, Throttled or Unavailable."""
        return f"kf/account/list: {self._client.accounts(deadline)}"

    @property
    def token_names(self) -> Sequence[str]:
        """The app's one token."""
        return (self._client.client.token_name,)

    def _welcome(self, occurrence: Occurrence, deadline: Deadline) -> None:
        code = occurrence.data.get("welcome_code")
        words = self._settings.welcome
        text = say("person.welcome", self._language) if words is None else words
        if not isinstance(code, str) or not code or not text.strip():
            return
        if occurrence.happened_at_ms is not None and self._clock_ms() - occurrence.happened_at_ms > WELCOME_MS:
            return  # history, or we were away: the code works no more
        greeted = self._client.send_on_event(code, _msgid(occurrence.external_id, "welcome"), text[:600], deadline)
        SENDS.labels(self.name, "welcome" if greeted else "welcome_late").inc()

    def _look_at_session(self, whom: tuple[str, str], outgoing: Outgoing, deadline: Deadline) -> None:
        """Before the first piece: is it still ours to answer, and does the session know that it is?"""
        sent_at_ms = outgoing.address.get("sent_at_ms")
        late = isinstance(sent_at_ms, int) and self._clock_ms() - sent_at_ms > LATE_MS
        if not late and (not self._settings.take_sessions or self._taken.get(whom, 0.0) > time.monotonic()):
            return
        try:
            state = self._client.state(*whom, deadline)
            if state.with_person:
                raise _person_has_it()
            if state is ServiceState.NEW and self._settings.take_sessions:
                self._client.change_state(*whom, ServiceState.BOT, deadline)
        except Rejected as exc:
            if exc.kind == WITH_PERSON:
                raise
            # states are an extra: whether we may send, the send itself will tell
            log.warning("wecomcs_state_unknown", code=exc.code, bot=self.bot)
            return
        if state in (ServiceState.NEW, ServiceState.BOT):
            self._taken[whom] = time.monotonic() + TAKEN_S
            while len(self._taken) > 10_000:
                self._taken.popitem(last=False)

    def _pass_on(self, whom: tuple[str, str], state: ServiceState, servicer: str, deadline: Deadline) -> bool:
        try:
            return self._client.change_state(*whom, state, deadline, servicer=servicer)
        except Rejected as exc:  # not an agent, not on duty, not allowed
            log.warning("wecomcs_not_passed_on", code=exc.code, servicer=servicer, bot=self.bot)
            return False

    def _show(self, whom: tuple[str, str], outgoing: Outgoing, content: Mapping[str, JSON], deadline: Deadline) -> str:
        origin = outgoing.address.get("msgid")
        msgid = _msgid(origin if isinstance(origin, str) else "", outgoing.key)
        return self._client.send(*whom, msgid, content, deadline)

    def _content(self, part: Part, deadline: Deadline) -> dict[str, JSON]:
        """A text, or a file that is uploaded for it; its name where WeCom does not take it."""
        if part.kind not in MEDIA:
            return _words(part.text)
        file_id = part.data.get("file")
        try:
            if self._read_file is None or not isinstance(file_id, int):
                raise Rejected("there is no such file", kind="not_found", provider=self.name)
            stored = self._read_file(file_id)
            kind = upload_kind(part.kind, stored.size, stored.media_type)
            if kind is None:
                raise Rejected("WeCom takes no such file", kind="content", provider=self.name)
            name = str(part.data.get("name") or stored.name)
            media_id = self._client.client.upload(kind, stored.read(), name, stored.media_type, deadline)
        except Rejected as exc:
            if exc.kind == "auth":
                raise
            log.warning("wecomcs_file_left_out", kind=exc.kind, code=exc.code, part=part.kind)
            return _words(f"[{str(part.data.get('name') or part.kind)[:200]}]")
        return {"msgtype": kind, kind: {"media_id": media_id}}


def _words(text: str) -> dict[str, JSON]:
    return {"msgtype": "text", "text": {"content": text}}


def _msgid(origin: str, key: str) -> str:
    """Our id of a message, the same for each try.

    It must be unique for an account for ever, and numbers of a ledger that was made anew begin again at 1: so the
    customer's message goes in, too.
    """
    mark = hashlib.sha256(f"{origin}\n{key}".encode("utf-8", "replace")).digest()[:21]
    return "mb_" + base64.urlsafe_b64encode(mark).decode()


def _whom(outgoing: Outgoing) -> tuple[str, str]:
    open_kfid, external_userid = (str(outgoing.address.get(name) or "") for name in ("open_kfid", "external_userid"))
    if not open_kfid or not external_userid:
        raise Rejected("the message does not say whom to answer", kind="invalid_request", provider=NAME)
    return open_kfid, external_userid


def _person_has_it() -> Rejected:
    return Rejected("a person has taken this conversation over", kind=WITH_PERSON, provider=NAME)


def _sealed(inbound: Inbound) -> str:
    """The encrypted part of a call. Raises PayloadInvalid."""
    if inbound.method == "GET":
        # a plus that came as it is was read as a blank
        return inbound.query.get("echostr", "").replace(" ", "+")
    return encrypted_in(inbound.body)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _bare(text: str) -> str:
    """In small letters, without the marks around it."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold()).strip(" .,!?;:~。，！？；：、…\"'")
