"""Which models the agent uses, and LangChain's object for each, built when it is first needed."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mindbot_tasks.core.settings import ModelSettings, ProviderSettings, Settings
from mindbot_tasks.llm.agent import providers_of, wanted
from mindbot_tasks.llm.attachments import is_picture, seems_to_see
from mindbot_tasks.llm.base import Attachment
from mindbot_tasks.llm.catalogue import base_of, price_of_model, protocol_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

# nothing of a conversation goes to a service that nobody asked for
os.environ.setdefault("LANGSMITH_TRACING", "false")
os.environ.setdefault("LANGCHAIN_TRACING_V2", "false")

#: models that refused a temperature, or a limit of tokens, in this process
_takes_less: set[tuple[str, str]] = set()


@dataclass(frozen=True, slots=True)
class Chosen:
    """One model of one provider."""

    provider: str
    model: ModelSettings

    @property
    def vision(self) -> bool:
        return seems_to_see(self.model.name) if self.model.vision is None else self.model.vision


def chosen(settings: Settings) -> list[Chosen]:
    """The models in the order in which the agent asks them: of the first provider the one that the settings name."""
    chain = wanted(settings)
    found = []
    for number, name in enumerate(providers_of(settings)):
        offered = settings.providers[name].models
        called = chain.model if chain is not None and number == 0 else ""
        model = next((one for one in offered if one.name == called), None)
        if model is None:
            model = ModelSettings(name=called) if called else offered[0]
        found.append(Chosen(name, model))
    return found


def sees(settings: Settings, attachment: Attachment) -> bool:
    """Whether the first model that the agent asks may look at this file."""
    return is_picture(attachment) and any(one.vision for one in chosen(settings)[:1])


def cost(settings: Settings, one: Chosen, input_tokens: int, output_tokens: int) -> float:
    """What so many tokens cost; 0 for a model whose price nobody knows."""
    price = price_of_model(settings, one.provider, one.model.name)
    return 0.0 if price is None else (input_tokens * price.input + output_tokens * price.output) / 1_000_000


_lock = threading.Lock()
_built: dict[tuple[str, str, bool], BaseChatModel] = {}
_built_for: Settings | None = None


def model_of(settings: Settings, one: Chosen) -> BaseChatModel:
    """LangChain's object; the same for as long as the settings stay."""
    global _built_for
    less = (one.provider, one.model.name) in _takes_less
    key = (one.provider, one.model.name, less)
    with _lock:
        if _built_for is not settings:
            _built.clear()
            _built_for = settings
        if key not in _built:
            _built[key] = _build(settings, one, less=less)
        return _built[key]


def take_less(one: Chosen) -> bool:
    """This model refused the usual parameters; True if that is news, so that another try makes sense."""
    key = (one.provider, one.model.name)
    news = key not in _takes_less
    _takes_less.add(key)
    return news


def _build(settings: Settings, one: Chosen, *, less: bool) -> BaseChatModel:
    provider, name = settings.providers[one.provider], one.model.name
    protocol, base = protocol_of(one.provider, provider), base_of(one.provider, provider)
    chain = wanted(settings)
    temperature = None if less or chain is None else chain.temperature
    max_tokens = None if less else one.model.max_tokens
    times = settings.times
    gap_s = max(times.first_byte_s, times.gap_s)
    if protocol == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(
            model=name, api_key=_key(provider), timeout=gap_s, max_retries=0, streaming=True,
            max_tokens=one.model.max_tokens, temperature=temperature, base_url=base,
        )  # fmt: skip
    if protocol == "gemini":
        from langchain_google_genai import ChatGoogleGenerativeAI

        return ChatGoogleGenerativeAI(
            model=name, api_key=_key(provider), timeout=gap_s, max_retries=1, streaming=True,  # 0 means "as you like"
            max_tokens=max_tokens, temperature=temperature, base_url=base,
        )  # fmt: skip
    if protocol == "ollama":
        from langchain_ollama import ChatOllama

        return ChatOllama(
            model=name, base_url=base, temperature=temperature, num_predict=max_tokens,
            client_kwargs={"timeout": gap_s},
        )  # fmt: skip
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=name, base_url=base, api_key=_key(provider) or "none", timeout=(times.connect_s, gap_s), max_retries=0,
        streaming=True, stream_usage=True, use_responses_api=False,
        temperature=temperature, **({} if max_tokens is None else {"extra_body": {"max_tokens": max_tokens}}),
    )  # fmt: skip


def _key(provider: ProviderSettings) -> Any:
    return provider.api_key
