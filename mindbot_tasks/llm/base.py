"""What an answerer must be able to do: workflows, providers and the offline answerer look alike from above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from mindbot_tasks.core import prompts
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.words import Lang
from mindbot_tasks.model.answer import Answer, Classification, Turn
from mindbot_tasks.stores.remembered import Fact


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with the question."""

    kind: str  #: image, voice, video or file
    name: str
    media_type: str
    size: int
    file_id: int
    content: bytes | None = None  #: None: nobody asked for it, or it cannot be had


@dataclass(frozen=True, slots=True)
class Question:
    """Everything an answerer may know about the message it answers."""

    message_id: int
    text: str
    history: tuple[Turn, ...]  #: earlier turns of this conversation, oldest first, already trimmed
    classification: Classification
    user_key: str  #: stable for one person on one platform: "dingtalk:user01"
    conversation_key: str  #: stable for one conversation: "dingtalk:default:cid..."
    language: Lang  #: from the message itself, or as configured
    session_id: str = ""  #: the remote conversation id this answerer gave us last time, if any
    attachments: tuple[Attachment, ...] = ()
    again: bool = False  #: an earlier try may have been begun, and paid for, whose end nobody here saw
    summary: str = ""  #: of what was said before `history`
    facts: tuple[Fact, ...] = ()  #: that the asker asked to remember
    sharing: bool = True  #: an answerer may know what was said with others
    variables: Mapping[str, str] = field(default_factory=dict)  #: of system prompts
    to_sum_up: int = 0  #: the history was too long: a summary up to this message is wanted
    knowledge: str = ""  #: what was read about it, fenced as data; goes before the text to a model, and nowhere else
    quote: str = ""  #: the same for people, for the answerer that has no model
    nothing_read: bool = False  #: it was looked for, and is not in what was read

    @property
    def prompt(self) -> str:
        """What a model is asked."""
        return f"{self.knowledge}\n\n{self.text}" if self.knowledge else self.text

    def filled(self, system_prompt: str) -> str:
        """A system prompt of the configuration with its variables."""
        return prompts.fill(system_prompt, self.variables)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a bot, or somebody in a conversation, wants of whoever answers."""

    model: str = ""  #: "provider/model" or "model": goes first
    system_prompt: str = ""  #: in place of the installation's
    workflows: tuple[str, ...] = ()  #: the only ones to use; empty: all
    tools: tuple[str, ...] = ()  #: the only ones that the agent may use; empty: all


@dataclass(frozen=True, slots=True)
class Spoken:
    """An answer and the remote conversation id to keep for the next turn ("" if there is none)."""

    answer: Answer
    session_id: str = ""


OnText: TypeAlias = Callable[[str], None]
"""Called with the whole visible text so far, as it grows; must return quickly."""


class Answerer(Protocol):
    """One way to get an answer. One that takes attachments says so: see `TakesAttachments`."""

    @property
    def name(self) -> str:
        """ "workflow:general_chat", "provider:openai", "offline": keys breakers, limits, sessions and metrics."""

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer, before the deadline. Raises Rejected, Throttled, Unavailable (or Stopped)."""


@runtime_checkable
class TakesAttachments(Protocol):
    """An answerer that can look at some of the files that come with a question."""

    def takes(self, attachment: Attachment) -> bool:
        """Whether it may look at this one; of the others it is told only that they exist."""
