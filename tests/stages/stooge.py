"""A platform that keeps the real one's promises and fails when told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.platforms.base import Acknowledgement, Capabilities, Inbound


class Stooge:
    """Cuts answers at blank lines; `script` says what becomes of each send, None or nothing left: it works."""

    name: ClassVar[str] = "stooge"
    bot = "default"

    def __init__(self) -> None:
        self.capabilities = Capabilities()
        self.script: list[Exception | Callable[[], None] | None] = []
        self.shown: list[str] = []
        self.outgoing: list[Outgoing] = []

    def verify(self, inbound: Inbound) -> None:
        """Everybody may call."""

    def parse(self, inbound: Inbound) -> list[Message]:
        raise PayloadInvalid("nobody posts to a stooge")

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        return Acknowledgement()

    def render(self, answer: Answer) -> list[Part]:
        return [Part("text", piece) for piece in answer.text.split("\n\n")]

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        deadline.check()
        self.outgoing.append(outgoing)
        act = self.script.pop(0) if self.script else None
        if isinstance(act, Exception):
            raise act
        if act is not None:
            act()
        self.shown.append(outgoing.part.text)
        return f"sent-{len(self.shown)}"
