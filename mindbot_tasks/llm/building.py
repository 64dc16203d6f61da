"""Turns a provider of the configuration into a way to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from mindbot_tasks.core.http import Patience
from mindbot_tasks.core.settings import ModelSettings, ProviderSettings, Settings
from mindbot_tasks.llm.attachments import seems_to_see
from mindbot_tasks.llm.base import Answerer
from mindbot_tasks.llm.catalogue import (
    base_of,
    chat_url,
    first_model,
    is_self_run,
    known_model,
    protocol_of,
    vendor_for,
    why_not,
)
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.keys import Ring, SeveralKeys
from mindbot_tasks.llm.limits import provider_limits
from mindbot_tasks.llm.workflows import patience_of


def provider_way(settings: Settings, name: str, model_name: str = "", *, prompt: str = "") -> Way | None:
    """None: it is off, or cannot be built. `model_name`: else the first of the provider."""
    provider = settings.providers[name]
    if not provider.enabled or why_not(name, provider):
        return None
    limits = provider_limits(name, provider, model_name or first_model(settings, name))
    keys: tuple[SecretStr | None, ...] = tuple(provider.api_keys) or (provider.api_key,)
    answerers = tuple(_answerer(settings, name, key, model_name, prompt) for key in keys)
    room = _room_tokens(settings, name, model_name)
    if len(answerers) == 1:
        return Way(answerers[0], provider.timeout, limits, room_tokens=room)
    return Way(SeveralKeys(key_ring(settings, name), answerers), provider.timeout, limits, room_tokens=room)


def key_ring(settings: Settings, name: str) -> Ring:
    """The keys of a provider, for whoever calls it by other means: take one that is `usable`, say when it `failed`."""
    provider = settings.providers[name]
    return Ring(f"provider:{name}", provider.api_keys or ([provider.api_key] if provider.api_key else []))


def chosen_model(settings: Settings, name: str, model_name: str = "") -> ModelSettings:
    """The model of this name, else the first of the provider."""
    offered = settings.providers[name].models
    return next((one for one in offered if one.name == model_name), offered[0])


def temperature_of(settings: Settings, name: str, model: ModelSettings) -> float | None:
    """None: the model refuses one."""
    known = known_model(settings, name, model.name)
    return model.temperature if known is None or known.takes_temperature else None


def thinking_of(name: str, provider: ProviderSettings, model: ModelSettings) -> Mapping[str, Any]:
    """The fields of OpenAI's protocol that switch thinking on or off where this model is served; often none."""
    if model.thinking is None:
        return {}
    vendor = vendor_for(name, provider)
    if vendor is None:  # vLLM hands it to the template of the model
        own = is_self_run(name, provider)
        return {"chat_template_kwargs": {"enable_thinking": model.thinking}} if own else {}
    if vendor.thinking == "object":
        return {"thinking": {"type": "enabled" if model.thinking else "disabled"}}
    return {"enable_thinking": model.thinking} if vendor.thinking == "flag" else {}


def sees(model: ModelSettings) -> bool:
    """Whether it takes pictures: as the configuration says, else as its name suggests."""
    return seems_to_see(model.name) if model.vision is None else model.vision


def takes_pictures(settings: Settings, name: str, model: ModelSettings) -> bool:
    """As `sees`, and what is known of the vendor's model goes before its name."""
    known = known_model(settings, name, model.name) if model.vision is None else None
    return sees(model) if known is None or known.sees is None else known.sees


def patience_with(settings: Settings, name: str) -> Patience:
    """How long to wait for what; where the first question may have to load the model, for its first word too."""
    patience, provider = patience_of(settings), settings.providers[name]
    if is_self_run(name, provider):
        return replace(patience, first_byte_s=max(patience.first_byte_s, provider.timeout))
    return patience


def _answerer(settings: Settings, name: str, key: SecretStr | None, model_name: str, prompt: str) -> Answerer:
    """What asks with this key, by the protocol that the provider speaks."""
    provider, called, patience = settings.providers[name], f"provider:{name}", patience_with(settings, name)
    protocol, base = protocol_of(name, provider), base_of(name, provider)
    if protocol == "dify":
        from mindbot_tasks.llm.dify.address import DEFAULT_ENDPOINT
        from mindbot_tasks.llm.dify.app import DifyApp

        return DifyApp(called, base or DEFAULT_ENDPOINT, _needed(key), patience=patience)
    if protocol == "coze":
        from mindbot_tasks.llm.coze import CozeBot

        return CozeBot(called, provider.bot_id, _needed(key), base, patience=patience)
    model = chosen_model(settings, name, model_name)
    common: dict[str, Any] = {
        "max_tokens": model.max_tokens,
        "temperature": temperature_of(settings, name, model),
        "system_prompt": prompt or _system_prompt(settings),
        "patience": patience,
        "vision": takes_pictures(settings, name, model),
        "extra": model.extra_body or None,
    }
    if protocol == "anthropic":
        from mindbot_tasks.llm.anthropic_chat import AnthropicModel

        return AnthropicModel(called, model.name, _needed(key), base, **common)
    if protocol == "gemini":
        from mindbot_tasks.llm.gemini_chat import GeminiModel

        return GeminiModel(called, model.name, _needed(key), base, **common)
    if protocol == "ollama":
        from mindbot_tasks.llm.ollama_chat import OllamaModel

        return OllamaModel(
            called,
            model.name,
            base,
            key,
            context_tokens=model.context_tokens,
            keep_alive=provider.keep_alive,
            thinking=model.thinking,
            **common,
        )
    from mindbot_tasks.llm.openai_chat import ChatModel

    vendor = vendor_for(name, provider)
    return ChatModel(
        called,
        chat_url(name, provider),
        model.name,
        key,
        thinking=thinking_of(name, provider, model) or None,
        max_tokens_field=vendor.max_tokens_field if vendor else "max_tokens",
        **common,
    )


def _room_tokens(settings: Settings, name: str, model_name: str) -> int:
    """What may be sent to a model beside its answer; 0: nobody knows how much it holds."""
    if not settings.providers[name].models:
        return 0
    model = chosen_model(settings, name, model_name)
    known = known_model(settings, name, model.name)
    holds = model.context_tokens or (known.context_tokens if known is not None else 0)
    return max(1, holds - model.max_tokens) if holds else 0


def _needed(key: SecretStr | None) -> SecretStr:
    assert key is not None  # noqa: S101 - `why_not` has looked
    return key


def _system_prompt(settings: Settings) -> str:
    if settings.system_prompt or settings.agent is None or settings.agent.langchain is None:
        return settings.system_prompt
    return settings.agent.langchain.system_prompt
