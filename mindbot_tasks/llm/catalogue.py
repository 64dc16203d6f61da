"""What the configuration offers: providers in their order, their protocols, models, addresses and prices."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from mindbot_tasks.core.settings import ProviderSettings, Settings
from mindbot_tasks.core.settings.known_models import Known, Price, Vendor, vendor_of

GOOGLE = frozenset({"google", "gemini"})
#: kinds of providers that somebody runs himself, and where
LOCAL = frozenset({"transformers", "huggingface", "local"})
_OWN_SERVERS: Mapping[str, str] = MappingProxyType(
    {"ollama": "http://127.0.0.1:11434/v1", **dict.fromkeys(LOCAL, "http://127.0.0.1:8117/v1")}
)
_SELF_RUN = frozenset({"ollama", "vllm", *LOCAL})

Protocol = Literal["openai", "anthropic", "gemini", "coze", "dify", "ollama"]


def provider_order(settings: Settings) -> list[str]:
    """The names of the providers as they are tried: those of `fallback_order`, then the others as written."""
    wanted = [name for name in settings.provider_selection.fallback_order if name in settings.providers]
    return list(dict.fromkeys([*wanted, *settings.providers]))


def models(settings: Settings) -> list[str]:
    """Every model that can be asked for by name, as "provider/model", in the order of the providers."""
    return [one for one in choices(settings) if "/" in one]


def choices(settings: Settings) -> list[str]:
    """Everybody who can be asked for by name: `models`, and by its name alone a provider that keeps its model to
    itself: a Dify app, a Coze bot."""
    found: list[str] = []
    for name in provider_order(settings):
        provider = settings.providers[name]
        if not provider.enabled or why_not(name, provider):
            continue
        if protocol_of(name, provider) in ("dify", "coze"):
            found.append(name)
        else:
            found += [f"{name}/{model.name}" for model in provider.models]
    return found


def first_choice(settings: Settings, provider: str) -> str:
    """The one of `choices` that a provider is when nobody says which of its models."""
    if protocol_of(provider, settings.providers[provider]) in ("dify", "coze"):
        return provider
    return f"{provider}/{first_model(settings, provider)}"


def models_called(settings: Settings, name: str) -> list[str]:
    """Those of `choices` that somebody can mean: the one with its provider, each of that name alone, or a provider's
    first."""
    wanted = name.strip().casefold()
    known = choices(settings)
    exact = [one for one in known if one.casefold() == wanted]
    alone = [one for one in known if "/" in one and one.partition("/")[2].casefold() == wanted]
    provider = wanted.partition("/")[0]
    whole = [one for one in known if "/" not in one and one.casefold() == provider]  # "coze/bot" is coze
    return exact or alone or whole or [one for one in known if one.partition("/")[0].casefold() == wanted][:1]


def first_model(settings: Settings, provider: str) -> str:
    """The name of the first model that is listed for this provider; "": none is."""
    offered = settings.providers[provider].models
    return offered[0].name if offered else ""


def known_model(settings: Settings, provider: str, model: str) -> Known | None:
    """What is known of a model that this provider serves; None: nothing, such as of a server of one's own."""
    vendor = vendor_for(provider, settings.providers[provider])
    return vendor.known(model) if vendor is not None else None


def context_tokens_of(settings: Settings, provider: str, model: str) -> int:
    """How much a model can read: as the configuration says, else as its vendor does; 0: nobody knows."""
    own = next((one.context_tokens for one in settings.providers[provider].models if one.name == model), 0)
    known = known_model(settings, provider, model)
    return own or (known.context_tokens if known is not None else 0)


def price_of_model(settings: Settings, provider: str, model: str) -> Price | None:
    """What a model costs: as the configuration says, else as the vendor's list did; None: nobody knows.

    `provider` may be one that is gone from the configuration: answers outlive it.
    """
    offered = settings.providers.get(provider)
    if offered is None:
        return None
    for one in offered.models:
        if one.name == model and one.input_price is not None and one.output_price is not None:
            return Price(one.input_price, one.output_price)
    known = known_model(settings, provider, model)
    return known.price if known is not None else None


def price_of(settings: Settings, provider: str) -> float | None:
    """What its first model costs for a million tokens of question and a quarter of that of answer; None: not known."""
    price = price_of_model(settings, provider, first_model(settings, provider))
    return None if price is None else price.input + price.output / 4


def not_built(settings: Settings) -> dict[str, str]:
    """Providers that are on in the configuration and cannot answer: dotted path -> why."""
    reasons = {}
    for name, provider in settings.providers.items():
        if provider.enabled and (why := why_not(name, provider)):
            reasons[f"providers.{name}"] = why
    return reasons


