"""What the configuration offers: providers in their order, their protocols, models, addresses and prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mindbot_tasks.core.settings import ProviderSettings, Settings
from mindbot_tasks.core.settings.known_models import Known, Price, vendor_of

#: where providers that speak OpenAI's chat completions live, unless `base_url` says otherwise
_OPENAI_BASES = MappingProxyType(
    {
        "openai": "https://api.openai.com/v1",
        "chatglm": "https://open.bigmodel.cn/api/paas/v4",
        "zhipu": "https://open.bigmodel.cn/api/paas/v4",
        "deepseek": "https://api.deepseek.com/v1",
        "ollama": "http://127.0.0.1:11434/v1",
    }
)
#: they have a protocol of their own
_OTHER_PROTOCOLS = frozenset({"anthropic", "google", "gemini", "coze"})
GOOGLE = frozenset({"google", "gemini"})


def provider_order(settings: Settings) -> list[str]:
    """The names of the providers as they are tried: those of `fallback_order`, then the others as written."""
    wanted = [name for name in settings.provider_selection.fallback_order if name in settings.providers]
    return list(dict.fromkeys([*wanted, *settings.providers]))


def models(settings: Settings) -> list[str]:
    """Every model that can be asked for by name, as "provider/model", in the order of the providers."""
    return [
        f"{name}/{model.name}"
        for name in provider_order(settings)
        if settings.providers[name].enabled and not why_not(name, settings.providers[name])
        for model in settings.providers[name].models
        if kind_of(name, settings.providers[name]) != "dify"
    ]


def models_called(settings: Settings, name: str) -> list[str]:
    """Those of `models` that somebody can mean: the one with its provider, or each of that name alone."""
    wanted = name.strip().casefold()
    known = models(settings)
    exact = [one for one in known if one.casefold() == wanted]
    return exact or [one for one in known if one.partition("/")[2].casefold() == wanted]


def first_model(settings: Settings, provider: str) -> str:
    offered = settings.providers[provider].models
    return offered[0].name if offered else ""


def known_model(settings: Settings, provider: str, model: str) -> Known | None:
    """What is known of a model that this provider serves; None: nothing, such as of a server of one's own."""
    offered = settings.providers[provider]
    vendor = vendor_of(kind_of(provider, offered), offered.base_url)
    return vendor.known(model) if vendor is not None else None


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


def speaks_openai(provider: ProviderSettings) -> bool:
    """Google serves OpenAI's protocol under an address of its own."""
    return "/openai" in provider.base_url


def why_not(name: str, provider: ProviderSettings) -> str:
    """ "" if it can be built."""
    kind = kind_of(name, provider)
    if kind == "dify":
        return "" if provider.api_key is not None else "it has no api_key"
    if kind in _OTHER_PROTOCOLS and not (kind in GOOGLE and speaks_openai(provider)):
        if provider.api_key is None:
            return "it has no api_key"
        if kind == "coze":
            return "" if provider.bot_id else "it has no bot_id"
        return "" if provider.models else "it names no model"
    if not chat_url(name, provider):
        return "it has no base_url"
    if not provider.models:
        return "it names no model"
    return ""


def kind_of(name: str, provider: ProviderSettings) -> str:
    """Which protocol it speaks: its type, else its name."""
    return (provider.type or name).lower()


def chat_url(name: str, provider: ProviderSettings) -> str:
    """Where its chat completions are; "" if nobody said."""
    base = provider.base_url or _OPENAI_BASES.get(kind_of(name, provider), "")
    base = base.rstrip("/").removesuffix("/chat/completions")
    return f"{base}/chat/completions" if base else ""


@dataclass(frozen=True, slots=True)
class ModelList:
    """Where a provider lists its models; the cheapest call that needs the key."""

    url: str
    headers: Mapping[str, str]
    key: str  #: of the list in the answer


def model_list(name: str, provider: ProviderSettings) -> ModelList | None:
    """None: it has no such list."""
    kind = kind_of(name, provider)
    key = provider.api_key.get_secret_value() if provider.api_key else ""
    bearer = {"Authorization": f"Bearer {key}"} if key else {}
    if kind in ("coze", "dify"):
        return None
    if kind == "anthropic":
        from mindbot_tasks.llm import anthropic_chat

        return ModelList(
            anthropic_chat.url_of(provider.base_url, "/v1/models"),
            {**bearer, "anthropic-version": anthropic_chat.VERSION},
            "data",
        )
    if kind in GOOGLE and not speaks_openai(provider):
        from mindbot_tasks.llm import gemini_chat

        return ModelList(gemini_chat.url_of(provider.base_url, "models"), {"x-goog-api-key": key}, "models")
    return ModelList(chat_url(name, provider).removesuffix("/chat/completions") + "/models", bearer, "data")
