"""What is known about models: snapshots, retirements, prices, and whose a server is."""

from __future__ import annotations

from datetime import date

import pytest

from mindbot_tasks.core.settings import known_models
from mindbot_tasks.core.settings.known_models import vendor_of, vendors


@pytest.mark.parametrize(
    ("kind", "base_url", "name"),
    [
        ("openai", "", "openai"),
        ("gemini", "", "google"),
        ("chatglm", "", "zhipu"),
        ("kimi", "", "moonshot"),
        ("openai", "https://api.deepseek.com", "deepseek"),
        ("openai", "https://open.bigmodel.cn/api/paas/v4", "zhipu"),
        ("openai", "http://127.0.0.1:8000/v1", None),
        ("chatglm", "http://10.0.0.7:8000/v1", None),
        ("vllm", "", None),
    ],
)
def test_an_address_says_more_than_a_name(kind: str, base_url: str, name: str | None) -> None:
    vendor = vendor_of(kind, base_url)
    assert (vendor.name if vendor else None) == name


@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("openai", "gpt-4"), ("openai", "gpt-4-0613"), ("openai", "gpt-4-turbo"), ("openai", "gpt-3.5-turbo"),
        ("anthropic", "claude-3-sonnet"), ("anthropic", "claude-3-opus-20240229"), ("google", "gemini-pro"),
        ("google", "gemini-1.5-pro"), ("chatglm", "chatglm3-6b"), ("deepseek", "deepseek-chat"),
    ],
)  # fmt: skip
def test_names_of_old_examples_have_a_successor_that_is_served(vendor: str, model: str) -> None:
    gone = vendors()[vendor].gone(model)
    assert gone is not None
    assert gone.by(date(2026, 11, 20))
    assert vendors()[vendor].known(gone.instead) is not None


def test_every_successor_is_known_and_lives_longer() -> None:
    for vendor in vendors().values():
        for model, gone in vendor.retired.items():
            assert vendor.known(gone.instead) is not None, (vendor.name, model)
            after = vendor.gone(gone.instead)
            assert after is None or after.on is None or gone.on is None or after.on > gone.on, (vendor.name, model)


def test_what_is_served_is_not_called_gone() -> None:
    today = date(2026, 11, 20)
    for vendor in vendors().values():
        for model in vendor.models:
            gone = vendor.gone(model)
            assert gone is None or not gone.by(today), (vendor.name, model)


def test_a_retirement_to_come_is_told_in_time() -> None:
    gone = vendors()["openai"].gone("gpt-5-mini-2025-08-07")
    assert gone is not None
    assert gone.on == date(2026, 12, 11)
    assert not gone.within(date(2026, 10, 1), 45)
    assert gone.within(date(2026, 11, 20), 45)
    assert not gone.by(date(2026, 12, 10))
    assert gone.by(date(2026, 12, 11))


def test_snapshots_share_the_facts_of_their_model() -> None:
    assert vendors()["openai"].known("gpt-5.4-mini-2026-03-17") == vendors()["openai"].known("gpt-5.4-mini")
    assert vendors()["anthropic"].known("claude-haiku-4-5-20251001") == vendors()["anthropic"].known("claude-haiku-4-5")
    assert vendors()["openai"].known("ft:own") is None


def test_a_price_that_changes_on_a_day_is_that_of_today() -> None:
    facts = {"in": 1, "out": 2, "later": {"day": date(2020, 1, 1), "in": 3, "out": 4}}
    assert known_models._known(facts, 1.0).price == known_models.Price(3, 4)
    facts["later"] = {"day": date(2999, 1, 1), "in": 3, "out": 4}
    assert known_models._known(facts, 0.5).price == known_models.Price(0.5, 1)
