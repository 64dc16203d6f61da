"""Budgets from a message to the words that people see: cheaper models, refusals, and what `/usage` tells."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from mindbot_tasks.alerting.probes import messages as probes
from mindbot_tasks.alerting.probes.context import Context
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.metrics import REGISTRY
from mindbot_tasks.core.settings import (
    BotSettings,
    BudgetSettings,
    BudgetsSettings,
    ChatSettings,
    ProviderSettings,
    Settings,
)
from mindbot_tasks.core.settings.known_models import Price
from mindbot_tasks.llm import fallback
from mindbot_tasks.llm.fallback import Told
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import budgets, spending
from mindbot_tasks.stores.spending import Call, Whose
from tests.stages.conftest import Configure, Ledger

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY
PROVIDERS = {
    "openai": ProviderSettings(
        api_key=SecretStr("k"),
        base_url="http://127.0.0.1:9/v1",
        models=[
            {"name": "large", "input_price": 10, "output_price": 40},
            {"name": "small", "input_price": 1, "output_price": 4},
        ],
    ),
}
Asked = list[list[str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Models that cost a hundredth for each answer; the names of those that might have answered, in their order."""
    budgets.forget()
    monkeypatch.setattr(spending, "today", lambda now=None: "2026-01-05")  # midnight does not come
    found: Asked = []

    def answer(ways: Any, *_: Any) -> Told:
        found.append([getattr(way.answerer, "model", way.answerer.name) for way in ways])
        spending.note(Call("openai", found[-1][0], input_tokens=1_000, output_tokens=0, price=Price(10, 40)))
        return Told(Answer("well", provider="openai", model=found[-1][0]), "provider:openai")

    monkeypatch.setattr(fallback, "answer", answer)
    return found


def limited(configure: Configure, **given: Any) -> None:
    configure(providers=PROVIDERS, budgets=BudgetsSettings(**given))


def limit_count(scope: str, level: str) -> float:
    return REGISTRY.get_sample_value("mindbot_budget_limited_total", {"scope": scope, "level": level}) or 0.0


def test_a_person_gets_a_cheaper_model_and_then_a_polite_refusal(
    ledger: Ledger, configure: Configure, asked: Asked
) -> None:
    limited(configure, user=BudgetSettings(cost=0.04, soft=0.5))
    before = limit_count("user", "hard")
    told = [ledger.say(f"question {number}", sender_id="u1") for number in range(5)]
    assert told[:4] == ["well"] * 4
    assert "used up your budget" in told[4]
    assert asked == [["large"], ["large"], ["small", "large"], ["small", "large"]]
    assert limit_count("user", "hard") == before + 1
    assert ledger.say("and I?", sender_id="u2") == "well", "others have their own"
    assert "额度" in ledger.say("我呢？", sender_id="u1")
    assert "used up" not in ledger.say("/help", sender_id="u1"), "a command costs nothing"


def test_the_bots_and_everybodys_budget_hold_for_all(
    ledger: Ledger, configure: Configure, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "READ_EVERY_S", 0.0)
    limited(configure, installation=BudgetSettings(tokens=2_000, soft=1))
    assert [ledger.say("one", sender_id=f"u{number}") for number in range(2)] == ["well", "well"]
    assert "I have used up my budget" in ledger.say("three", sender_id="u3")
    limited(configure, installation=BudgetSettings(tokens=9_000), bot=BudgetSettings(tokens=1_000))
    assert "I have used up my budget" in ledger.say("four", sender_id="u4")
    assert asked == [["large"], ["large"]]


def test_a_bot_may_have_budgets_of_its_own(
    ledger: Ledger, configure: Configure, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(configure, user=BudgetSettings(tokens=1))
    its_own = BotSettings(user_budget=BudgetSettings(tokens=1_000_000))
    monkeypatch.setattr(Settings, "bot", lambda *_: its_own)
    assert [ledger.say("one"), ledger.say("two")] == ["well", "well"]


def test_usage_tells_a_person_what_was_used_and_is_left(ledger: Ledger, configure: Configure, asked: Asked) -> None:
    limited(
        configure, currency="USD", user=BudgetSettings(cost=0.1, tokens=10_000), installation=BudgetSettings(cost=9)
    )
    assert "0 tokens (calls of models: 0)" in ledger.say("/usage", sender_id="u1")
    ledger.say("hello", sender_id="u1")
    ledger.say("hello", sender_id="u2")
    told = ledger.say("/usage", sender_id="u1")
    assert "you used 1,000 tokens (calls of models: 1), which cost 0.0100 USD" in told
    assert "Your budget: 10% used (0.0100 USD of 0.1000 USD, 1,000 of 10,000 tokens)" in told
    assert "everything" not in told, "what all have used is for administrators"
    chinese = ledger.say("/用量 今天", sender_id="u1")
    assert "您今天调用模型 1 次" in chinese


def test_administrators_see_all_budgets(
    ledger: Ledger, configure: Configure, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(configure, installation=BudgetSettings(cost=0.01))
    monkeypatch.setattr(Settings, "bot", lambda *_: BotSettings(admins=["boss"]))
    ledger.say("hello", sender_id="u1")
    told = ledger.say("/usage", sender_id="boss")
    assert "The budget of everything: 100% used" in told
    assert "Nothing is left for today." in told


def test_without_budgets_nothing_is_read(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "reading", None)  # it would raise
    assert budgets.check(configure(), Whose("chat", "default", "u1")) is None


def test_those_of_a_bot_are_read_every_few_seconds_only(
    ledger: Ledger, configure: Configure, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(configure, bot=BudgetSettings(cost=1), installation=BudgetSettings(cost=1))
    monkeypatch.setattr(budgets, "READ_EVERY_S", 3600.0)
    reads: list[Any] = []
    spent_today = budgets.spent_today

    def counted(connection: Any, scopes: Any, whose: Whose) -> Any:
        reads.append(list(scopes))
        return spent_today(connection, scopes, whose)

    monkeypatch.setattr(budgets, "spent_today", counted)
    for number in range(3):
        ledger.say(f"hello {number}")
    assert reads == [["bot", "installation"]]


def test_alerts_learn_how_much_is_used(ledger: Ledger, configure: Configure, asked: Asked) -> None:
    chat = {"default": ChatSettings(budget=BudgetSettings(tokens=4_000))}
    settings = configure(
        providers=PROVIDERS, chat=chat, budgets=BudgetsSettings(installation=BudgetSettings(cost=0.04))
    )
    ledger.say("hello")
    spending.note(Call("openai", "large", input_tokens=1_000), whose=Whose("chat", "default", "u1"))
    spending.flush()
    found = probes.budgets(Context(settings, {}, Deadline(5), 0))
    assert found.readings["budget_used"] == {"installation": 0.25, "chat:default": 0.25}
