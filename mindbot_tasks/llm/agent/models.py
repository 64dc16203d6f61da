"""Which models the agent uses, and LangChain's object for each, built when it is first needed."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from mindbot_tasks.core.settings import ModelSettings, Settings
from mindbot_tasks.llm.agent import providers_of, wanted
from mindbot_tasks.llm.attachments import is_picture
from mindbot_tasks.llm.base import Attachment
from mindbot_tasks.llm.building import patience_with, temperature_of, thinking_of
from mindbot_tasks.llm.building import sees as model_sees
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
        return model_sees(self.model)


def chosen(settings: Settings) -> list[Chosen]:
    """The models in the order in which the agent asks them: of the first provider the one that the settings name.

    When that provider is off, the others are not asked for a model of its.
    """
    chain = wanted(settings)
    found = []
    for number, name in enumerate(providers_of(settings)):
        offered = settings.providers[name].models
        called = chain.model if chain is not None and number == 0 and chain.primary_provider in ("", name) else ""
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


#: LangChain's package for a protocol; all others speak OpenAI's
_PACKAGES: Mapping[str, str] = MappingProxyType(
    {"anthropic": "langchain_anthropic", "gemini": "langchain_google_genai", "ollama": "langchain_ollama"}
)
_lock = threading.Lock()
_built: dict[tuple[str, str, bool, str], BaseChatModel] = {}
_built_for: Settings | None = None


def model_of(settings: Settings, one: Chosen, key: SecretStr | None = None) -> BaseChatModel:
    """LangChain's object that asks with this key, else with the provider's first; the same while the settings stay."""
    global _built_for
    less = (one.provider, one.model.name) in _takes_less
    key = key or settings.providers[one.provider].api_key
    known = (one.provider, one.model.name, less, key.get_secret_value() if key is not None else "")
    if _built_for is settings and (ready := _built.get(known)) is not None:
        return ready
    load(protocol_of(one.provider, settings.providers[one.provider]))
    with _lock:
        if _built_for is not settings:
            _forget()
            _built_for = settings
        if known not in _built:
            _built[known] = _build(settings, one, key, less=less)
        return _built[known]


def load(protocol: str) -> None:
    """Import the classes of a vendor: seconds, so not while others wait for the lock."""
    importlib.import_module(_PACKAGES.get(protocol, "langchain_openai"))


def forget() -> None:
    """Close every connection that a model keeps; they are built again when they are needed."""
    with _lock:
        _forget()


def _forget() -> None:
    for model in _built.values():
        client: Any
        # Gemini's, OpenAI's and Ollama's; that of Anthropic is shared by LangChain, and can never be closed
        for client in (getattr(model, "client", None), getattr(model, "root_client", None), _of_ollama(model)):
            if hasattr(client, "close"):
                client.close()
    _built.clear()


def _of_ollama(model: BaseChatModel) -> Any:
    client = getattr(model, "_client", None)
    return getattr(client, "_client", None) if type(model).__name__ == "ChatOllama" else None


def take_less(one: Chosen) -> bool:
    """This model refused the usual parameters; True if that is news, so that another try makes sense."""
    key = (one.provider, one.model.name)
    news = key not in _takes_less
    _takes_less.add(key)
    return news


def _build(settings: Settings, one: Chosen, key: Any, *, less: bool) -> BaseChatModel:
    provider, name = settings.providers[one.provider], one.model.name
    protocol, base = protocol_of(one.provider, provider), base_of(one.provider, provider)
    chain = wanted(settings)
    takes = temperature_of(settings, one.provider, one.model) is not None
    temperature = chain.temperature if takes and chain is not None and not less else None
    max_tokens = None if less else one.model.max_tokens
    patience = patience_with(settings, one.provider)
    gap_s = max(patience.first_byte_s, patience.gap_s)
    if protocol == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(
            model=name, api_key=key, timeout=gap_s, max_retries=0, streaming=True,
            max_tokens=one.model.max_tokens, temperature=temperature, base_url=base,
        )  # fmt: skip
    if protocol == "gemini":
        from langchain_google_genai import ChatGoogleGenerativeAI

        return ChatGoogleGenerativeAI(
            model=name, api_key=key, timeout=gap_s, max_retries=1, streaming=True,  # 0 means "as you like"
            max_tokens=max_tokens, temperature=temperature, base_url=base,
        )  # fmt: skip
    if protocol == "ollama":
        from langchain_ollama import ChatOllama

        return ChatOllama(
            model=name, base_url=base, temperature=temperature, num_predict=max_tokens,
            client_kwargs={"timeout": gap_s},
        )  # fmt: skip
    from langchain_openai import ChatOpenAI
    from openai import DefaultHttpxClient

    # a client of its own: LangChain's is shared by all models of an address, so nobody could ever close it
    http = DefaultHttpxClient(timeout=(patience.connect_s, gap_s, gap_s, gap_s))
    body = dict(thinking_of(one.provider, provider, one.model)) | (
        {} if max_tokens is None else {"max_tokens": max_tokens}
    )
    return ChatOpenAI(
        model=name, base_url=base, api_key=key or "none", timeout=(patience.connect_s, gap_s, gap_s, gap_s),
        max_retries=0, http_client=http,
        streaming=True, stream_usage=True, use_responses_api=False,
        temperature=temperature, extra_body=body or None,
    )  # fmt: skip
