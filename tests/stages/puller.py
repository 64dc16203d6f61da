"""A platform that only rings a bell: its feeds are lists, read two items at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part
from mindbot_tasks.model.news import Occurrence
from mindbot_tasks.platforms.base import Pulled
from tests.stages.stooge import Stooge


class Puller(Stooge):
    """`before_pull` happens before each page is handed out."""

    name: ClassVar[str] = "puller"
    max_age_s = 600.0
    page_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Message | Occurrence] = []
        self.pulled: list[tuple[str, str]] = []  #: cursor and token of each call
        self.before_pull: list[Exception | Callable[[], None] | None] = []
        self.empty_pages = False
        self.reacted: list[str] = []
        self.people: list[str] = []
        self.gone: list[str] = []  #: conversations whose person left without a word
        self.unknown = False

    def feeds(self) -> Sequence[str]:
        return ["configured"]

    def pull(self, feed: str, cursor: str, token: str, deadline: Deadline) -> Pulled:
        deadline.check()
        self.pulled.append((cursor, token))
        act = self.before_pull.pop(0) if self.before_pull else None
        if isinstance(act, Exception):
            raise act
        if act is not None:
            act()
        start = int(cursor.rstrip("e") or 0)
        if self.empty_pages and not cursor.endswith("e") and start < len(self.items):
            return Pulled([], f"{start}e", True)
        page = self.items[start : start + self.page_size]
        end = start + len(page)
        return Pulled(page, str(end), end < len(self.items))

    def render(self, answer: Answer) -> list[Part]:
        return [*super().render(answer), *answer.parts]

    def react(self, occurrence: Occurrence, deadline: Deadline) -> None:
        self.reacted.append(occurrence.external_id)

    def asks_for_person(self, text: str) -> bool:
        return text == "human please"

    def has_person(self, conversation_id: str, deadline: Deadline) -> bool:
        if self.unknown:
            raise Unavailable("away")
        return conversation_id not in self.gone

    def hand_over(self, outgoing: Outgoing, deadline: Deadline) -> bool:
        self.people.append(outgoing.conversation_id)
        return True
