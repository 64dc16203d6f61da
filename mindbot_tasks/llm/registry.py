"""Which ways to answer a kind of message has, in their order, as the settings say."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import SecretStr

from mindbot_tasks.core.http import Patience
from mindbot_tasks.core.settings import ModelSettings, ProviderSettings, Settings
from mindbot_tasks.llm import selection
from mindbot_tasks.llm.attachments import seems_to_see
from mindbot_tasks.llm.base import Answerer, Wishes
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.stores import performance
from mindbot_tasks.stores.limiter import Rate

GENERAL = "general_chat"
"""The workflow for what fits no other; it also helps out when another one is down."""

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
_NO_WISHES = Wishes()
_GOOGLE = frozenset({"google", "gemini"})


@dataclass(frozen=True, slots=True)
class _Ways:
    """The ways for one label; only the providers in the middle change their order from message to message."""

    before: tuple[Way, ...]
    providers: Mapping[str, Way]  #: by name, in the order of the configuration
    after: tuple[Way, ...]


def answerers(settings: Settings, label: str, wishes: Wishes = _NO_WISHES) -> Sequence[Way]:
    """The ways to answer a message of this kind, best first: its workflow, the chat models, the general workflow.

    A model that was asked for by name goes before them all. Only when none of them exists: the offline answerer. Built
    once for each label and wish, as long as the settings stay; the
    order of the chat models follows `provider_selection`.
    """
    global _built
    if _built is None or _built[0] is not settings:
        _built = (settings, {})
    known = _built[1]
    ways = known.get((label, wishes))
    if ways is None:
        ways = _ways(settings, label, wishes)
        if len(known) > 200:
            known.clear()
        known[label, wishes] = ways
    return (*ways.before, *(ways.providers[name] for name in _arranged(settings, ways.providers)), *ways.after)


_built: tuple[Settings, dict[tuple[str, Wishes], _Ways]] | None = None
_turns = itertools.count(random.randrange(1000))  # noqa: S311 - so that not all processes begin with the same one


def _arranged(settings: Settings, providers: Mapping[str, Way]) -> Sequence[str]:
    wanted = settings.provider_selection
    if len(providers) < 2 or (wanted.strategy == "ordered" and not wanted.cost_optimization):
        return list(providers)
    seen = performance.seen([f"provider:{name}" for name in providers])
    candidates = [
        selection.Candidate(
            name,
            settings.providers[name].weight,
            price_of(settings.providers[name]),
            seen.get(f"provider:{name}", performance.Seen()),
        )
        for name in providers
    ]
    return selection.arrange(
        candidates,
        wanted.strategy,
        threshold=wanted.performance_threshold,
        cheapest=wanted.cost_optimization,
        turn=next(_turns),
        chance=random.random,
    )


def price_of(provider: ProviderSettings) -> float | None:
    """What its first model costs for a million tokens of question and a quarter of that of answer; None: not said."""
    model = provider.models[0] if provider.models else None
    if model is None or model.input_price is None or model.output_price is None:
        return None
    return model.input_price + model.output_price / 4


def not_built(settings: Settings) -> dict[str, str]:
    """Providers that are on in the configuration and cannot answer: dotted path -> why."""
    reasons = {}
    for name, provider in settings.providers.items():
        if provider.enabled and (why := _why_not(name, provider)):
            reasons[f"providers.{name}"] = why
    return reasons


def _ways(settings: Settings, label: str, wishes: Wishes) -> _Ways:
    prompt = wishes.system_prompt
    wanted = models_called(settings, wishes.model)[:1] if wishes.model else []
    chosen = [_provider(settings, *name.split("/", 1), prompt=prompt) for name in wanted]
    workflow = _workflow(settings, label) if _may_use(label, wishes) else None
    providers = {
        name: way
        for name in provider_order(settings)
        if f"{name}/{_first_model(settings, name)}" not in wanted
        and (way := _provider(settings, name, prompt=prompt)) is not None
    }
    general = _workflow(settings, GENERAL) if label != GENERAL and _may_use(GENERAL, wishes) else None
    before = tuple(way for way in (*chosen, workflow) if way is not None)
    after = (general,) if general is not None else ()
    if not (before or providers or after):
        from mindbot_tasks.llm.offline import Offline

        after = (Way(Offline(), timeout_s=5, guarded=False),)
    return _Ways(before, providers, after)


def _may_use(workflow: str, wishes: Wishes) -> bool:
    return not wishes.workflows or workflow in wishes.workflows


def models(settings: Settings) -> list[str]:
    """Every model that can be asked for by name, as "provider/model", in the order of the providers."""
    return [
        f"{name}/{model.name}"
        for name in provider_order(settings)
        if settings.providers[name].enabled and not _why_not(name, settings.providers[name])
        for model in settings.providers[name].models
        if kind_of(name, settings.providers[name]) != "dify"
    ]


def models_called(settings: Settings, name: str) -> list[str]:
    """Those of `models` that somebody can mean: the one with its provider, or each of that name alone."""
    wanted = name.strip().casefold()
    known = models(settings)
    exact = [one for one in known if one.casefold() == wanted]
    return exact or [one for one in known if one.partition("/")[2].casefold() == wanted]


def _first_model(settings: Settings, provider: str) -> str:
    offered = settings.providers[provider].models
    return offered[0].name if offered else ""


def provider_order(settings: Settings) -> list[str]:
    """The names of the providers as they are tried: those of `fallback_order`, then the others as written."""
    wanted = [name for name in settings.provider_selection.fallback_order if name in settings.providers]
    return list(dict.fromkeys([*wanted, *settings.providers]))


def _workflow(settings: Settings, name: str) -> Way | None:
    workflow = settings.workflows.get(name)
    if workflow is None or not workflow.enabled or workflow.dify_api_key is None:
        return None
    from mindbot_tasks.llm.dify import DifyApp

    app = DifyApp(
        f"workflow:{name}", workflow.dify_endpoint, workflow.dify_api_key, workflow=name, patience=_patience(settings)
    )
    return Way(app, workflow.timeout)


def _provider(settings: Settings, name: str, model_name: str = "", *, prompt: str = "") -> Way | None:
    provider = settings.providers[name]
    if not provider.enabled or _why_not(name, provider):
        return None
    rate = Rate.per_minute(provider.rate_limit) if provider.rate_limit else None
    if kind_of(name, provider) == "dify":
        from mindbot_tasks.llm.dify import DEFAULT_ENDPOINT, DifyApp

        app = DifyApp(
            f"provider:{name}", provider.base_url or DEFAULT_ENDPOINT, _key(provider), patience=_patience(settings)
        )
        return Way(app, provider.timeout, rate)
    return Way(_model(settings, name, provider, model_name, prompt), provider.timeout, rate)


def _model(settings: Settings, name: str, provider: ProviderSettings, model_name: str, prompt: str) -> Answerer:
    """The model of this name, else the first of the provider, or its bot, by the protocol it speaks."""
    kind, called, patience = kind_of(name, provider), f"provider:{name}", _patience(settings)
    if kind == "coze":
        from mindbot_tasks.llm import coze

        base = provider.base_url or coze.DEFAULT_BASE
        return coze.CozeBot(called, provider.bot_id, _key(provider), base, patience=patience)
    model: ModelSettings = next((one for one in provider.models if one.name == model_name), provider.models[0])
    system_prompt = prompt or _system_prompt(settings)
    vision = seems_to_see(model.name) if model.vision is None else model.vision
    if kind == "anthropic":
        from mindbot_tasks.llm import anthropic_chat

        return anthropic_chat.AnthropicModel(
            called,
            model.name,
            _key(provider),
            provider.base_url,
            max_tokens=model.max_tokens,
            temperature=model.temperature,
            system_prompt=system_prompt,
            patience=patience,
            vision=vision,
        )
    if kind in _GOOGLE and not _speaks_openai(provider):
        from mindbot_tasks.llm import gemini_chat

        return gemini_chat.GeminiModel(
            called,
            model.name,
            _key(provider),
            provider.base_url,
            max_tokens=model.max_tokens,
            temperature=model.temperature,
            system_prompt=system_prompt,
            patience=patience,
            vision=vision,
        )
    from mindbot_tasks.llm.openai_chat import ChatModel

    return ChatModel(
        called,
        url=chat_url(name, provider),
        model=model.name,
        api_key=provider.api_key,
        max_tokens=model.max_tokens,
        temperature=model.temperature,
        system_prompt=system_prompt,
        patience=patience,
        vision=vision,
    )


def _key(provider: ProviderSettings) -> SecretStr:
    assert provider.api_key is not None  # noqa: S101 - `_why_not` has looked
    return provider.api_key


def _speaks_openai(provider: ProviderSettings) -> bool:
    """Google serves OpenAI's protocol under an address of its own."""
    return "/openai" in provider.base_url


def _why_not(name: str, provider: ProviderSettings) -> str:
    """ "" if it can be built."""
    kind = kind_of(name, provider)
    if kind == "dify":
        return "" if provider.api_key is not None else "it has no api_key"
    if kind in _OTHER_PROTOCOLS and not (kind in _GOOGLE and _speaks_openai(provider)):
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
    if kind in _GOOGLE and not _speaks_openai(provider):
        from mindbot_tasks.llm import gemini_chat

        return ModelList(gemini_chat.url_of(provider.base_url, "models"), {"x-goog-api-key": key}, "models")
    return ModelList(chat_url(name, provider).removesuffix("/chat/completions") + "/models", bearer, "data")


def _patience(settings: Settings) -> Patience:
    return Patience(settings.times.connect_s, settings.times.first_byte_s, settings.times.gap_s)


def _system_prompt(settings: Settings) -> str:
    if settings.system_prompt or settings.agent is None or settings.agent.langchain is None:
        return settings.system_prompt
    return settings.agent.langchain.system_prompt