def kind_of(name: str, provider: ProviderSettings) -> str:
    """Who it is: its type, else its name."""
    return (provider.type or name).lower()


def protocol_of(name: str, provider: ProviderSettings) -> Protocol:
    """How it is asked."""
    kind = kind_of(name, provider)
    path = urlsplit(provider.base_url).path
    if kind in ("dify", "coze"):
        return "dify" if kind == "dify" else "coze"
    if kind in ("anthropic", "claude"):
        return "anthropic"
    if kind in GOOGLE and "/openai" not in path:  # Google serves OpenAI's protocol under an address of its own
        return "gemini"
    if kind == "ollama" and not path.rstrip("/").endswith(("/v1", "/v1/chat/completions")):
        return "ollama"
    return "openai"


def is_self_run(name: str, provider: ProviderSettings) -> bool:
    """Whether it is a server of one's own, which may take long to load a model, and asks for no key."""
    return kind_of(name, provider) in _SELF_RUN


def vendor_for(name: str, provider: ProviderSettings) -> Vendor | None:
    """Whose models it serves; None: its owner's."""
    return vendor_of(kind_of(name, provider), provider.base_url)


#: what people write behind the base of each protocol; the longest first
_TOO_MUCH: Mapping[Protocol, tuple[str, ...]] = MappingProxyType(
    {
        "openai": ("/chat/completions", "/models"),
        "anthropic": ("/v1/messages", "/v1/models", "/v1"),
        "gemini": ("/v1beta/models", "/v1/models", "/v1beta", "/v1"),
        "coze": ("/v3/chat", "/open_api", "/v1", "/v3"),
        "ollama": ("/api/chat", "/api/generate", "/api/tags", "/api"),
        "dify": (),
    }
)


def base_of(name: str, provider: ProviderSettings) -> str:
    """The base of its API, put right where it was written with too much or too little; "" if nobody said.

    `https://api.coze.cn/v1` is the host alone, `https://api.openai.com` lacks its /v1, and so on.
    """
    protocol = protocol_of(name, provider)
    base = provider.base_url.rstrip("/")
    for ending in _TOO_MUCH[protocol]:
        if base.endswith(ending):
            base = base.removesuffix(ending)
            break
    if protocol == "openai":
        return _openai_base(name, provider, base)
    if base or protocol == "dify":
        return base
    from mindbot_tasks.llm import anthropic_chat, coze, gemini_chat, ollama_chat

    return {
        "anthropic": anthropic_chat.DEFAULT_BASE,
        "gemini": gemini_chat.DEFAULT_BASE,
        "coze": coze.DEFAULT_BASE,
        "ollama": ollama_chat.DEFAULT_BASE,
    }[protocol]


def _openai_base(name: str, provider: ProviderSettings, base: str) -> str:
    kind = kind_of(name, provider)
    vendor = vendor_for(name, provider)
    if not base:
        return (vendor.base_url if vendor else "") or _OWN_SERVERS.get(kind, "")
    if urlsplit(base).path:
        return base
    if vendor is not None and vendor.base_url:
        return base + urlsplit(vendor.base_url).path
    return f"{base}/v1" if kind in _SELF_RUN else base


def why_not(name: str, provider: ProviderSettings) -> str:
    """ "" if it can be built."""
    protocol, kind = protocol_of(name, provider), kind_of(name, provider)
    if protocol in ("anthropic", "gemini", "coze", "dify") and provider.api_key is None:
        return "it has no api_key"
    if protocol == "dify":
        return ""
    if protocol == "coze":
        return "" if provider.bot_id else "it has no bot_id"
    if not base_of(name, provider):
        return "it has no base_url"
    if not provider.models:
        return "it names no model"
    if kind in LOCAL and runs_here(name, provider):
        if not all(model.path for model in provider.models):
            return "a model of it has no path"
        if not has_transformers():
            return 'the extra "local" is not installed: pip install "mindbot[local]"'
    return ""


def runs_here(name: str, provider: ProviderSettings) -> bool:
    """Whether `mindbot local-model` on this machine serves it."""
    host = urlsplit(base_of(name, provider)).hostname or ""
    return kind_of(name, provider) in LOCAL and host in ("127.0.0.1", "localhost", "::1")


@functools.cache
def has_transformers() -> bool:
    """Whether the extra `local` is installed; does not load it, which takes seconds."""
    return all(importlib.util.find_spec(module) is not None for module in ("transformers", "torch"))


def chat_url(name: str, provider: ProviderSettings) -> str:
    """Where its chat completions are; "" if nobody said."""
    base = base_of(name, provider)
    return f"{base}/chat/completions" if base else ""
