"""Which ways to answer there are, and in which order."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import catalogue, registry
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.model.answer import Classification


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def names(settings: Settings, label: str = "general_chat") -> list[str]:
    return [way.answerer.name for way in registry.answerers(settings, label)]


OPENAI = {"api_key": "k", "models": [{"name": "m"}], "rate_limit": 60, "timeout": 30}
WORKFLOW = {"dify_endpoint": "https://d.example/v1/chat-messages", "dify_api_key": "k"}


def test_nothing_configured_leaves_the_offline_answerer() -> None:
    assert names(settings()) == ["offline"]


def test_workflow_then_providers_in_order_then_the_general_workflow() -> None:
    given = settings(
        providers={
            "chatglm": OPENAI,
            "openai": OPENAI,
            "dify": {"api_key": "k"},
            "mine": {"base_url": "http://10.0.0.5:8000/v1", "models": ["llama"]},
        },
        provider_selection={"fallback_order": ["openai", "dify", "coze"]},
        workflows={"general_chat": WORKFLOW, "code_analysis": WORKFLOW},
    )
    providers = ["provider:openai", "provider:dify", "provider:chatglm", "provider:mine"]
    assert names(given, "code_analysis") == ["workflow:code_analysis", *providers, "workflow:general_chat"]
    assert names(given, "general_chat") == ["workflow:general_chat", *providers]
    assert names(given, "unheard of") == [*providers, "workflow:general_chat"]


MANY = {
    "openai": {"api_key": "k", "models": ["small", "big"]},
    "mine": {"base_url": "http://10.0.0.5:8000/v1", "models": ["llama", "big"]},
    "dify": {"api_key": "k"},
}


def models(settings: Settings, **wishes: Any) -> list[str]:
    ways = registry.answerers(settings, "general_chat", Wishes(**wishes))
    return [getattr(way.answerer, "model", way.answerer.name) for way in ways]


def test_a_model_that_was_asked_for_goes_before_everything_else() -> None:
    given = settings(providers=MANY, workflows={"general_chat": WORKFLOW})
    assert models(given) == ["workflow:general_chat", "small", "llama", "provider:dify"]
    assert models(given, model="openai/big") == ["big", "workflow:general_chat", "small", "llama", "provider:dify"]
    assert models(given, model="LLAMA") == ["llama", "workflow:general_chat", "small", "provider:dify"]
    assert models(given, model="gone since") == models(given)


def test_a_bot_uses_its_own_workflows_and_prompt() -> None:
    given = settings(
        providers=MANY, workflows={"general_chat": WORKFLOW, "tickets": WORKFLOW}, system_prompt="Be kind."
    )
    assert "workflow:general_chat" not in models(given, workflows=("tickets",))
    ways = registry.answerers(given, "x", Wishes(system_prompt="Be brief."))
    assert [getattr(way.answerer, "system_prompt", None) for way in ways][:2] == ["Be brief.", "Be brief."]


def test_which_models_can_be_asked_for() -> None:
    given = settings(providers={**MANY, "off": {"enabled": False, "api_key": "k", "models": ["x"]}})
    assert catalogue.models(given) == ["openai/small", "openai/big", "mine/llama", "mine/big"]
    assert catalogue.models_called(given, "big") == ["openai/big", "mine/big"]
    assert catalogue.models_called(given, "mine/big") == ["mine/big"]
    assert catalogue.models_called(given, "OPENAI") == ["openai/small"]
    assert catalogue.choices(given) == [*catalogue.models(given), "dify"]
    assert catalogue.models_called(given, "Dify/app") == ["dify"]
    assert catalogue.models_called(given, "off") == []
    asked = models(given, model="dify")
    assert (asked[0], asked.count("provider:dify")) == ("provider:dify", 1)


def test_what_is_switched_off_is_not_used() -> None:
    given = settings(
        providers={"openai": {**OPENAI, "enabled": False}}, workflows={"general_chat": {**WORKFLOW, "enabled": False}}
    )
    assert names(given) == ["offline"]


def test_the_settings_arrive_at_the_answerer() -> None:
    given = settings(
        system_prompt="Be kind.",
        times={"first_byte_s": 9, "gap_s": 8},
        providers={"openai": {**OPENAI, "base_url": "https://x.example/v1/"}},
    )
    [way] = registry.answerers(given, "general_chat")
    model: Any = way.answerer
    assert (way.timeout_s, [bucket.rate.interval_us for bucket in way.limits.buckets]) == (30, [1_000_000])
    assert (model.url, model.model) == ("https://x.example/v1/chat/completions", "m")
    assert (model.system_prompt, model.patience.first_byte_s, model.patience.gap_s) == ("Be kind.", 9, 8)


@pytest.mark.parametrize(
    ("name", "more", "protocol"),
    [
        ("anthropic", {}, "AnthropicModel"),
        ("google", {}, "GeminiModel"),
        ("gemini", {}, "GeminiModel"),
        ("google", {"base_url": "https://generativelanguage.googleapis.com/v1beta/openai/"}, "ChatModel"),
        ("coze", {"bot_id": "7"}, "CozeBot"),
        ("coze", {"type": "openai", "base_url": "https://x.example/v1"}, "ChatModel"),
        ("mine", {"type": "anthropic", "base_url": "https://x.example"}, "AnthropicModel"),
        ("ollama", {}, "OllamaModel"),
        ("ollama", {"base_url": "http://10.0.0.5:11434"}, "OllamaModel"),
        ("ollama", {"base_url": "http://10.0.0.5:11434/v1/"}, "ChatModel"),
        ("mine", {"type": "vllm", "base_url": "http://10.0.0.5:8000"}, "ChatModel"),
        ("deepseek", {}, "ChatModel"),
        ("kimi", {}, "ChatModel"),
        ("openai", {"api_key": ["a", "b"]}, "SeveralKeys"),
    ],
)
def test_each_provider_is_asked_in_its_protocol(name: str, more: dict[str, Any], protocol: str) -> None:
    given = settings(providers={name: {**OPENAI, **more}})
    [way] = registry.answerers(given, "general_chat")
    assert (way.answerer.name, type(way.answerer).__name__) == (f"provider:{name}", protocol)


@pytest.mark.parametrize(
    ("name", "provider", "why"),
    [
        ("mine", {"models": ["m"]}, "base_url"),
        ("openai", {"api_key": "k"}, "model"),
        ("dify", {}, "api_key"),
        ("anthropic", {"models": ["m"]}, "api_key"),
        ("google", {"api_key": "k"}, "model"),
        ("coze", {"api_key": "k"}, "bot_id"),
    ],
)
def test_what_is_missing_is_named(name: str, provider: dict[str, Any], why: str) -> None:
    assert why in catalogue.not_built(settings(providers={name: provider}))[f"providers.{name}"]


def test_the_ways_are_built_once() -> None:
    given = settings(providers={"openai": OPENAI})
    [first], [second] = registry.answerers(given, "x"), registry.answerers(given, "x")
    assert first is second
    [other] = registry.answerers(settings(providers={"openai": OPENAI}), "x")
    assert other is not first


def test_providers_take_turns_between_the_workflow_and_the_general_one(shared: Any) -> None:
    given = settings(
        providers={name: {**OPENAI, "type": "openai"} for name in ("a", "b", "c")},
        provider_selection={"strategy": "round_robin"},
        workflows={"general_chat": WORKFLOW, "code_analysis": WORKFLOW},
    )
    orders = [names(given, "code_analysis") for _ in range(3)]
    assert {order[1] for order in orders} == {"provider:a", "provider:b", "provider:c"}
    assert {(order[0], order[-1]) for order in orders} == {("workflow:code_analysis", "workflow:general_chat")}


def test_turns_go_by_the_number_of_the_message_whichever_process_answers_it(shared: Any) -> None:
    given = settings(
        providers={name: {**OPENAI, "type": "openai"} for name in ("a", "b", "c")},
        provider_selection={"strategy": "round_robin"},
    )

    def first(message_id: int) -> str:
        return registry.route(given, Classification("general_chat", 1.0, ""), turn=message_id).ways[0].answerer.name

    assert [first(number) for number in (9, 10, 11, 12)] == [f"provider:{name}" for name in "abca"]
    assert first(10) == first(10)  # tried again, as after a crash


def test_the_cheapest_is_asked_first_without_a_strategy_too(shared: Any) -> None:
    dear = {**OPENAI, "models": [{"name": "m", "input_price": 10, "output_price": 30}]}
    cheap = {**OPENAI, "models": [{"name": "m", "input_price": 0.1, "output_price": 0.4}]}
    given = settings(providers={"openai": dear, "deepseek": cheap}, provider_selection={"cost_optimization": True})
    assert names(given) == ["provider:deepseek", "provider:openai"]


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, mindbot_tasks.llm.registry, mindbot_tasks.llm.openai_chat, mindbot_tasks.llm.dify.pool;"
        "print([name for name in sys.modules if name.split('.')[0] in ('langchain', 'langchain_core', 'openai',"
        " 'chromadb', 'numpy', 'simpleeval')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
