"""Which model answers when most of a budget is used."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from mindbot_tasks.core.settings import BudgetsSettings, ProviderSettings, Settings, WorkflowSettings
from mindbot_tasks.llm import registry
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.llm.thrift import cheaper_first, cheaper_model

SERVER = "http://127.0.0.1:9/v1"


def settings(**given: Any) -> Settings:
    def provider(*models: Any) -> ProviderSettings:
        return ProviderSettings(type="openai", api_key=SecretStr("k"), base_url=SERVER, models=list(models))

    large = {"name": "large", "input_price": 10, "output_price": 40}
    small = {"name": "small", "input_price": 1, "output_price": 4}
    providers = {"one": provider(large, {"name": "unpriced"}), "two": provider("unknown", small)}
    return Settings(**({"providers": providers} | given))


def order(given: Settings, label: str = "general_chat", wishes: Wishes | None = None) -> list[str]:
    ways = cheaper_first(given, registry.answerers(given, label, wishes or Wishes()))
    return [f"{way.answerer.name} {getattr(way.answerer, 'model', '')}".strip() for way in ways]


def test_the_one_with_the_lowest_known_price_or_the_one_that_was_chosen() -> None:
    assert cheaper_model(settings()) == "two/small"
    assert cheaper_model(settings(budgets=BudgetsSettings(cheaper_model="unpriced"))) == "one/unpriced"
    assert cheaper_model(settings(budgets=BudgetsSettings(cheaper_model="gone"))) == ""
    assert cheaper_model(Settings()) == ""


def test_it_goes_before_all_other_models_even_one_that_was_asked_for() -> None:
    assert order(settings()) == ["provider:two small", "provider:one large", "provider:two unknown"]
    wished = order(settings(), wishes=Wishes(model="one/large"))
    assert wished[0] == "provider:two small"
    assert wished.count("provider:two small") == 1


def test_a_workflow_keeps_its_messages() -> None:
    flow = WorkflowSettings(dify_endpoint=SERVER, dify_api_key=SecretStr("k"))
    given = settings(workflows={"code_analysis": flow})
    assert order(given, "code_analysis")[:2] == ["workflow:code_analysis", "provider:two small"]


@pytest.mark.parametrize("label", ["general_chat", "code_analysis"])
def test_without_a_price_nothing_changes(label: str) -> None:
    assert order(Settings(), label) == ["offline"]
