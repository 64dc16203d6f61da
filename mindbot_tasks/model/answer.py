"""An answer and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mindbot_tasks.model.message import JSON, Part


@dataclass(frozen=True, slots=True)
class Turn:
    """One line of a conversation's history."""

    role: Literal["system", "user", "assistant"]
    text: str
    message_id: int = 0  #: the message that asked; 0: it stands in no ledger
    source: str = ""  #: who answered in this exchange: "workflow:code", "provider:openai"
    tools: tuple[Mapping[str, JSON], ...] = ()  #: calls and their results before the assistant said this


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, as the provider counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    price: float | None = None  #: of the call, where the far side says so
    currency: str = ""  #: of that price, as the far side writes it


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bot will say: markdown text, perhaps more parts, and its origin."""

    text: str
    provider: str  #: name of the provider or "offline"
    model: str = ""
    workflow: str = ""
    parts: tuple[Part, ...] = ()  #: images, files ... beside the text
    usage: Usage = Usage()
    latency_ms: int = 0
    first_token_ms: int | None = None
    details: Mapping[str, JSON] = field(default_factory=dict)  #: citations, the tries before this one; no secrets


@dataclass(frozen=True, slots=True)
class Classification:
    """What kind of request a message is."""

    label: str  #: a workflow's name, or "general_chat"
    confidence: float  #: 0 to 1
    reason: str  #: for people: which layer decided and why
    scores: Mapping[str, float] = field(default_factory=dict)
