"""Spans of models, workflows and the agent, in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from mindbot_tasks.core import telemetry
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.telemetry import Span
from mindbot_tasks.llm.base import Answerer
from mindbot_tasks.model.answer import Answer

#: our types of providers -> the convention's names, where they differ
_SYSTEMS = MappingProxyType({"google": "gcp.gemini", "gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"})
_OPERATIONS = MappingProxyType({"workflow": "invoke_workflow", "agent": "invoke_agent"})


def asking(answerer: Answerer) -> Span:
    """Around one call of somebody who answers."""
    if not telemetry.is_on():
        return telemetry.span("")
    kind, _, name = answerer.name.partition(":")
    model = str(getattr(answerer, "model", ""))
    operation = _OPERATIONS.get(kind, "chat")
    about: dict[str, Any] = {"gen_ai.operation.name": operation, "mindbot.answerer": answerer.name}
    if system := _system_of(kind, name):
        about["gen_ai.provider.name"] = about["gen_ai.system"] = system
    if model:
        about["gen_ai.request.model"] = model
    return telemetry.span(f"{operation} {model or name or kind}", "client", about)


def tell(traced: Span, answer: Answer) -> None:
    """What came of it: numbers and names, none of its words."""
    if not telemetry.is_on():
        return
    used = answer.usage
    about: dict[str, Any] = {
        "gen_ai.usage.input_tokens": used.input_tokens,
        "gen_ai.usage.output_tokens": used.output_tokens,
    }
    if answer.model:
        about["gen_ai.response.model"] = answer.model
    if answer.first_token_ms is not None:
        about["mindbot.first_token_ms"] = answer.first_token_ms
    traced.set(about)


def _system_of(kind: str, name: str) -> str:
    if kind == "workflow":
        return "dify"
    if kind != "provider":
        return ""
    provider = get_settings().providers.get(name)
    vendor = ((provider.type if provider is not None else "") or name).lower()
    return _SYSTEMS.get(vendor, vendor)
