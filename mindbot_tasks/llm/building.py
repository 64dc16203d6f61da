"""Turns a provider of the configuration into a way to answer."""

from __future__ import annotations

from pydantic import SecretStr

from mindbot_tasks.core.settings import ModelSettings, ProviderSettings, Settings
from mindbot_tasks.llm.attachments import seems_to_see
from mindbot_tasks.llm.base import Answerer
from mindbot_tasks.llm.catalogue import GOOGLE, chat_url, kind_of, speaks_openai, why_not
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.workflows import patience_of
from mindbot_tasks.stores.limiter import Rate


def provider_way(settings: Settings, name: str, model_name: str = "", *, prompt: str = "") -> Way | None:
    provider = settings.providers[name]
    if not provider.enabled or why_not(name, provider):
        return None
    rate = Rate.per_minute(provider.rate_limit) if provider.rate_limit else None
    if kind_of(name, provider) == "dify":
        from mindbot_tasks.llm.dify import DEFAULT_ENDPOINT, DifyApp

        app = DifyApp(
            f"provider:{name}", provider.base_url or DEFAULT_ENDPOINT, _key(provider), patience=patience_of(settings)
        )
        return Way(app, provider.timeout, rate)
    answerer = _model(settings, name, provider, model_name, prompt)
    return Way(answerer, provider.timeout, rate, room_tokens=_room_tokens(provider, model_name))


def _model(settings: Settings, name: str, provider: ProviderSettings, model_name: str, prompt: str) -> Answerer:
    """The model of this name, else the first of the provider, or its bot, by the protocol it speaks."""
    kind, called, patience = kind_of(name, provider), f"provider:{name}", patience_of(settings)
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
    if kind in GOOGLE and not speaks_openai(provider):
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


def _room_tokens(provider: ProviderSettings, model_name: str) -> int:
    """What may be sent to a model beside its answer; 0: nobody said how much it holds."""
    if not provider.models:
        return 0
    model = next((one for one in provider.models if one.name == model_name), provider.models[0])
    return max(1, model.context_tokens - model.max_tokens) if model.context_tokens else 0


def _key(provider: ProviderSettings) -> SecretStr:
    assert provider.api_key is not None  # noqa: S101 - `why_not` has looked
    return provider.api_key


def _system_prompt(settings: Settings) -> str:
    if settings.system_prompt or settings.agent is None or settings.agent.langchain is None:
        return settings.system_prompt
    return settings.agent.langchain.system_prompt
