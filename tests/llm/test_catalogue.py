"""Addresses as people write them, prices, and what the settings make of a model."""

from __future__ import annotations

from typing import Any

import pytest

from mindbot_tasks.core.settings import ProviderSettings, Settings
from mindbot_tasks.core.settings.known_models import Price
from mindbot_tasks.llm import building, catalogue


@pytest.mark.parametrize(
    ("name", "kind", "written", "base"),
    [
        ("openai", "", "", "https://api.openai.com/v1"),
        ("openai", "", "https://api.openai.com", "https://api.openai.com/v1"),
        ("openai", "", "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("openai", "", "http://10.0.0.1:8000", "http://10.0.0.1:8000"),
        ("mine", "vllm", "http://10.0.0.1:8000", "http://10.0.0.1:8000/v1"),
        ("chatglm", "", "", "https://open.bigmodel.cn/api/paas/v4"),
        ("chatglm", "", "https://open.bigmodel.cn", "https://open.bigmodel.cn/api/paas/v4"),
        ("kimi", "", "", "https://api.moonshot.cn/v1"),
        ("moonshot", "", "https://api.moonshot.ai/", "https://api.moonshot.ai/v1"),
        ("qwen", "", "", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("deepseek", "", "https://api.deepseek.com", "https://api.deepseek.com/v1"),
        ("coze", "", "", "https://api.coze.cn"),
        ("coze", "", "https://api.coze.cn/v1", "https://api.coze.cn"),
        ("coze", "", "https://api.coze.com/v3/chat", "https://api.coze.com"),
        ("anthropic", "", "https://api.anthropic.com/v1/messages", "https://api.anthropic.com"),
        ("google", "", "https://generativelanguage.googleapis.com/v1beta/models",
         "https://generativelanguage.googleapis.com"),
        ("google", "", "https://generativelanguage.googleapis.com/v1beta/openai",
         "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("ollama", "", "", "http://127.0.0.1:11434"),
        ("ollama", "", "http://gpu:11434/api/chat", "http://gpu:11434"),
        ("ollama", "", "http://gpu:11434/v1", "http://gpu:11434/v1"),
        ("mine", "", "", ""),
    ],
)  # fmt: skip
def test_addresses_are_put_right(name: str, kind: str, written: str, base: str) -> None:
    assert catalogue.base_of(name, ProviderSettings(type=kind, base_url=written)) == base


def built(name: str, provider: dict[str, Any]) -> Any:
    way = building.provider_way(Settings.model_validate({"providers": {name: provider}}), name)
    assert way is not None
    return way.answerer


@pytest.mark.parametrize(
    ("name", "provider", "thinking"),
    [
        ("zhipu", {}, {"thinking": {"type": "disabled"}}),
        ("deepseek", {}, {"thinking": {"type": "disabled"}}),
        ("qwen", {}, {"enable_thinking": False}),
        ("mine", {"type": "vllm", "base_url": "http://10.0.0.1/v1"},
         {"chat_template_kwargs": {"enable_thinking": False}}),
        ("openai", {}, None),
        ("mine", {"type": "openai", "base_url": "http://10.0.0.1/v1"}, None),
    ],
)  # fmt: skip
def test_thinking_is_switched_the_vendors_way(name: str, provider: dict[str, Any], thinking: Any) -> None:
    model = built(name, {"api_key": "k", "models": [{"name": "m", "thinking": "disabled"}], **provider})
    assert model.thinking == thinking
    assert built(name, {"api_key": "k", "models": ["m"], **provider}).thinking is None


def test_what_a_model_refuses_is_not_sent() -> None:
    model = built("openai", {"api_key": "k", "models": ["gpt-6-luna"]})
    assert (model.temperature, model.max_tokens, model.max_tokens_field) == (None, 4096, "max_completion_tokens")
    model = built("openai", {"api_key": "k", "models": ["gpt-5.4"], "base_url": "http://10.0.0.1/v1"})
    assert (model.temperature, model.max_tokens_field) == (0.7, "max_tokens")
    assert built("anthropic", {"api_key": "k", "models": ["claude-sonnet-5-5"]}).temperature is None


@pytest.mark.parametrize(
    ("name", "model", "sees"),
    [("deepseek", "deepseek-flash", True), ("deepseek", "deepseek-v4-pro", False), ("openai", "gpt-6-luna", True),
     ("openai", {"name": "gpt-6-luna", "vision": False}, False), ("openai", "m", False)],
)  # fmt: skip
def test_a_model_sees_as_configured_as_known_or_as_it_is_called(name: str, model: Any, sees: bool) -> None:
    assert built(name, {"api_key": "k", "models": [model]}).vision is sees


def test_a_server_of_ones_own_has_time_to_load_its_model() -> None:
    assert built("ollama", {"models": ["m"], "timeout": 50}).patience.first_byte_s == 50
    assert built("openai", {"api_key": "k", "models": ["m"], "timeout": 50}).patience.first_byte_s == 20


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ({"models": ["gpt-6-luna"]}, "gpt-6-luna", Price(0.1, 0.5)),
        ({"models": ["gpt-6-luna"]}, "gpt-6-luna-2026-09-22", Price(0.1, 0.5)),
        ({"models": [{"name": "gpt-6-luna", "input_price": 1, "output_price": 2}]}, "gpt-6-luna", Price(1, 2)),
        ({"models": ["m"]}, "m", None),
        ({"models": ["gpt-6-luna"], "base_url": "http://10.0.0.1/v1"}, "gpt-6-luna", None),
    ],
)
def test_prices_are_configured_or_known_or_not(provider: dict[str, Any], model: str, price: Price | None) -> None:
    given = Settings.model_validate({"providers": {"openai": {"api_key": "k", **provider}}})
    assert catalogue.price_of_model(given, "openai", model) == price
    assert catalogue.price_of_model(given, "gone since", model) is None


def test_how_much_a_model_reads_is_configured_or_known() -> None:
    models = ["gpt-4o", {"name": "gpt-6-luna", "context_tokens": 5}, "m"]
    given = Settings.model_validate({"providers": {"openai": {"api_key": "k", "models": models}}})
    sizes = [catalogue.context_tokens_of(given, "openai", name) for name in ("gpt-4o", "gpt-6-luna", "m")]
    assert sizes == [128_000, 5, 0]


def test_a_price_is_for_a_million_tokens() -> None:
    assert Price(2, 10).of(500_000, 100_000) == pytest.approx(2.0)


def test_a_local_model_needs_its_folder_and_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "has_transformers", lambda: False)

    def why(**provider: Any) -> str:
        return catalogue.why_not("mine", ProviderSettings.model_validate({"type": "transformers", **provider}))

    assert "no model" in why()
    assert "no path" in why(models=["m"])
    assert "mindbot[local]" in why(models=[{"name": "m", "path": "/models/m"}])
    assert why(models=["m"], base_url="http://gpu:8117") == ""
    monkeypatch.setattr(catalogue, "has_transformers", lambda: True)
    assert why(models=[{"name": "m", "path": "/models/m"}]) == ""
