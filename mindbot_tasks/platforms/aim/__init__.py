"""AIM: instant messages by OSCAR. This process must hold the connection to send; the bridge sees to that."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, SignatureInvalid, Unavailable
from mindbot_tasks.core.settings import AimSettings
from mindbot_tasks.core.words import Lang
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Message, Outgoing, Part
from mindbot_tasks.platforms.aim import markup
from mindbot_tasks.platforms.aim.errors import PROVIDER, not_connected
from mindbot_tasks.platforms.aim.payload import NAME, cookie_of
from mindbot_tasks.platforms.base import Acknowledgement, Inbound


class Line(Protocol):
    """Whoever holds the connection of an account; called from any thread."""

    def send(self, to: str, text: str, cookie: bytes, deadline: Deadline) -> None:
        """Returns when the server has taken it. Raises Rejected, Throttled or Unavailable."""


_lines: dict[str, Line] = {}
_lock = threading.Lock()


def hold(bot: str, line: Line | None) -> None:
    """This process holds the connection of this bot from now on; None: no longer."""
    with _lock:
        if line is None:
            _lines.pop(bot, None)
        else:
            _lines[bot] = line


class Aim:
    """One account."""

    name: ClassVar[str] = NAME
    capabilities = markup.CAPABILITIES

    def __init__(self, bot: str, settings: AimSettings, *, language: Lang = "en") -> None:
        self.bot = bot
        self._settings = settings
        self._language = language

    def verify(self, inbound: Inbound) -> None:
        """Nobody calls: AIM has no webhooks."""
        raise SignatureInvalid("AIM has no webhooks")

    def parse(self, inbound: Inbound) -> list[Message]:
        """See `verify`."""
        return []

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """See `verify`."""
        return Acknowledgement()

    def render(self, answer: Answer) -> list[Part]:
        """The pieces to send. Pure."""
        return markup.render(answer, self._language)

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """Deliver one piece; AIM gives no ids. Raises Rejected, Throttled or Unavailable."""
        to = str(outgoing.address.get("screen_name") or outgoing.sender_id)
        if not to:
            raise Rejected("the message has no screen name to answer to", kind="invalid_request", provider=PROVIDER)
        line = _lines.get(self.bot)
        if line is None:
            raise not_connected()
        # the same cookie for every try: whoever looks at it can tell a repetition
        line.send(to, markup.to_html(outgoing.part.text), cookie_of(outgoing.key), deadline)
        return ""

    def address_of(self, user_id: str, conversation_id: str) -> Mapping[str, JSON]:
        """A person by their screen name; chat rooms are left alone. Raises Rejected."""
        if conversation_id:
            raise Rejected("on AIM the bot writes to persons only", kind="not_found", provider=PROVIDER)
        return {"screen_name": user_id}

    def examine(self, deadline: Deadline) -> str:
        """A login without coming online, which disturbs nobody. Raises Rejected or Unavailable."""
        # here: only who asks needs an event loop
        import asyncio

        from mindbot_tasks.platforms.aim.account import Account
        from mindbot_tasks.platforms.aim.signing_on import log_in

        async def ask() -> None:
            async with asyncio.timeout(deadline.remaining_s()):
                await log_in(Account.of(self._settings))

        try:
            asyncio.run(ask())
        except TimeoutError:
            raise Unavailable("the server did not answer in time", kind="timeout", provider=PROVIDER) from None
        return f"the login of {self._settings.username} at {self._settings.server}:{self._settings.port}"
